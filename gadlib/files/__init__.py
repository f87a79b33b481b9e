"""Files, written whole or not at all, by one writer at a time, and read through declared shapes.

Never: what a search, a study or a molecule is.
"""
