"""The widgets that the page is made of: lists, numbers, buttons, tables, notices.

What a widget of a setting says, and its range, is what is declared of the setting.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w
import pandas as pd

from gadlib.settings.documenting import ends_of
from gadlib.settings.searches import SearchSettings

_MAX_WHOLE = 2**53 - 1  # of a browser
_LABEL = {"description_width": "130px"}


def style() -> w.HTML:
    """How the page looks, as a widget that is to be among its others."""
    text = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return w.HTML(f"<style>{text}</style>", layout={"display": "none"})


def classed(widget: Any, *names: str) -> Any:
    """The widget, with names that the style sheet knows it by."""
    for name in names:
        widget.add_class(f"gadlib-{name}")
    return widget


def dropdown(label: str, options: Any, value: Any, doc: str) -> Any:
    """A list to choose from."""
    return w.Dropdown(
        options=options,
        value=value,
        description=label,
        tooltip=doc,
        style=_LABEL,
        layout={"width": "100%"},
    )


def whole(name: str, label: str, value: int) -> Any:
    """A field for a whole number, with range and meaning as the setting of that name declares."""
    field = SearchSettings.model_fields[name]
    ends = ends_of(field)
    low, high = ends.get("ge", -_MAX_WHOLE), ends.get("le", _MAX_WHOLE)
    return w.BoundedIntText(
        value=value,
        min=int(low),
        max=int(high),
        description=label,
        tooltip=field.description,
        style=_LABEL,
        layout={"width": "230px"},
    )


def text(label: str, value: str, doc: str, **more: Any) -> Any:
    """A field for a line of text; with `options` it offers these while one types."""
    kind: Any = w.Combobox if "options" in more else w.Text
    return kind(
        value=value,
        description=label,
        tooltip=doc,
        continuous_update=False,
        style=_LABEL,
        layout={"width": "100%"},
        **more,
    )


def button(label: str, doc: str, **more: Any) -> w.Button:
    """A button as wide as its label."""
    return w.Button(description=label, tooltip=doc, layout={"width": "auto"}, **more)


def notice(sentence: str, *, is_problem: bool) -> str:
    """A sentence for the user as HTML: what is wrong, or what was done."""
    role = "alert" if is_problem else "status"
    return f'<div role="{role}" class="gadlib-notice">{html.escape(sentence)}</div>'


def table(frame: pd.DataFrame) -> str:
    """The rows as an HTML table, a number and its header at the right; empty without rows."""
    if frame.empty:
        return ""
    columns = {name: [str(value) for value in column] for name, column in frame.items()}
    sides = {name: "number" if _is_number(shown) else "word" for name, shown in columns.items()}
    head = "".join(f'<th class="{sides[n]}">{html.escape(str(n))}</th>' for n in frame.columns)
    rows = [
        "".join(
            f'<td class="{sides[name]}">{html.escape(str(value))}</td>'
            for name, value in row.items()
        )
        for _, row in frame.iterrows()
    ]
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<table class="gadlib-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _is_number(column: Sequence[str]) -> bool:
    """Whether all that stands in the column begins as a number does, as 0.01 and 745i do."""
    return all(shown.lstrip("-−")[:1].isdigit() for shown in column if shown)
