"""What a user gives: read by name, checked, refused in a sentence that says what was expected.

Not what may be given, nor its defaults: settings are declared in `settings` and `review`. Floor 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

S = TypeVar("S", bound="Settings")

_MOST_TOLD = 8


class InputError(ValueError):
    """What the user gave cannot be used; the message names it and says what was expected."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, and no traceback, which would say nothing more."""
        return [f"InputError: {self}"]


def explain(error: ValidationError) -> str:
    """The reasons in a pydantic error, one sentence, without its framework's dressing."""
    reasons = []
    for item in error.errors():
        reason = item["msg"].removeprefix("Value error, ")
        place = ".".join(str(part) for part in item["loc"])
        reasons.append(f"{place} = {item['input']!r}: {reason}" if place else reason)
    return "; ".join(reasons)


def listed(reasons: Sequence[str]) -> str:
    """The reasons in one line; of many the first ones and how many more there are."""
    more = len(reasons) - _MOST_TOLD
    return "; ".join(reasons[:_MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def holds_password(url: Any) -> bool:
    """Whether this is a URL with a password in it."""
    if not isinstance(url, str):
        return False
    rest = url.partition("://")[2]
    user, at, _ = rest.rpartition("@")
    is_of_user = bool(at) and ":" in user and not rest.startswith("/")
    return is_of_user or "password=" in rest


class Settings(BaseModel):
    """Frozen settings; unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    @model_validator(mode="before")
    @classmethod
    def _known_names(cls, values: Any) -> Any:
        for name in values if isinstance(values, Mapping) else ():
            if name not in cls.model_fields:
                near = difflib.get_close_matches(str(name), list(cls.model_fields), n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                raise ValueError(
                    f"{name}: unknown setting{hint}; known: {', '.join(cls.model_fields)}"
                )
        return values

    @classmethod
    def read(cls: type[S], values: Mapping[str, Any]) -> S:
        """The settings from a mapping.

        Raises:
            InputError: when a name is unknown or a value is not of its type or range.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(explain(error)) from None

    @classmethod
    def from_namespace(cls: type[S], namespace: Mapping[str, Any]) -> S:
        """The settings whose values are variables of a notebook, as `globals()` holds them.

        Raises:
            InputError: as `read`, and when a URL among them has a password: whoever reads the
                notebook would read that too.
        """
        for name in ("storage", "best"):
            if holds_password(namespace.get(name)):
                raise InputError(
                    f"{name}: a URL with a password, which a notebook keeps: expected it in the"
                    " environment variable GADLIB_STORAGE, or the password alone in PGPASSWORD;"
                    " copies executed with it hold it"
                )
        return cls.read({name: namespace[name] for name in cls.model_fields if name in namespace})
