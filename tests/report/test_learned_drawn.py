"""What `delta` has learned, drawn: four panels, the calls in order, the saddles apart."""

import pytest
from matplotlib import pyplot as plt

from gadlib import report
from gadlib.screening.learned import map_learned
from gadlib.settings.searches import SearchSettings


@pytest.fixture(scope="module")
def learned():
    pair = {"solver": "delta", "scine_functional": "PM6", "cheap": "scine:DFTB0"}
    return map_learned(SearchSettings.read(pair), n=15)


@pytest.fixture
def panels(learned):
    yield report.draw_learned(learned).axes[:4]
    plt.close("all")


def test_panels_name_the_potentials_and_how_often_the_costly_one_was_asked(panels, learned):
    titles = [ax.get_title(loc="left") for ax in panels]
    n = len(learned.calls)
    assert titles[0] == f"Costly (PM6), asked {n} times"
    assert titles[1].startswith("Cheap (DFTB0)")
    assert titles[2].startswith(f"Learned from {n} calls")
    assert titles[3] == "Cheap + learned"


def test_every_call_is_numbered(panels, learned):
    costly = panels[0]
    (room,) = costly.child_axes
    numbers = [text.get_text() for ax in (costly, room) for text in ax.texts]
    wanted = [str(number) for number in range(1, len(learned.calls) + 1)]
    assert [one for one in numbers if one.isdigit()] == wanted
    assert costly.lines[0].get_xydata() == pytest.approx(learned.calls)


@pytest.mark.parametrize(("place", "name"), [(1, "cheap_saddle"), (3, "surrogate_saddle")])
def test_saddles_are_marked_with_how_far_they_are_apart(panels, learned, place, name):
    star, cross = panels[place].lines[:2]
    own = getattr(learned, name)
    assert star.get_xydata()[0] == pytest.approx(learned.saddle)
    assert cross.get_xydata()[0] == pytest.approx(own)
    way = ((own - learned.saddle) ** 2).sum() ** 0.5
    (_, label) = panels[place].get_legend().get_texts()
    assert label.get_text() == f"its own, {way:.3f} Å away"
