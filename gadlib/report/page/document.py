"""A page of results that can be sent: one HTML file that asks nothing of the network.

Figures are inline SVG, or PNG where they hold so many points that SVG would be large.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import optuna
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gadlib.paths.records import PathRecord
from gadlib.report.searches.chemistry import collect_chemistry, draw_chemistry
from gadlib.report.searches.nearness import nearness_sentence
from gadlib.report.searches.paths import (
    draw_profiles_of,
    draw_verdicts,
    paths_table,
    verdict_sentence,
)
from gadlib.report.searches.screening import Screened, failure_table
from gadlib.report.tuning.best import best_table, easy_sentence, ends_sentence
from gadlib.report.tuning.front import collect_front, draw_front, front_table
from gadlib.report.tuning.held_out import (
    Sides,
    collect_held_out,
    held_out_sentence,
    held_out_table,
)
from gadlib.report.tuning.interactions import collect_shares, draw_shares, pairs_sentence
from gadlib.report.tuning.landscape import draw_contours, draw_parallel, draw_slices
from gadlib.report.tuning.race import race_sentence, race_table
from gadlib.report.tuning.samples import (
    collect_samples,
    draw_kept,
    draw_samples,
    kept_sentence,
    never_sentence,
    samples_table,
)
from gadlib.report.tuning.stability import (
    agreement_sentence,
    collect_seeds,
    collect_stability,
    draw_seeds,
    draw_stability,
    seeds_table,
)
from gadlib.report.tuning.study import collect_trials, draw_history
from gadlib.report.tuning.words import choices_sentence, collect_words, words_table
from gadlib.report.validation.comparison import comparison_table
from gadlib.report.validation.gain import collect_gain, draw_gain, gain_table
from gadlib.screening.records import Record, versions
from gadlib.settings.reading import without_secrets

MAX_SVG = 400_000
"""Characters above which a figure becomes a PNG."""

_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>gadlib report</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; }}
h1, h2 {{ font-weight: 600; }} h2 {{ margin-top: 2em; border-bottom: 1px solid #ddd; }}
table {{ border-collapse: collapse; font-size: 13px; margin: 1em 0; }}
td, th {{ padding: 3px 9px; border-bottom: 1px solid #eee; text-align: left; }}
figure {{ margin: 1em 0; }} svg, img {{ max-width: 100%; height: auto; }}
pre {{ background: #f6f6f6; padding: 0.8em; font-size: 12px; white-space: pre-wrap;
  overflow-wrap: anywhere; }}
.wide {{ overflow-x: auto; }}
.red {{ color: #b30000; font-weight: 700; }}
</style></head><body>
<h1>Saddle searches, tuned</h1>
<p>Written {when}. Made again by:</p><pre>{command}</pre>
"""


class Material(NamedTuple):
    """What a page is made of; what is missing is left out of it.

    Attributes:
        studies: the first is shown in full, all of them side by side.
        default, tuned: records from the same starting points.
        screened: which reactions are difficult and easy, None where no screening says.
        paths: what saddles join.
        settings: what all of it was done with, by source.
        command: the one that writes this page.
        notes: what could not be read, a sentence each.
        validations: of the studies, in their order, where there is one for each.
    """

    studies: Sequence[optuna.Study]
    default: Sequence[Record]
    tuned: Sequence[Record]
    screened: Screened | None
    paths: Sequence[PathRecord]
    settings: Mapping[str, Any]
    command: str
    notes: Sequence[str] = ()
    validations: Sequence[Sides] = ()


def page(material: Material) -> str:
    """The page, as HTML."""
    now = datetime.now().astimezone().isoformat(timespec="minutes")
    parts = [_HEAD.format(when=now, command=html.escape(material.command))]
    parts += [sentence(note, is_red=True) for note in material.notes]
    for title, section in _SECTIONS.items():
        if found := [*section(material)]:
            parts += [f"<h2>{title}</h2>", *found]
    return "\n".join([*parts, "</body></html>\n"])


def _gain(material: Material) -> Iterator[str]:
    if not material.default:
        return
    gain = collect_gain(material.default, material.tuned, material.screened)
    yield sentence(gain.groups["overall"].verdict)
    yield sentence(gain.sentence, is_red=gain.easy_fell)
    yield table(gain_table(gain))
    yield figure(lambda: draw_gain(gain))
    yield table(comparison_table(gain.groups["overall"]))
    for side, records in (("the defaults", material.default), ("tuned values", material.tuned)):
        yield sentence(f"With {side}: {nearness_sentence(records)}")
    yield f"<h3>Gained and lost ({len(gain.changes)})</h3>"
    yield table(gain.changes)
    chemistry = collect_chemistry(material.tuned)
    yield "<h3>What still fails with tuned values</h3>" + sentence(chemistry.sentence)
    if chemistry.groups and chemistry.failed.n_success:
        yield figure(lambda: draw_chemistry(chemistry))
    yield table(failure_table(material.tuned))


