"""What a setting is about, and what its value looks like: declared beside it, read by the help.

A setting without a topic of its own has that of the class that first declares it
(`Settings.topic`), an option of one calculator that calculator's.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic.config import JsonDict

TOPICS = {
    "starts": "starts, where searches begin",
    "sample": "sample, which reactions of a set",
    "search": "search, what is looked for and for how long",
    "gad": "hyperparameters of --solver gad",
    "trust": "hyperparameters of --solver trust",
    "delta": "hyperparameters of --solver delta",
    "path": "path, the way down from a saddle",
    "conditions": "conditions of enthalpy and Gibbs energy",
    "values": "values that are compared with the defaults",
    "study": "study, its trials and how their values are drawn",
    "storage": "storage, where the study is kept",
    "measured": "what is measured",
    "page": "what the page shows",
    "calculator": "calculator, the potential",
    "scine": "options of --calculator scine",
    "ase": "options of --calculator ase",
    "torchsim": "options of --calculator torchsim",
    "pyscf": "options of --calculator pyscf",
    "hip": "options of --calculator hip",
    "surface": "options of --calculator surface",
    "processes": "processes",
    "output": "output",
}
"""The headings of the help, in its order, by topic."""

SPLITS = ("train", "val", "test", "all")
"""What a set of reactions is taken from."""


def shown_as(
    topic: str = "", *, unit: str = "", form: str = "", words: Sequence[str] = ()
) -> JsonDict:
    """What is declared of a setting for who reads of it.

    Args:
        topic: one of `TOPICS`; by default that of the class, or of its calculator.
        unit: of a number, as in eV/A.
        form: what a value looks like where that is no plain number, as in FILE.json.
        words: what it may be, or (beside a form) begin with; others are refused elsewhere.
    """
    told = {"topic": topic, "unit": unit, "form": form, "words": list(words)}
    return {name: value for name, value in told.items() if value}
