"""HIP, a neural potential with a Hessian of its own: its source, checkpoint and device.

Never: what asks for an evaluation, or why.
"""
