"""The trials of a worker on a study in memory: judged as samples come, never computed twice."""

from dataclasses import replace

import optuna
import pytest
from faulty import Springs
from little_searches import STARTS
from optuna.trial import TrialState

from gadlib.cluster.workers import Worker
from gadlib.screening.jobs import Job
from gadlib.screening.records import Record
from gadlib.screening.references import key_of
from gadlib.settings.objectives import objectives_of
from gadlib.settings.studies import TuneSettings
from gadlib.solver.state import Status
from gadlib.tuning import trials
from gadlib.tuning.rungs import Ladder, Rung
from gadlib.tuning.sample_cache import Cache
from gadlib.tuning.space import SAMPLERS
from gadlib.tuning.study import settings_shown
from gadlib.tuning.trials import Loop

SAMPLES = tuple(STARTS[:3])
N_STEPS = 10


def loop_of(tmp_path, **changes):
    settings = TuneSettings(
        **{"workers": 0, "n_steps_per_sample": N_STEPS, "n_trials": 2, "batch_size": 1} | changes
    )
    objectives = objectives_of(settings.objective, settings.solver)
    study = optuna.create_study(directions=[one.direction for one in objectives])
    study.set_user_attr("gadlib", {"objectives": [one.name for one in objectives]})
    study.set_user_attr("settings", settings_shown(settings))
    return Loop(Worker(study, settings.n_trials), settings, Springs(), SAMPLES, Cache(tmp_path))


def found(start, *, converged, steps=N_STEPS):
    return replace(Record.blank(start, Status.OUT_OF_STEPS, ""), converged=converged, steps=steps)


def judged_with(loop, *records):
    """The attributes and the state of a trial, after these records of it were there."""
    this = loop._claim()
    this.found.update(enumerate(records))
    loop._judge(this.trial.number)
    return loop.worker.trials()[this.trial.number]


def test_all_trials_run_and_tell_what_they_found(tmp_path):
    loop = loop_of(tmp_path)
    assert list(loop) == [0, 1]
    for trial in loop.worker.trials():
        assert trial.state is TrialState.COMPLETE
        assert trial.user_attrs["n_samples"] == 3 and trial.user_attrs["n_cached"] == 0
        assert [s["name"] for s in trial.user_attrs["samples"]] == [s.name for s in SAMPLES]
        assert trial.value == trial.user_attrs["score"]
        assert trial.user_attrs["worker"] == loop.worker.name
    assert loop.worker.trials()[0].user_attrs["seed"] == loop.settings.seed
    assert list(loop) == []


def test_a_sample_that_was_computed_is_not_computed_again(tmp_path):
    first = loop_of(tmp_path / "a", n_trials=1)
    first.worker.study.enqueue_trial({h.name: h.default for h in first.drawn})
    assert list(first) == [0]
    diary = tmp_path / "diary"
    again = loop_of(tmp_path / "a", n_trials=1)
    again.calculator = Springs(diary=diary)
    again.worker.study.enqueue_trial({h.name: h.default for h in again.drawn})
    assert list(again) == [0]
    assert not diary.exists()
    (told,) = again.worker.trials()
    assert told.user_attrs["n_cached"] == 3
    assert told.value == first.worker.trials()[0].value


def test_a_trial_is_decided_with_its_last_sample(tmp_path):
    loop = loop_of(tmp_path)
    met = [found(start, converged=True, steps=4) for start in SAMPLES]
    assert judged_with(loop, *met[:2]).state is TrialState.RUNNING
    trial = judged_with(loop, *met)
    assert trial.state is TrialState.COMPLETE
    assert trial.value == pytest.approx(1 - 0.01 * 4 / N_STEPS)
    assert list(loop.reported) == [1]


@pytest.mark.parametrize(
    ("pruning", "is_met", "state"),
    [
        ("best_possible", False, TrialState.PRUNED),
        ("best_possible", True, TrialState.PRUNED),  # it could only be as good
        ("none", False, TrialState.RUNNING),
    ],
)
def test_a_trial_that_cannot_be_the_best_any_more_ends(tmp_path, pruning, is_met, state):
    loop = loop_of(tmp_path, pruning=pruning)
    best = judged_with(loop, *(found(start, converged=True, steps=0) for start in SAMPLES))
    assert best.value == 1.0 == loop.best().value
    assert judged_with(loop, found(SAMPLES[0], converged=is_met, steps=0)).state is state


def test_a_trial_that_may_still_be_better_goes_on(tmp_path):
    loop = loop_of(tmp_path)
    judged_with(loop, *(found(start, converged=True, steps=5) for start in SAMPLES))
    trial = judged_with(loop, found(SAMPLES[0], converged=True, steps=5))
    assert trial.state is TrialState.RUNNING


def test_a_pruned_trial_tells_what_was_possible_and_what_it_found(tmp_path):
    loop = loop_of(tmp_path)
    judged_with(loop, *(found(start, converged=True, steps=0) for start in SAMPLES))
    trial = judged_with(loop, found(SAMPLES[0], converged=False))
    assert trial.state is TrialState.PRUNED
    assert trial.intermediate_values == {1: pytest.approx(2 / 3)}
    assert trial.user_attrs["n_samples"] == 1 and trial.user_attrs["n_converged"] == 0


def test_a_sample_of_a_trial_that_has_ended_is_only_remembered(tmp_path):
    loop = loop_of(tmp_path)
    this = loop._claim()
    job = job_of(loop, this)
    del loop.running[this.trial.number]
    record = found(SAMPLES[0], converged=True)
    loop._keep(job, 0, record)
    assert this.found == {}
    assert loop.cache.get(loop._key(this.hyperparameters, 0)) == record


