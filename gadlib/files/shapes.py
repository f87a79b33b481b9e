"""The shapes of files that are read, declared once: which keys, of what types.

Types are strict: "no" is not false, 6.2 no integer, and nothing is infinite. What does not fit is
refused in one sentence that names the file, the key, the value and what was expected. Records
declare their own shape by their fields, as dataclasses (`screening.records`, `paths.records`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Optional, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from gadlib.settings.reading import InputError, explain, shown

T = TypeVar("T")

Count = Annotated[int, Field(ge=0, lt=2**63)]
Coordinate = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(lambda value: math.nan if value is None else value),  # as it was written
]


class Shape(BaseModel):
    """What a file or a part of it looks like; keys that are not declared are passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, frozen=True, extra="ignore")


class ResultFile(Shape):
    """A result file of searches; `about` is what its records depend on (`setup.identity_of`)."""

    format: int = 1
    settings: dict[str, Any]
    records: list[Any]
    about: dict[str, Any] | None = None


class PathsFile(Shape):
    """The `paths.json` of `irc`."""

    format: int = 1
    paths: list[Any]
    settings: dict[str, Any] = {}


class FrequenciesFile(Shape):
    """What `frequencies` writes."""

    format: int = 1
    frequencies: list[Any]


class WorkerAttributes(Shape):
    """What a worker says of itself in a study's attributes."""

    model_config = Shape.model_config | ConfigDict(extra="allow")

    machine: str
    pid: int = Field(ge=0, lt=2**31)
    ticks: str | None
    beat: float = Field(ge=0)
    started: str | None = None
    ended: str | None = None
    seed: int | None = None


class StudyAttributes(Shape):
    """What `tune` writes into a study beside its workers."""

    gadlib: dict[str, Any]
    settings: dict[str, Any] = {}
    versions: dict[str, Any] = {}
    screening: list[dict[str, Any]] = []
    n_trials: int | None = None


class TrialAttributes(Shape):
    """What a trial of a study says of itself, as far as it is read again."""

    worker: str | None = None
    deaths: int = 0
    convergence_rate: float | None = None
    mean_steps: float | None = None
    samples: list[dict[str, Any]] = []


class About(Shape):
    """What a study is about, as far as it is read again from a results file."""

    model_config = Shape.model_config | ConfigDict(extra="allow")

    reactions: list[str] = []
    easy: list[str] = []


class RaceKept(Shape):
    """The race of a study, as far as it is read again."""

    samples: list[str] = []


class TuningFile(Shape):
    """An `hpo_results.json`: the tuned values and words, and what they were tuned for."""

    best_params: dict[str, int | float | str]
    best_choices: dict[str, str] = {}
    about: About = About()
    settings: dict[str, Any] = {}
    race: RaceKept | None = None
    study_name: str | None = None


class AtEndKept(Shape):
    """A tuned value at an end of the range that it was drawn from, and a wider one."""

    name: str
    value: float
    end: str
    low: float
    high: float
    wider: Annotated[tuple[float, float], Field(strict=False)] | None = None


class TrialKept(Shape):
    """A trial in an `hpo_results.json`, as far as what it tried is read again."""

    state: str = ""
    params: dict[str, Any] = {}
    score: float | None = None
    scores: dict[str, float] | None = None


class StudyKept(Shape):
    """An `hpo_results.json` or a profile, as far as what its trials tried is read again."""

    best_params: dict[str, Any] = {}
    best_choices: dict[str, str] = {}
    best_at_ends: list[AtEndKept] | None = None
    objectives: dict[str, str] | None = None
    settings: dict[str, Any] = {}
    trials: list[TrialKept] = []


@cache
def _shape_of(kind: Any) -> Any:
    """The shape itself, or that of a dataclass by its fields.

    Its integers are not negative, but where the field's metadata say `is_signed`.
    """
    if not dataclasses.is_dataclass(kind):
        return kind
    hints = get_type_hints(kind)
    declared: dict[str, Any] = {
        f.name: (
            hints[f.name] if f.metadata.get("is_signed") else _counted(hints[f.name]),
            ... if _is_needed(f) else None,
        )
        for f in dataclasses.fields(kind)
    }
    return create_model(str(kind), __base__=Shape, **declared)


def _is_needed(field: dataclasses.Field[Any]) -> bool:
    is_without = field.default is dataclasses.MISSING
    return is_without and field.default_factory is dataclasses.MISSING


def _counted(hint: Any) -> Any:
    if hint is int:
        return Count
    if hint == list[list[float]]:
        return list[list[Coordinate]]
    if hint == list[int]:
        return list[Count]
    if get_origin(hint) is list and dataclasses.is_dataclass(get_args(hint)[0]):
        return Annotated[hint, BeforeValidator(partial(_read_items, *get_args(hint)))]
    return Optional[Count] if hint == (int | None) else hint  # noqa: UP045 (of an Annotated)


def _read_items(kind: type[T], items: Any) -> Any:
    """The items of a list as values of a dataclass; what is no list is left to be refused."""
    return [fit(kind, item, "item") for item in items] if isinstance(items, list) else items


def fit(kind: type[T], content: Any, where: str | Path, *, expected: str = "") -> T:
    """The content as a value of that kind.

    Args:
        kind: a shape, or a dataclass, which is read by the types of its fields.
        content: as JSON has it; what there are no fields for is passed over.
        where: the file, and the place in it, which a message begins with.
        expected: what such a file is in words.

    Raises:
        InputError: when it is something else.
    """
    wanted = expected or "an object as gadlib writes it"
    if not isinstance(content, Mapping):
        raise InputError(f"{where}: expected {wanted}, found {shown(content)}")
    shape = _shape_of(kind)
    try:
        read = shape.model_validate(content)
    except ValidationError as error:
        if missing := [str(e["loc"][0]) for e in error.errors() if e["type"] == "missing"]:
            raise InputError(f"{where}: expected {wanted}; lacks {', '.join(missing)}") from None
        raise InputError(f"{where}: {explain(error)}") from None
    if shape is kind:
        return read
    return kind(**{name: getattr(read, name) for name in read.model_fields_set})


def fit_all(kind: type[T], items: Sequence[Any], where: str | Path, name: str) -> list[T]:
    """The items of a list in a file, each as a value of that kind.

    Raises:
        InputError: naming the first that is something else.
    """
    return [fit(kind, item, f"{where}: {name}[{i}]") for i, item in enumerate(items)]
