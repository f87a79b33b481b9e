"""Where a saddle leads: followed downhill in the background, its profile, its points."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as w
import numpy as np

from gadlib.explore.browser import Browser
from gadlib.explore.fields import button, classed, table
from gadlib.explore.panel import Panel, Watch
from gadlib.explore.profiles import Profile, no_profile_png
from gadlib.explore.tasks.background import Background, Refused
from gadlib.explore.tasks.downhill import Followed, follow_saddle, require_saddle
from gadlib.explore.tasks.geometry_files import whole_path
from gadlib.explore.tasks.series import Run
from gadlib.explore.view_panel import End, ViewPanel
from gadlib.report.searches.paths import paths_table
from gadlib.settings.reading import InputError

_NONE = "Follow downhill shows here where the saddle of a run leads."


class PathPanel(Panel):
    """Follows the saddle of the shown run, and shows the path.

    Attributes:
        box: the widget; `follow_button` starts.
        arrived: called with a run whose path was found.
    """

    def __init__(
        self,
        shown: Callable[[], Run | None],
        view: ViewPanel,
        browser: Browser,
        say: Callable[[str], None],
        done: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._shown, self._view, self._browser = shown, view, browser
        self._say, self._done = say, done
        self.arrived: Callable[[Run], None] = lambda run: None
        self._profile: Profile | None = None
        self._run: Run | None = None
        self.follow_button = w.Button(
            description="Follow downhill",
            icon="level-down",
            layout={"width": "auto"},
            tooltip="steepest descent from the shown run's saddle, both ways, to the two minima",
        )
        self.stop_button = button("Stop following", "end it at once", icon="stop", disabled=True)
        self.save_button = button(
            "Save path as xyz",
            "every point with its energy, as extxyz of many frames",
            icon="download",
            disabled=True,
        )
        self.status, self._table = w.HTML(_NONE), classed(w.HTML(), "table-box")
        self.profile = classed(w.Image(value=no_profile_png(_NONE), format="png"), "figure")
        acts = classed(w.HBox([self.stop_button, self.save_button]), "bar")
        self.box = w.VBox([acts, self.profile, self.status, self._table])
        self.follow_button.on_click(lambda _: self.start())
        self.stop_button.on_click(lambda _: self.stop())
        self.save_button.on_click(lambda _: self._save())

    def start(self) -> None:
        """Follow the saddle of the shown run, or say in a sentence why not."""
        if self.is_running:
            return
        run = self._shown()
        try:
            record = require_saddle(run)
        except InputError as error:
            self._say(str(error))
            return
        assert run is not None
        self._say("")
        self._is_running = True
        self.follow_button.disabled, self.stop_button.disabled = True, False
        self.status.value = f"Following run {run.number} downhill."
        self._watch = Watch(
            lambda: Background(follow_saddle, run.task, record, run.molecule.reaction),
            partial(self._hear, run),
            partial(self._finish, run),
        )

    def show(self, run: Run | None) -> None:
        """Show the path of a run, or that there is none."""
        self._run = run if run is not None and run.path is not None else None
        self.save_button.disabled = self._run is None
        if self._run is None:
            self._profile = None
            self.profile.value, self._table.value = no_profile_png(_NONE), ""
            return
        path = self._run.path
        assert path is not None
        self._profile = Profile(path)
        self._table.value = table(paths_table([path]).T.reset_index().set_axis(["", " "], axis=1))
        self.status.value = f"Run {self._run.number}: {path.message}"
        self.profile.value = self._profile.png(self._profile.top)

    def offer(self) -> bool:
        """Offer the points of the path in the view; whether there are any."""
        run, profile = self._run, self._profile
        if run is None or profile is None or run.path is None:
            return False
        positions = [np.array(each) for each in run.path.positions]
        ends = [End("first end", positions[0]), End("second end", positions[-1])]
        draw = partial(self._draw, run, profile)
        self._view.show_moments(run.molecule, len(positions), draw, profile.top)
        self._view.show_ends(run.atomic_numbers, ends, positions[profile.top])
        return True

    def _draw(self, run: Run, profile: Profile, place: int) -> None:
        path = run.path
        assert path is not None
        place = min(place, len(path.positions) - 1)
        self._view.molecule.show(
            run.atomic_numbers, np.array(path.positions[place]), caption=profile.caption(place)
        )
        self.profile.value = profile.png(place)

    def _hear(self, run: Run, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Followed):
                run.path = message.path
            elif isinstance(message, Refused):
                self._say(message.sentence)

    def _finish(self, run: Run, is_stopped: bool) -> None:
        self.stop_button.disabled, self.follow_button.disabled = True, False
        self.status.value = "Stopped." if is_stopped else _NONE
        self._is_running = False
        if run.path is not None:
            self.arrived(run)

    def _save(self) -> None:
        assert self._run is not None
        name, text = whole_path(self._run)
        self._browser.keep(name, text)
        self._done(f"{name} is in the browser's downloads.")
