"""Systems: padded batches of molecules, what holds them, and rows taken out and put back.

Never: a Hessian, an energy or a file; here are atoms and where they are.
"""
