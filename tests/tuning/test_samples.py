"""Which reactions a study is about, from a screening made by hand."""

from dataclasses import replace

import pytest
from little_reactions import write_h5

from gadlib.files.writing import write_json
from gadlib.screening.records import Record, payload
from gadlib.screening.setup import identity_of, starts_of
from gadlib.settings.reading import InputError
from gadlib.settings.searches import ScreenSettings
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning.samples import difficult_samples, fresh_samples

STEPS = {"rxn00": 5, "rxn01": 9, "rxn02": None}
"""Of the searches of the train split; None did not converge."""


@pytest.fixture
def screened(tmp_path):
    """Settings of a study, and a screening that it may be made from."""
    h5_path = str(write_h5(tmp_path / "little.h5"))
    wanted = ScreenSettings(h5_path=h5_path, n_steps_per_sample=20, start_from="ts")
    records = [
        replace(
            Record.blank(start, Status.OUT_OF_STEPS, ""),
            steps=STEPS[start.name] or 20,
            converged=STEPS[start.name] is not None,
        )
        for start in starts_of(wanted)
    ]

    def settings(records=records, **changes):
        path = tmp_path / "screening.json"
        write_json(path, payload(wanted, records, about=identity_of(wanted)))
        asked = {
            "h5_path": h5_path,
            "screening": str(path),
            "screening_steps": 20,
            "start_from": "ts",
            "n_samples": 1,
        }
        return TuneSettings(**(asked | changes))

    settings.records = records
    return settings


def test_the_hardest_come_first_and_there_are_twice_as_many_as_a_trial_takes(screened):
    records, starts = difficult_samples(screened())
    assert [r.name for r in records] == list(STEPS)
    assert [s.name for s in starts] == ["rxn02", "rxn01"]
    _, starts = difficult_samples(screened(n_samples=2))
    assert [s.name for s in starts] == ["rxn02", "rxn01", "rxn00"]


def test_samples_are_searched_from_the_starts_of_the_set(screened):
    _, starts = difficult_samples(screened())
    known = {
        s.name: s for s in starts_of(ScreenSettings(h5_path=screened().h5_path, start_from="ts"))
    }
    assert all((s.positions == known[s.name].positions).all() for s in starts)


@pytest.mark.parametrize("n_samples", [3, 4])
def test_a_trial_takes_no_more_samples_than_there_are(screened, n_samples):
    if n_samples == 3:
        assert len(difficult_samples(screened(n_samples=3))[1]) == 3
        return
    with pytest.raises(InputError, match="n_samples 4: larger than the set, expected at most 3"):
        difficult_samples(screened(n_samples=4))


def test_a_screening_of_a_reaction_that_the_set_lacks_is_refused(screened):
    strange = [replace(screened.records[2], name="rxn99"), *screened.records[:2]]
    with pytest.raises(InputError, match="has no rxn99 in split 'train'"):
        difficult_samples(screened(records=strange))


def test_a_screening_made_with_other_steps_is_refused(screened):
    with pytest.raises(InputError, match="n_steps_per_sample was 20, now 21"):
        difficult_samples(screened(screening_steps=21))


@pytest.fixture
def embedded(tmp_path):
    """Settings of a study on the embedded set, screened by hand: each takes a step more."""
    wanted = ScreenSettings(n_steps_per_sample=200, start_from="ts")
    starts = starts_of(wanted)
    records = [
        replace(Record.blank(start, Status.ORDER_ONE, ""), steps=i, converged=True, n_gradient=i)
        for i, start in enumerate(starts, start=1)
    ]
    path = tmp_path / "screening.json"
    write_json(path, payload(wanted, records, about=identity_of(wanted)))

    def settings(**changes):
        asked = {"screening": str(path), "screening_steps": 200, "start_from": "ts"}
        return TuneSettings(**asked, **changes)

    settings.steps = {record.name: record.steps for record in records}
    return settings


def test_trials_take_samples_of_all_strata_where_that_is_asked_for(embedded):
    settings = embedded(n_samples=9, trial_samples="strata")
    records, starts = difficult_samples(settings)
    steps = [embedded.steps[start.name] for start in starts]
    chosen, n = steps[:9], len(records)
    assert chosen == sorted(chosen, reverse=True)  # the hardest first, as rungs take them
    assert sorted(steps) == [*range(n // 2 + 1, n + 1)]  # the difficult half, each once
    bands = [sum(low < step <= low + n / 6 for step in chosen) for low in (n / 2, 2 * n / 3)]
    assert all(2 <= band <= 4 for band in bands)
    hardest = difficult_samples(embedded(n_samples=9))[1]
    assert [embedded.steps[start.name] for start in hardest[:9]] == [*range(n, n - 9, -1)]
    fresh = fresh_samples(embedded(n_samples=9, n_race=9), records, starts[:9])
    assert not {start.name for start in fresh} & {start.name for start in starts[:9]}


def test_which_samples_of_all_strata_is_for_the_seed_of_the_sample_to_say(embedded):
    def names(**changes):
        settings = embedded(n_samples=6, trial_samples="strata", **changes)
        return [start.name for start in difficult_samples(settings)[1][:6]]

    assert names() == names(seed=7)  # studies of several seeds have the same
    assert names() != names(sample_seed=1)
