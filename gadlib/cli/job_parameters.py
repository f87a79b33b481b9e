"""The parameters of a notebook as a cluster job: from a YAML file, under those of the environment.

They are checked before anything starts, as far as can be known before.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import papermill
import yaml
from pydantic import TypeAdapter, ValidationError

from gadlib.cli.notebooks import notebook
from gadlib.cluster.urls import require_url
from gadlib.files.reading import read_text
from gadlib.screening.setup import read_best, require_tuned_for, require_usable, transfers
from gadlib.settings.declarations import Hyperparameters
from gadlib.settings.hyperparameters import SOLVERS
from gadlib.settings.reading import (
    InputError,
    Settings,
    explain,
    holds_password,
    shown,
    without_secrets,
)
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import TuneSettings, ValidateSettings
from gadlib.tuning.asked import require_settings
from gadlib.tuning.samples import require_screening
from gadlib.tuning.validation import require_values, transfer_of, tuned_values

KINDS: dict[str, type[SearchSettings]] = {
    "01_screen": ScreenSettings,
    "02_tune": TuneSettings,
    "03_results": ValidateSettings,
}
"""The notebooks that may be jobs, and what their parameters are."""

_ALIASES = {"checkpoint_path": "CKPT_PATH"}


class _Once(yaml.SafeLoader):
    """A YAML loader that refuses a name given twice, of which the last would silently win."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(getattr(key, "value", key))
            if name in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{shown(name)} is given twice", key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep)


def _from_yaml(text: str) -> Any:
    """What YAML says.

    Raises:
        ValueError: when it is none, with line and column.
    """
    try:
        return yaml.load(text, _Once)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(str(error).splitlines()[0]) from None


