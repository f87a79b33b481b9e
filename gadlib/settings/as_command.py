"""Settings as the command that asks for the same, to be pasted into a terminal.

What flags there are is derived from the same declarations (`gadlib.cli.flags`).
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.searches import SearchSettings

_ALWAYS = ("calculator", "solver", "criterion")
_CHOOSING = ("max_samples", "sample", "sample_seed")


def search_command(settings: SearchSettings, geometries: str | None = None) -> str:
    """The `gadlib search` of these settings; what has its default is left out.

    Args:
        settings: of a search.
        geometries: the file with its starting points; None: reactions of a set.
    """
    words = ["gadlib", "search", *([] if geometries is None else [geometries])]
    skipped = _CHOOSING if settings.only else ()
    for name, field in SearchSettings.model_fields.items():
        value = getattr(settings, name)
        is_default = value == field.get_default(call_default_factory=True)
        extra = SearchSettings.extra(name)
        if name in ("hyperparameters", *skipped) or (geometries and extra.get("of_set")):
            continue
        if extra.get("of", settings.calculator) != settings.calculator:
            continue
        if not is_default or name in _ALWAYS:
            words += _flag(name, value)
    declared = SOLVERS[settings.solver].model_fields
    for name, value in settings.hyperparameters.items():
        if value != declared[name].get_default():
            words += _flag(name, value)
    return shlex.join(words)


def _flag(name: str, value: Any) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return [flag]
    return [flag, json.dumps(value) if isinstance(value, dict) else str(value)]
