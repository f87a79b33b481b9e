"""For ASE: a saddle search that is one of its optimizers, and a calculator.

Never: settings, files or records; who brings an Atoms object has these.
"""
