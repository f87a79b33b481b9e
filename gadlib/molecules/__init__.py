"""Molecules and reactions: files, starting points, bonds, ends, contacts, repair, alignment, words.

Never: a calculator; what is here follows from where the atoms are.
"""
