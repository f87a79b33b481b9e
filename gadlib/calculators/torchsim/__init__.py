"""TorchSim's models, a batch of molecules in one call: MACE, FairChem, Orb, SevenNet, your own.

TorchSim: github.com/TorchSim/torch-sim, on the package index as torch-sim-atomistic.
"""