def _study(material: Material) -> Iterator[str]:
    if not material.studies:
        return
    study = material.studies[0]
    trials, shares = collect_trials(study), collect_shares(study)
    importances = shares.importances[0]
    yield figure(lambda: draw_history(trials))
    if len(study.directions) > 1:
        found = collect_front(study)
        yield sentence(found.sentence)
        yield figure(lambda: draw_front(found))
        yield table(front_table(found))
    if trials.best is None:
        return
    if len(raced := race_table(study)):
        yield "<h3>The race</h3>" + sentence(race_sentence(study))
        yield table(raced)
    samples, stability = collect_samples(study), collect_stability(study, importances)
    yield sentence(pairs_sentence(shares))
    yield figure(lambda: draw_shares(shares))
    yield figure(lambda: draw_stability(stability))
    yield figure(lambda: draw_parallel(trials))
    yield figure(lambda: draw_slices(trials))
    yield figure(lambda: draw_contours(trials, importances))
    yield "<h3>Best values, and ranges to widen</h3>" + table(best_table(trials))
    yield sentence(ends_sentence(study))
    yield sentence(easy_sentence(study))
    if trials.chosen:
        yield sentence(choices_sentence(study))
        yield table(words_table(collect_words(study)))
    yield "<h3>Samples</h3>" + sentence(never_sentence(samples))
    yield figure(lambda: draw_samples(samples))
    yield sentence(kept_sentence(samples))
    yield figure(lambda: draw_kept(samples))
    yield table(samples_table(samples))


def _seeds(material: Material) -> Iterator[str]:
    if len(material.studies) < 2:
        return
    seeds = collect_seeds(material.studies)
    yield sentence(agreement_sentence(seeds))
    yield figure(lambda: draw_seeds(seeds))
    held_out = collect_held_out(material.studies, material.validations)
    yield sentence(held_out_sentence(held_out))
    yield table(held_out_table(held_out))
    upright = seeds_table(seeds).astype(str).set_index("study").T
    yield table(upright.rename_axis(columns=None).reset_index(names=""))


def _paths(material: Material) -> Iterator[str]:
    paths = material.paths
    if not paths:
        return
    yield sentence(verdict_sentence(paths))
    yield figure(lambda: draw_verdicts(paths))
    yield figure(lambda: draw_profiles_of(paths))
    yield table(paths_table(paths))


def _settings(material: Material) -> Iterator[str]:
    found = pd.DataFrame([versions()]).T.reset_index()
    yield table(found.set_axis(["package", "version"], axis=1))
    for name, values in material.settings.items():
        shown = without_secrets(json.dumps(values, indent=1, default=str))
        yield f"<h3>{html.escape(name)}</h3><pre>{html.escape(shown)}</pre>"


_SECTIONS: dict[str, Callable[[Material], Iterator[str]]] = {
    "Is the gain real?": _gain,
    "Which hyperparameter matters?": _study,
    "Other seeds": _seeds,
    "Are they the right saddles?": _paths,
    "Settings and versions": _settings,
}
"""The page from top to bottom, by title; a section of nothing is left out."""


def sentence(text: str, *, is_red: bool = False) -> str:
    """A paragraph, red where it must not be overlooked."""
    mark = ' class="red"' if is_red else ""
    return f"<p{mark}>{html.escape(text)}</p>"


def table(frame: pd.DataFrame) -> str:
    """A table; a cell that says that something fell is red."""
    if not len(frame):
        return "<p>None.</p>"
    shown = frame.to_html(index=False, border=0, na_rep="-")
    shown = shown.replace("<td>FELL</td>", '<td class="red">FELL</td>')
    return f'<div class="wide">{shown}</div>'


def figure(draw: Callable[[], Figure | Axes]) -> str:
    """A drawing as inline SVG, or PNG where that would be large; closed when it is written."""
    drawn = draw()
    made = drawn if isinstance(drawn, Figure) else drawn.get_figure(root=True)
    assert made is not None
    try:
        return f"<figure>{_image(made)}</figure>"
    finally:
        plt.close(made)


def _image(made: Figure) -> str:
    if sum(len(ax.lines) for ax in made.axes) < 200:
        text = io.StringIO()
        made.savefig(text, format="svg", metadata={"Date": None})
        svg = text.getvalue()
        if len(svg) < MAX_SVG:
            return svg[svg.index("<svg") :]
    data = io.BytesIO()
    made.savefig(data, format="png", dpi=130)
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'