def read_parameters(path: Path | None) -> dict[str, Any]:
    """The parameters in a YAML file.

    Raises:
        InputError: when it is missing or holds something else.
    """
    if path is None:
        return {}
    text = read_text(path, "YAML")
    try:
        content = _from_yaml(text)
    except ValueError as error:
        raise InputError(f"{path}: not YAML ({error})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        kind = "a list" if isinstance(content, list) else shown(content)
        raise InputError(f"{path}: expected names and values of parameters, found {kind}")
    if wrong := [name for name in content if not isinstance(name, str)]:
        raise InputError(f"{path}: {shown(wrong[0])}: expected a name of a parameter")
    return content


def parameters_of(
    name: str, given: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """The notebook's parameters: those of the file, under those of the environment, validated.

    Every setting is also an environment variable in capitals, and every hyperparameter where the
    notebook takes them; `BEST` names a results file to take them from. `STORAGE` is left out: it
    may hold a password, and goes to the notebook in its environment.

    Raises:
        InputError: when a name is unknown, a value can't be used, or a storage in the file has a
            password.
    """
    kind = KINDS[name]
    known = papermill.inspect_notebook(str(notebook(name)))
    values = dict(given)
    for field in kind.model_fields:
        text = variables.get(field.upper(), "") or variables.get(_ALIASES.get(field, ""), "")
        if text and field in known and field not in ("storage", "resume", "hyperparameters"):
            values[field] = _read(kind, field, text)
    _require_numbers(variables)
    if "hyperparameters" in known:
        values["hyperparameters"] = _hyperparameters(kind, values, variables)
        values |= _best_choices(kind, known, variables)
    if "workers" in known and "WORKERS" not in variables and "workers" not in given:
        values["workers"] = int(variables.get("SLURM_CPUS_PER_TASK") or 1)
    if "resume" in known:
        is_given = kind.read({"resume": values.get("resume", False)}).model_dump()["resume"]
        values["resume"] = is_given or _is_resumed(variables)
    if holds_password(values.get("storage")):
        raise InputError("storage: expected in the variable STORAGE, where no password is kept")
    if any(map(holds_password, values.values())):
        where = next(n for n, value in values.items() if holds_password(value))
        raise InputError(f"{where}: a URL with a password, which a notebook would keep")
    if variables.get("STORAGE"):
        values.pop("storage", None)
    kind.read({k: v for k, v in values.items() if k in kind.model_fields})
    return values


def require_startable(name: str, values: Mapping[str, Any], variables: Mapping[str, str]) -> None:
    """Raise InputError unless the notebook can begin with these parameters, as far as is known."""
    kind = KINDS[name]
    settings = kind.read({k: v for k, v in values.items() if k in kind.model_fields})
    assert isinstance(settings, SearchSettings)
    require_usable(settings)
    if isinstance(settings, TuneSettings):
        require_settings(settings)
        url = variables.get("STORAGE") or settings.storage
        if url is not None:
            require_url(url)
        if settings.screening is not None:
            require_screening(settings)
    if isinstance(settings, ValidateSettings):
        require_values(settings, tuned_values(settings)[0])
        transfer_of(settings)


def _hyperparameters(
    kind: type[Settings], values: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """The hyperparameters: of the file, under those of `BEST`, under those of the environment."""
    solver = SOLVERS.get(str(values.get("solver", "gad")))
    if solver is None:
        raise InputError(
            f"solver {shown(values.get('solver'))}: expected one of {', '.join(SOLVERS)}"
        )
    given = values.get("hyperparameters") or {}
    if not isinstance(given, dict):
        raise InputError(
            f"hyperparameters = {shown(given)}: expected names and values, as in {{dt_max: 0.02}}"
        )
    try:
        found = solver.by_name(given) | _best(kind, values, variables)
    except ValueError as error:
        raise InputError(str(error)) from None
    try:
        found |= _hyperparameters_in(variables, solver)
        solver(**found)
    except ValidationError as error:
        raise InputError(explain(error)) from None
    return found


def _hyperparameters_in(
    variables: Mapping[str, str], solver: type[Hyperparameters]
) -> dict[str, Any]:
    """The hyperparameters among the variables, by whichever of their names."""
    found: dict[str, Any] = {}
    for choice in solver.choices():
        if text := variables.get(choice.name.upper()):
            found[choice.name] = text
    for number in solver.tunable():
        for name in (number.name, *number.aliases):
            if text := variables.get(name.upper()):
                try:
                    found[number.name] = number.type(text)
                except ValueError:
                    wanted = "an integer" if number.type is int else "a number"
                    raise InputError(f"{name.upper()}={shown(text)}: expected {wanted}") from None
    return found


def _best(
    kind: type[Settings], values: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, Any]:
    """The tuned values of the file that `BEST` names, which were tuned for what is searched."""
    path = variables.get("BEST")
    if not path or "best" in kind.model_fields or kind is TuneSettings:  # which tunes them anew
        return {}
    best = read_best(path)
    settings = kind.read(
        {k: v for k, v in values.items() if k in kind.model_fields and k != "hyperparameters"}
    )
    assert isinstance(settings, SearchSettings)
    if not _word("ALLOW_TRANSFER", variables):
        require_tuned_for(best, f"BEST={path}", settings)
    elif differences := transfers(best, settings):
        print(f"BEST={path} was tuned for something else: {'; '.join(differences)}", flush=True)
    return dict(best.best_params)


def _best_choices(
    kind: type[Settings], known: Mapping[str, Any], variables: Mapping[str, str]
) -> dict[str, str]:
    """The tuned words in the file that `BEST` names, but those that the environment has."""
    path = variables.get("BEST")
    if not path or "best" in kind.model_fields or kind is TuneSettings:
        return {}
    words = read_best(path).best_choices.items()
    return {name: word for name, word in words if name in known and not variables.get(name.upper())}


def _read(kind: type[Settings], field: str, text: str) -> Any:
    """The value of a setting from text, in the setting's type."""
    annotation: Any = kind.model_fields[field].annotation
    if annotation is bool:
        return _word(field.upper(), {field.upper(): text})
    try:
        value = _from_yaml(text) if annotation not in (str, str | None) else text
        return TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
    except ValueError as error:
        reason = str(error)
    raise InputError(f"{field.upper()}={without_secrets(text)}: {reason}")


_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


def _word(name: str, variables: Mapping[str, str]) -> bool:
    """Whether a variable says yes; `RESUME=--resume` does, as in published scripts."""
    text = variables.get(name, "").strip().lower()
    if text in _FALSE:
        return False
    if text in _TRUE or text == f"--{name.lower().replace('_', '-')}":
        return True
    raise InputError(
        f"{name}={shown(variables[name])}: expected one of {', '.join((*_TRUE, *_FALSE[1:]))}"
    )


_NUMBERS = (
    *("SLURM_CPUS_PER_TASK", "SLURM_RESTART_COUNT", "SLURM_JOB_ID"),
    *("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"),
)


def _require_numbers(variables: Mapping[str, str]) -> None:
    """Raise InputError unless the variables of SLURM that are read are numbers, or empty."""
    for name in _NUMBERS:
        text = variables.get(name) or "0"
        if not (text.isascii() and text.isdigit() and int(text) < 2**63):
            raise InputError(f"{name}={shown(text)}: expected a number, as SLURM sets it")


def _is_resumed(variables: Mapping[str, str]) -> bool:
    """Whether there may be something to go on with: asked for, one worker of many, or requeued."""
    return (
        _word("RESUME", variables)
        or bool(variables.get("SLURM_ARRAY_TASK_ID"))
        or int(variables.get("SLURM_RESTART_COUNT") or 0) > 0
    )
