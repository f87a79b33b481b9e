"""What the declaration of a hyperparameter is: default, range, scale, unit, meaning, limits.

The solver, the Optuna space, the command line, the notebooks, the JSON files, `help()` and the
tables of the documentation derive from declarations. Which are declared stands in
`hyperparameters`.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gadlib.settings.documenting import Attribute, attribute_of, document


class Hyperparameter(NamedTuple):
    """The declaration of one hyperparameter, as everything outside this module reads it.

    Attributes:
        name: as a field, a flag, a column.
        type: int or float.
        default: what searches take.
        low, high: the range that tuning draws from.
        least, most: the limits that no value leaves.
        log: whether it is drawn on a logarithmic scale.
        unit: empty for a plain number.
        doc: what it is.
        aliases: its names in published scripts, each with what it means as a flag without a value.
        acts: under which words of the solver it changes anything, by the name of the choice; empty
            where it always does.
    """

    name: str
    type: type
    default: float
    low: float
    high: float
    least: float
    most: float
    log: bool
    unit: str
    doc: str
    aliases: Mapping[str, float | None] = {}
    acts: Mapping[str, tuple[str, ...]] = {}

    def is_acting(self, words: Mapping[str, str]) -> bool:
        """Whether it changes anything under these words of the solver."""
        return all(words.get(name) in of for name, of in self.acts.items() if name in words)

    @property
    def range_text(self) -> str:
        """The allowed range in words, with its unit."""
        return f"{self.low:g} .. {self.high:g}" + (f" {self.unit}" if self.unit else "")

    @property
    def limits_text(self) -> str:
        """The hard limits in words, with their unit."""
        return f"{self.least:g} .. {self.most:g}" + (f" {self.unit}" if self.unit else "")


def declare(
    default: float,
    low: float,
    high: float,
    doc: str,
    *,
    unit: str = "",
    log: bool = False,
    limits: tuple[float, float],
    aliases: Mapping[str, float | None] | None = None,
    acts: Mapping[str, tuple[str, ...]] | None = None,
) -> Any:
    """The field of a hyperparameter: arguments as the attributes of `Hyperparameter`."""
    least, most = limits
    extra: dict[str, Any] = {"low": low, "high": high, "least": least, "most": most, "log": log}
    extra |= {"unit": unit, "aliases": aliases or {}, "acts": acts or {}}
    return Field(default, description=doc, json_schema_extra=extra)


class Choice(NamedTuple):
    """The declaration of a value of a solver that is a word and never tuned."""

    name: str
    values: tuple[str, ...]
    default: str
    doc: str


class Hyperparameters(BaseModel):
    """The values of a solver's hyperparameters; frozen.

    Unknown names and values beyond their limits are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    solver: ClassVar[str]
    closest_pair: ClassVar[float] = 0.1
    """Starts with two atoms closer than this (A) are refused."""

    needs_cheap: ClassVar[bool] = False
    """Whether the calculator is to have a cheap one beside it."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        document(cls, cls._attributes())

    @classmethod
    def _attributes(cls) -> Iterator[Attribute]:
        tunable = {each.name: each for each in cls.tunable()}
        for name, field in cls.model_fields.items():
            limits = ""
            if name in tunable:
                limits = tunable[name].limits_text
                limits += f", tuned {tunable[name].range_text}"
                limits += " on a log scale" if tunable[name].log else ""
            yield attribute_of(name, field, limits)

    @classmethod
    def tunable(cls) -> tuple[Hyperparameter, ...]:
        """The declarations of what may be tuned, in the order in which they are written."""
        return tuple(
            Hyperparameter(
                name=name,
                type=cast(type, field.annotation),
                default=field.default,
                doc=field.description or "",
                **cast(dict[str, Any], field.json_schema_extra),
            )
            for name, field in cls.model_fields.items()
            if field.json_schema_extra
        )

    @classmethod
    def choices(cls) -> tuple[Choice, ...]:
        """The declarations of what is chosen by a word, in the order in which they are written."""
        return tuple(
            Choice(name, get_args(field.annotation), field.default, field.description or "")
            for name, field in cls.model_fields.items()
            if get_origin(field.annotation) is Literal
        )

    @classmethod
    def by_name(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values by the names of their hyperparameters, whatever alias they were given under.

        Raises:
            ValueError: when a hyperparameter is given under two names.
        """
        named = {alias: each.name for each in cls.tunable() for alias in each.aliases}
        found: dict[str, Any] = {}
        for name, value in values.items():
            if (own := named.get(name, name)) in found:
                raise ValueError(f"{own}: given twice, also as {name}; expected one of them")
            found[own] = value
        return found

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: Any) -> Any:
        names = list(cls.model_fields)
        if isinstance(values, Mapping):
            values = cls.by_name(values)
        for name in values if isinstance(values, Mapping) else ():
            if name not in names:
                near = difflib.get_close_matches(str(name), names, n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(
                    f"{name}: unknown hyperparameter of solver {cls.solver!r}{hint};"
                    f" known: {', '.join(names)}"
                )
        return values

    @model_validator(mode="after")
    def _in_range(self) -> "Hyperparameters":
        wrong = [
            f"{each.name} = {_shown(getattr(self, each.name))}: expected {each.limits_text}"
            for each in self.tunable()
            if not each.least <= getattr(self, each.name) <= each.most
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self


def _shown(number: float) -> str:
    try:
        return f"{number:g}"
    except OverflowError:
        return f"an integer of {number.bit_length()} bits" if isinstance(number, int) else "?"
