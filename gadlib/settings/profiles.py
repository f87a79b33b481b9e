"""Profiles: tuned values with what they were tuned for and what they gained, in a JSON file.

Some are shipped with the package, known by their names; any `hpo_results.json` is one, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from gadlib.settings.reading import InputError, explain

FOLDER = Path(__file__).parent / "shipped"
"""Where those are that are shipped."""


class Profile(BaseModel):
    """What a profile says, as far as it is read again.

    Attributes:
        name: of a profile; an `hpo_results.json` has none.
        best_params: the tuned values, by hyperparameter.
        best_choices: the tuned words of settings, as of mode; empty where none were chosen.
        about: what they were tuned for, its solver among it.
        sentence: what they gained on reactions that tuning never saw.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    best_params: dict[str, int | float | str]
    best_choices: dict[str, str] = {}
    about: dict[str, Any] = {}
    sentence: str = ""

    @property
    def solver(self) -> str:
        """Whose hyperparameters these are; empty where the file does not say."""
        return str(self.about.get("solver", ""))


def path_of(name: str) -> Path:
    """The file of a profile: of a shipped one by its name, else the path that was given."""
    shipped = FOLDER / f"{name}.json"
    return shipped if shipped.is_file() else Path(name)


def shipped() -> tuple[Profile, ...]:
    """The profiles of the package, by their names."""
    return tuple(read_profile(path.stem) for path in sorted(FOLDER.glob("*.json")))


def read_profile(name: str) -> Profile:
    """The profile of that name or file.

    Raises:
        InputError: when there is none, or it is none.
    """
    path = path_of(name)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        there = ", ".join(p.stem for p in sorted(FOLDER.glob("*.json"))) or "none"
        raise InputError(
            f"profile {name!r}: can't be read ({getattr(error, 'strerror', None) or error});"
            f" expected a file, or one of those that are shipped: {there}"
        ) from None
    if not isinstance(content, Mapping) or not content.get("best_params"):
        raise InputError(f"profile {name!r}: expected a JSON object with best_params")
    try:
        return Profile(**content)
    except ValidationError as error:
        raise InputError(f"profile {name!r}: {explain(error)}") from None


def with_profile(values: Mapping[str, Any], solver: str) -> dict[str, Any]:
    """The values of settings with those of the profile that they name under the given ones.

    So are words of settings that were tuned, as of mode, for settings that have them.

    The name is taken out: what is kept of a run are the values, which need no file. Without a
    solver that of the profile is taken.

    Args:
        values: as they were given, with `profile`.
        solver: the default one.

    Raises:
        ValueError: when the profile can't be read, or is of another solver.
    """
    profile = read_profile(str(values["profile"]))
    asked = values.get("solver", profile.solver or solver)
    if profile.solver and asked != profile.solver:
        raise ValueError(
            f"profile {values['profile']}: of solver {profile.solver!r}, not {asked!r};"
            " expected one of that solver"
        )
    own = {**profile.best_params, **values.get("hyperparameters", {})}
    chosen = {**profile.best_choices, **values}
    return {**chosen, "solver": asked, "hyperparameters": own, "profile": None}


def markdown_table() -> str:
    """The shipped profiles as a table in Markdown."""
    rows = ["| profile | for | what it gained |", "|---|---|---|"]
    for one in shipped():
        names = ("solver", "calculator", "scine_functional", "start_from", "criterion")
        told = [str(one.about[name]) for name in names if one.about.get(name)]
        rows.append(f"| `{one.name}` | {', '.join(told)} | {one.sentence} |")
    return "\n".join(rows)
