"""The saddle between a reactant and a product: two files or a reaction, the verdict, the levels."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as w

from gadlib.explore.fields import button, classed, dropdown, table, text
from gadlib.explore.panel import Panel, Watch
from gadlib.explore.profiles import no_profile_png
from gadlib.explore.sources import files_here
from gadlib.explore.stage import DRAWING, blank, png
from gadlib.explore.tasks.background import Background, Refused, Task
from gadlib.explore.tasks.between import Found, ends_of, find_between, settings_of
from gadlib.explore.tasks.choice import Molecule
from gadlib.report.searches.routes import draw_route, found_table
from gadlib.report.style import panels
from gadlib.screening.records import Record
from gadlib.settings.reading import InputError
from gadlib.settings.searches import FindSettings

_NONE = "Find looks for the saddle between two ends, whatever start is chosen."


class FindPanel(Panel):
    """Looks for the saddle between two ends, and shows what it joins.

    Attributes:
        box: the widget; `find_button` starts.
        record: what was found last, None before.
    """

    def __init__(
        self,
        task: Callable[[], Task],
        chosen: Callable[[], Molecule],
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._task, self._chosen, self._say = task, chosen, say
        self.record: Record | None = None
        more = {"options": files_here(), "ensure_option": False}
        hint = "none: that of the chosen reaction"
        self.reactant, self.product = (
            text(name, "", f"file with the {name}", placeholder=hint, **more)
            for name in ("reactant", "product")
        )
        doc = FindSettings.model_fields["guess"].description or ""
        self.guess = text("guess", "", doc, placeholder="none: images between the ends", **more)
        words = FindSettings.extra("relax_ends")["words"]
        doc = FindSettings.model_fields["relax_ends"].description or ""
        default = FindSettings.model_fields["relax_ends"].default
        self.relax: Any = dropdown("relax the ends", list(words), default, doc)
        self.find_button = button("Find", "look for the saddle between the ends", icon="random")
        self.stop_button = button("Stop finding", "end it at once", icon="stop", disabled=True)
        self.figure = classed(w.Image(value=no_profile_png(_NONE), format="png"), "figure")
        self.status, self._table = w.HTML(_NONE), classed(w.HTML(), "table-box")
        bar = classed(w.HBox([self.find_button, self.stop_button]), "bar")
        fields = [self.reactant, self.product, self.guess, self.relax]
        self.box = w.VBox([*fields, bar, self.figure, self.status, self._table])
        self.find_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())

    def start(self) -> None:
        """Look between the ends, or say in a sentence why not."""
        if self.is_running:
            return
        try:
            files = self.reactant.value.strip(), self.product.value.strip()
            ends = ends_of(*files, self._chosen())
            settings = settings_of(self._task(), self.relax.value, self.guess.value.strip())
        except InputError as error:
            self._say(str(error))
            return
        self._say("")
        self._is_running = True
        self.find_button.disabled, self.stop_button.disabled = True, False
        self.status.value = "Looking for the saddle."
        self._watch = Watch(
            lambda: Background(find_between, settings, *ends), self._hear, self._finish
        )

    def show(self, record: Record) -> None:
        """Show what was found."""
        self.record = record
        with DRAWING:
            figure, axes = panels(figure=blank(6.6, 3.6, layout="constrained"))
            draw_route(record, ax=axes[0, 0])
            self.figure.value = png(figure)
        self._table.value = table(found_table([record]))
        verdict = record.verdict or "not found"
        self.status.value = f"<b>{html.escape(verdict)}.</b> {html.escape(record.message)}"

    def _hear(self, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Found):
                self.show(message.record)
            elif isinstance(message, Refused):
                self.status.value = _NONE
                self._say(message.sentence)

    def _finish(self, is_stopped: bool) -> None:
        self.find_button.disabled, self.stop_button.disabled = False, True
        if is_stopped:
            self.status.value = "Stopped."
        self._is_running = False
