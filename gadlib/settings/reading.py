"""What a user gives: read by name, checked, refused in a sentence that says what was expected.

Not what may be given, nor its defaults: those are declared in the modules beside this one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.fields import FieldInfo

from gadlib.settings.documenting import attribute_of, document, ends_of

S = TypeVar("S", bound="Settings")

_MOST_LISTED = 8
_MAX_SHOWN = 100
_URL_WITH_PASSWORD = re.compile(r"([A-Za-z][\w+.-]*:/{0,3})[^\s/'\",]*?:[^\s'\"]*@")
_PASSWORD_OPTION = re.compile(r"(password=)[^&\s'\"]*", re.IGNORECASE)


class InputError(ValueError):
    """What the user gave cannot be used; the message names it and says what was expected."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, and no traceback, which would say nothing more."""
        return [f"InputError: {self}"]


def explain(error: ValidationError, fields: Mapping[str, FieldInfo] | None = None) -> str:
    """The reasons in a pydantic error, one sentence, without its framework's dressing.

    Args:
        error: of a model or a shape.
        fields: of the model, for ranges and for what is not to be shown.
    """
    reasons: list[str] = []
    named: set[tuple[Any, ...]] = set()
    for item in error.errors():
        loc = item["loc"][:-1] if item["loc"] and item["loc"][-1] in _BRANCHES else item["loc"]
        if loc in named:  # of a value that may be of several types the first says enough
            continue
        named.add(loc)
        reason = item["msg"].removeprefix("Value error, ")
        place = ".".join(str(part) for part in loc)
        field = (fields or {}).get(str(loc[0])) if loc else None
        if field is not None and (limits := _limits(field)) and item["type"] in _OUT_OF_RANGE:
            reason += f" ({limits})"
        is_hidden = field is not None and not field.repr
        value = f" = {shown(item['input'])}" if not is_hidden and item["type"] != "missing" else ""
        reasons.append(f"{place}{value}: {reason}" if place else reason)
    return "; ".join(reasons[:_MAX_REASONS]) + ("; ..." if len(reasons) > _MAX_REASONS else "")


_MAX_REASONS = 5
_BRANCHES = ("float", "int", "str")
_OUT_OF_RANGE = (
    *("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
    *("int_parsing_size", "finite_number"),
)


def _limits(field: FieldInfo) -> str:
    """The range of a number in words, empty where there is none with two ends."""
    found = ends_of(field)
    low, high = found.get("ge", found.get("gt")), found.get("le", found.get("lt"))
    return "" if low is None or high is None else f"expected {low} .. {high}"


def shown(value: Any) -> str:
    """A value as a message may show it: not too long, and without passwords."""
    if holds_password(value):
        return "a URL with a password, which is not shown"
    try:
        text = without_secrets(repr(value))
    except ValueError:  # Python refuses to write integers of thousands of digits
        return "an integer of thousands of digits"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."


def without_secrets(text: str) -> str:
    """The text with the passwords of URLs in it, malformed ones too, replaced by asterisks."""
    return _PASSWORD_OPTION.sub(r"\1***", _URL_WITH_PASSWORD.sub(r"\1***@", text))


def listed(reasons: Sequence[str]) -> str:
    """The reasons in one line; of many the first ones and how many more there are."""
    more = len(reasons) - _MOST_LISTED
    return "; ".join(reasons[:_MOST_LISTED]) + (f"; and {more} more" if more > 0 else "")


def holds_password(url: Any) -> bool:
    """Whether this is a URL with a password in it, or holds one."""
    if isinstance(url, Mapping):
        return any(map(holds_password, url.values()))
    if isinstance(url, list | tuple | set):
        return any(map(holds_password, url))
    if not isinstance(url, str):
        return False
    rest = url.partition("://")[2]
    user, at, _ = rest.rpartition("@")
    is_of_user = bool(at) and ":" in user and not rest.startswith("/")
    return is_of_user or without_secrets(url) != url


class Settings(BaseModel):
    """Frozen settings; unknown names are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, protected_namespaces=()
    )

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        units = {name: cls.extra(name).get("unit", "") for name in cls.model_fields}
        fields = cls.model_fields.items()
        document(cls, (attribute_of(name, field, unit=units[name]) for name, field in fields))

    topic: ClassVar[str] = "output"
    """Of the settings that the class declares, where they name none: one of `topics.TOPICS`."""

    @classmethod
    def extra(cls, name: str) -> dict[str, Any]:
        """What is declared of a setting; what is declared anew leaves the rest as it was."""
        found: dict[str, Any] = {}
        for kind in reversed(cls.__mro__):
            field = getattr(kind, "model_fields", {}).get(name)
            if field is not None and isinstance(field.json_schema_extra, Mapping):
                found |= field.json_schema_extra
        return found

    @classmethod
    def topic_of(cls, name: str) -> str:
        """What a setting is about: one of `topics.TOPICS`."""
        first = next(k for k in reversed(cls.__mro__) if name in getattr(k, "model_fields", {}))
        extra = cls.extra(name)
        return extra.get("topic") or extra.get("of") or first.topic

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
            if isinstance(values[name], str) and "\0" in values[name]:
                raise ValueError(
                    f"{name} = {shown(values[name])}: has a NUL character, expected text without"
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
            raise InputError(explain(error, cls.model_fields)) from None

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
