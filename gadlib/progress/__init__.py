"""What long work tells while it runs: signs of life, bars, interruptions.

Never: what is computed; it counts steps of it.
"""
