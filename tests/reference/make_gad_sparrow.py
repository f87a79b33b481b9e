"""Writes gad_sparrow.json: searches whose course is compared by test_reference.py.

Run from the root of the project: PYTHONPATH=.:tests python tests/reference/make_gad_sparrow.py
"""

import json
from importlib.metadata import version
from pathlib import Path

from clusters import distorted

from gadlib.calculators import get
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.solver.search import search

PATH = Path(__file__).with_name("gad_sparrow.json")
MOLECULES = ("H2O", "HCN", "H2CO", "C2H4", "HCOOH", "CH3OH", "C2H6", "CH3CN")
AMPLITUDE = 0.15
N_KEPT = 4
PACKAGES = ("gadlib", "scine_sparrow", "torch", "ase", "numpy")


def courses() -> list[dict]:
    """Of each molecule its name, steps to index1, and what is known at the start and the end."""
    batch = distorted(MOLECULES, AMPLITUDE)
    found: dict[int, dict] = {i: {"molecule": name} for i, name in enumerate(MOLECULES)}
    calculator = get("scine", functional="DFTB0")
    for frame in search(calculator, batch, GadHyperparameters(), n_steps=60):
        state = frame.state
        for row, place in enumerate(state.index.tolist()):
            here = {
                "energy": float(state.energy[row]),
                "eigenvalues": state.spectrum.eigenvalues[row, :N_KEPT].tolist(),
            }
            course = found[place]
            course.setdefault("start", here)
            course["end"] = here
            course["orders"] = [*course.get("orders", []), int(state.order[row])]
            course["status"] = str(frame.status[row])
            course["escapes"] = int(state.escapes[row])
    for course in found.values():
        for here in (course["start"], course["end"]):
            here["eigenvalues"] = [v for v in here["eigenvalues"] if v != float("inf")]
    return list(found.values())


def main() -> None:
    provenance = {
        "made_by": "tests/reference/make_gad_sparrow.py",
        "what": "solver gad, default hyperparameters, index1, scine DFTB0",
        "starts": f"ase.build.molecule, coordinate k (from 1) moved by {AMPLITUDE} sin(7 k) A",
        "units": "eV; eV/(A^2 amu)",
        "versions": {name: version(name) for name in PACKAGES},
    }
    text = json.dumps({"provenance": provenance, "courses": courses()}, indent=1)
    PATH.write_text(text + "\n")


if __name__ == "__main__":
    main()
