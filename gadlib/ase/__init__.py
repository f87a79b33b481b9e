"""For ASE: saddles found from Atoms, a search that is one of its optimizers, a calculator.

Never: settings, files or records; who brings an Atoms object has these.
"""
