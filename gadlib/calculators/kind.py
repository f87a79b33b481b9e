"""What the package knows of a kind of calculator: each declares it beside its class, as `KIND`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gadlib.evaluation import Calculator
from gadlib.settings.calculators import CalculatorSettings

Options = Mapping[str, Any]
"""Settings of one calculator, by name."""

Build = Callable[[CalculatorSettings], Calculator]


@dataclass(frozen=True)
class Kind:
    """A kind of calculator; its own settings are those declared `{"of": name}`.

    Attributes:
        name: what the setting `calculator` says.
        doc: what it is, in one line.
        needs: what has to be there, in one line.
        build: the calculator that settings ask for; raises ValueError or ImportError.
        lacks: why it can't be used here with these settings, a sentence for each reason; None: what
            `build` raises.
        is_quick: whether building it takes no time, so that it is tried before anything is run.
        detail: the setting that says which one of its kind it is, for a label.
        packages: whose versions its results depend on, as pip names them.
        variants: the settings of each one that can be chosen here, beside those that are given.
        content: what stands for a setting where results depend on what is in a file.
    """

    name: str
    doc: str
    needs: str
    build: Build
    lacks: Callable[[CalculatorSettings], list[str]] | None = None
    is_quick: bool = False
    detail: str = ""
    packages: tuple[str, ...] = ()
    variants: Callable[[CalculatorSettings], Sequence[Options]] = lambda _: ()
    content: Callable[[CalculatorSettings], Options] = lambda _: {}

    def missing(self, settings: CalculatorSettings) -> list[str]:
        """Why it can't be used here with these settings, a sentence for each reason."""
        return self.lacks(settings) if self.lacks else refusal(self.build, settings)


def refusal(build: Build, settings: CalculatorSettings) -> list[str]:
    """Why a calculator is not built with these settings, in a sentence; empty where it is."""
    try:
        build(settings)
    except (ValueError, ImportError) as error:
        return [str(error)]
    return []