def job_of(loop, this):
    """The first sample of a trial."""
    tag = (this.trial.number, [0])
    return Job.of(loop.settings, SAMPLES[:1], loop.calculator, this.hyperparameters, tag=tag)


@pytest.mark.parametrize(("limit", "is_known"), [(5.0, True), (6.0, False), (None, False)])
def test_what_the_limit_of_time_ended_is_known_for_that_limit_alone(tmp_path, limit, is_known):
    loop = loop_of(tmp_path, search_timeout_s=5.0)
    this = loop._claim()
    job = job_of(loop, this)
    late = replace(found(SAMPLES[0], converged=False), status=str(Status.TIMED_OUT))
    loop._keep(job, 0, late)
    other = loop_of(tmp_path, search_timeout_s=limit)
    name = other._key(this.hyperparameters, 0)
    assert other.cache.get(name) is None
    assert (other.cache.get(other._timed(name)) == late) is is_known


@pytest.mark.parametrize(
    ("seconds", "n_found", "n_cached", "expected"),
    [(5.0, 0, 0, False), (5.1, 0, 0, True), (5.1, 1, 0, False), (5.1, 1, 1, True)],
)
def test_a_trial_has_stalled_when_no_sample_was_done_in_a_fair_time(
    tmp_path, monkeypatch, seconds, n_found, n_cached, expected
):
    this = loop_of(tmp_path)._claim()
    this.began, this.n_cached = 0.0, n_cached
    this.found.update({i: found(SAMPLES[i], converged=True) for i in range(n_found)})
    monkeypatch.setattr(trials.time, "monotonic", lambda: seconds)
    assert this.is_stalled is expected


def test_what_is_unfinished_is_queued_again_in_the_end(tmp_path):
    loop = loop_of(tmp_path)
    loop._claim()
    loop.end()
    assert [t.state for t in loop.worker.trials()] == [TrialState.FAIL, TrialState.WAITING]
    assert loop.worker.trials()[0].user_attrs["ended"] == "interrupted"


def test_the_seed_is_the_settings_and_the_first_trials_number(tmp_path):
    loop = loop_of(tmp_path, n_trials=5, seed=2**32 - 2)
    loop.worker.study.add_trial(optuna.trial.create_trial(value=0.0))
    loop.worker.study.add_trial(optuna.trial.create_trial(value=0.0))
    this, after = loop._claim(), loop._claim()
    assert (this.trial.number, loop.worker.seed) == (2, 0)  # modulo 2**32
    assert [loop.worker.trials()[t.trial.number].user_attrs["seed"] for t in (this, after)] == [
        0,
        0,
    ]


def test_of_several_objectives_a_trial_ends_that_another_matches_in_all(tmp_path):
    loop = loop_of(tmp_path, objective="converged,steps", n_trials=3)
    judged_with(loop, *(found(start, converged=True, steps=4) for start in SAMPLES))
    slow_and_poor = found(SAMPLES[0], converged=False)
    slow = judged_with(loop, slow_and_poor, found(SAMPLES[1], converged=True, steps=9))
    assert slow.state is TrialState.PRUNED and not slow.intermediate_values
    assert slow.user_attrs["n_samples"] == 2
    quick = judged_with(loop, found(SAMPLES[0], converged=True, steps=2))
    assert quick.state is TrialState.RUNNING


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "cmaes"])
def test_every_sampler_goes_on_from_constraints_and_pruned_trials(tmp_path, sampler):
    """Trials that keep the constraint, that miss it, and one that ended early."""
    constrained = {"constraints": "steps<=6", "objective": "converged,gradients"}
    loop = loop_of(tmp_path, sampler=sampler, n_startup_trials=2, n_trials=99, **constrained)
    for steps in (4, 9, 5, 7):
        trial = judged_with(loop, *(found(s, converged=True, steps=steps) for s in SAMPLES))
        assert trial.constraints == {"steps<=6": steps - 6}
    early = judged_with(loop, found(SAMPLES[0], converged=False))
    assert early.state is TrialState.PRUNED
    assert loop.best().number == 0
    again = judged_with(loop, *(found(s, converged=True, steps=3) for s in SAMPLES))
    assert loop.best().number == again.number


def test_a_record_is_compared_with_the_reactions_own_saddle(tmp_path):
    loop = loop_of(tmp_path, objective="recovered,steps")
    there = [replace(found(s, converged=True, steps=4), order=1) for s in SAMPLES]
    there = [replace(r, criteria={**r.criteria, "strict": True}) for r in there]
    moved = [[1.5 * x, 1.5 * y, 1.5 * z] for x, y, z in there[1].positions]
    loop.references = {key_of(r): r for r in there}
    there[1] = replace(there[1], positions=moved)
    trial = judged_with(loop, *there)
    assert trial.values == [pytest.approx(2 / 3), 4]
    kept = [sample["criteria"]["recovered"] for sample in trial.user_attrs["samples"]]
    assert kept == [True, False, True]


def test_a_trial_whose_samples_are_all_there_stands_at_its_rungs_too(tmp_path):
    loop = loop_of(tmp_path, pruning="halving", objective="steps")
    loop.samples = loop.ways.samples = tuple(STARTS[:4])
    loop.ladder = Ladder((Rung(2),), 4, 4)
    first = loop._claim()
    for place, start in enumerate(loop.samples):
        record = found(start, converged=True, steps=place + 1)
        loop.cache.put(loop._key(first.hyperparameters, place), record)
    loop.running.clear()
    loop.worker.study.enqueue_trial(first.trial.params)
    assert loop._next_job() is None  # neither has another sample, and there are two trials
    again = loop.worker.trials()[1]
    assert again.user_attrs[Rung(2).name] == (2.0,) and again.user_attrs["n_cached"] == 4
