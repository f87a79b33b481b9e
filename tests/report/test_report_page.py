"""The gain by groups, samples, stability, seeds, and the page that holds them."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import optuna
import pytest
from little_studies import (
    DEFAULT,
    DEFAULTS,
    SPACE,
    WORSE,
    foreign,
    make_study,
    of_other_parameters,
    random_study,
    record,
    stored,
    texts,
    write_studies,
)
from matplotlib.colors import to_hex
from optuna.trial import TrialState

from gadlib import report
from gadlib.cli.parser import main
from gadlib.files.writing import write_json
from gadlib.report.style import VERMILLION
from gadlib.report.tuning.parts import OfTrials
from gadlib.screening.records import payload
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.settings.reading import InputError
from gadlib.settings.results import ReportSettings
from gadlib.settings.searches import ScreenSettings, SearchSettings
from gadlib.settings.studies import ValidateSettings


@pytest.fixture
def results(tmp_path):
    return write_studies(tmp_path)


@pytest.fixture(autouse=True)
def drawn_nowhere():
    matplotlib.use("Agg")
    yield
    plt.close("all")


def screened(*difficult: str, of: str = "abcd") -> report.Screened:
    """What a screening of other starts says: which of the reactions are difficult."""
    rows = [record(name, 500 if name in difficult else 1, noise_seed=7) for name in of]
    share = max(len(difficult), 2) / len(of)
    return report.collect_screened(rows, ScreenSettings(difficulty_threshold=min(share, 1.0)))


def sampled_study(*solved: tuple[bool, ...], worked: dict[str, bool] | None = None) -> optuna.Study:
    study = optuna.create_study(direction="maximize", study_name="sampled")
    if worked is not None:
        told = [{"name": name, "converged": ok} for name, ok in worked.items()]
        study.set_user_attr("screening", told)
    for i, row in enumerate(solved):
        samples = [
            {"name": f"rxn{k}", "converged": ok, "steps": 10 + k} for k, ok in enumerate(row)
        ]
        params = DEFAULTS | {"escape_delta": 0.05 + 0.01 * i}
        study.add_trial(
            optuna.trial.create_trial(
                params=params,
                distributions=SPACE,
                value=float(np.mean(row)),
                user_attrs={"samples": samples},
            )
        )
    return study


# The gain


def test_groups_part_the_reactions_and_count_the_discordant():
    gain = report.collect_gain(DEFAULT, WORSE, screened("c", "d"))
    counts = {
        n: (c.converged.default.n, c.converged.gained, c.converged.lost)
        for n, c in gain.groups.items()
    }
    assert counts == {"overall": (4, 1, 1), "difficult": (2, 1, 0), "easy": (2, 0, 1)}
    assert gain.changes[["reaction", "change"]].to_numpy().tolist() == [
        ["b", "lost"],
        ["d", "gained"],
    ]
    assert gain.differences["steps"].tolist() == [-5, 6]
    assert gain.differences["gradients"].tolist() == [0, 12]


def test_easy_reactions_that_fell_are_red_and_said():
    gain = report.collect_gain(DEFAULT, WORSE, screened("c", "d"))
    assert gain.easy_fell
    assert "EASY REACTIONS FELL: 1 of 2" in gain.sentence
    assert report.gain_table(gain)[""].tolist() == ["", "", "FELL"]
    bars = report.draw_gain(gain).axes[0].patches
    assert [to_hex(bar.get_facecolor()).upper() for bar in bars[:6]].count(VERMILLION) == 1
    fine = report.collect_gain(DEFAULT, DEFAULT, screened("c", "d"))
    assert not fine.easy_fell
    red = [to_hex(bar.get_facecolor()).upper() for bar in report.draw_gain(fine).axes[0].patches]
    assert VERMILLION not in red


def test_without_a_screening_nothing_is_said_of_easy_reactions():
    gain = report.collect_gain(DEFAULT, WORSE)
    assert list(gain.groups) == ["overall"]
    assert not gain.easy_fell
    assert "No screening of these reactions says which are easy" in gain.sentence
    assert report.gain_table(gain)["reactions"].tolist() == ["overall"]
    assert [t.get_text() for t in report.draw_gain(gain).axes[0].get_xticklabels()] == [
        "overall\n(4)"
    ]


@pytest.mark.parametrize("difficult", [("a", "b"), ("a", "d"), ("c", "d"), ("b", "c")])
def test_easy_and_difficult_are_the_screenings_whatever_either_side_solves(difficult):
    for default, tuned in ((DEFAULT, WORSE), (WORSE, DEFAULT), (WORSE, WORSE)):
        groups = report.collect_gain(default, tuned, screened(*difficult)).groups
        hard = [r for r in default if r.name in difficult]
        assert groups["difficult"].converged.default.n_success == sum(r.converged for r in hard)
        assert (groups["difficult"].converged.default.n, groups["easy"].converged.default.n) == (
            2,
            2,
        )


def test_what_was_not_screened_is_in_neither_group_and_counted():
    gain = report.collect_gain(DEFAULT, WORSE, screened("b", "x", of="abx"))
    assert (
        gain.groups["easy"].converged.default.n,
        gain.groups["overall"].converged.default.n,
    ) == (
        1,
        4,
    )
    assert "2 of all 4 were not screened and are in neither group" in gain.sentence


def test_screening_from_the_very_starts_that_are_compared_is_said_to_favour_the_defaults():
    same = report.collect_screened(DEFAULT, ScreenSettings())
    assert (
        "2 were screened from the same start" in report.collect_gain(DEFAULT, WORSE, same).sentence
    )
    other = report.collect_gain(DEFAULT, WORSE, screened("c", "d"))
    assert "from the same start" not in other.sentence


@pytest.mark.parametrize(
    "changed",
    [
        {"calculator": "hip"},
        {"scine_functional": "PM6"},
        {"solver": "trust"},
        {"criterion": "strict"},
        {"mode": "reaction"},
        {"start_from": "ts"},
        {"hyperparameters": {"dt_max": 0.02}},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_screening_with_other_settings_says_nothing_of_what_is_easy(changed, tmp_path, capsys):
    path = write_json(tmp_path / "screening.json", payload(ScreenSettings.read(changed), DEFAULT))
    with pytest.raises(InputError, match=f"{next(iter(changed))} was"):
        report.screened_in(path, ValidateSettings())
    assert report.read_screened(str(path), ValidateSettings()) is None
    assert next(iter(changed)) in capsys.readouterr().out


def test_screening_of_another_split_budget_or_seed_is_used(tmp_path):
    other = {"split": "all", "n_steps_per_sample": 7, "noise_seed": 1, "workers": 3}
    path = write_json(tmp_path / "screening.json", payload(ScreenSettings.read(other), DEFAULT))
    found = report.read_screened(str(path), ValidateSettings())
    assert {name for name, _ in found.difficult} == {"c", "d"}
    assert report.read_screened(None, ValidateSettings()) is None


def test_validation_tells_easy_reactions_by_the_screening(tmp_path, capsys):
    small = ["--max-samples", "4", "--n-steps-per-sample", "4", "--workers", "0"]
    small += ["--start-from", "ts_noise0.1A", "--split", "val,test"]
    assert main(["screen", *small, "--out-dir", str(tmp_path / "screen")]) == 0
    path = str(tmp_path / "screen" / "screening.json")
    given = ["validate", *small, "--escape-delta", "0.3", "--screening", path]
    assert main([*given, "--out-dir", str(tmp_path / "v")]) == 0
    told = capsys.readouterr().out
    assert re.search(r"^ *difficult  2 ", told, re.MULTILINE)
    assert "2 were screened from the same start" in told
    assert main([*given, "--solver", "trust", "--out-dir", str(tmp_path / "w")]) == 2
    assert "solver was 'gad', now 'trust'" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_no_search_solved_by_both_is_a_sentence():
    none = [replace(r, converged=False, criteria={"index1": False}) for r in DEFAULT]
    figure = report.draw_gain(report.collect_gain(none, DEFAULT))
    assert "No search converges on both sides" in texts(figure).replace("\n", " ")


# Samples


def test_samples_are_ordered_by_difficulty_and_the_hopeless_named():
    study = sampled_study((True, False, True), (True, False, False), (True, False, True))
    samples = report.collect_samples(study)
    assert samples.names == ("rxn1", "rxn2", "rxn0")
    assert samples.never == ("rxn1",)
    assert samples.trials.tolist() == [1, 0, 2]
    assert samples.solved[1].tolist() == [0.0, 1.0, 1.0]
    assert "1 of 3 samples: rxn1" in report.never_sentence(samples)
    assert report.samples_table(samples)["solved by"].tolist() == ["0%", "67%", "100%"]
    image = report.draw_samples(samples).images[0].get_array()
    assert image.shape == (3, 3)


def test_trials_are_followed_on_the_samples_that_already_worked():
    worked = {"rxn0": True, "rxn1": False, "rxn2": True}
    study = sampled_study(
        (True, False, True), (True, True, False), (False, True, False), worked=worked
    )
    samples = report.collect_samples(study)
    assert dict(zip(samples.names, samples.worked.tolist(), strict=True)) == worked
    best = samples.trials[-1]
    told = report.kept_sentence(samples)
    assert told.startswith(
        f"Of the 2 samples that converged in the screening the best trial ({best})"
    )
    lines = {
        line.get_label(): line.get_ydata().tolist() for line in report.draw_kept(samples).lines
    }
    assert lines == {"converged then (2)": [1.0, 0.5, 0.0], "did not (1)": [0.0, 1.0, 1.0]}
    table = report.samples_table(samples).set_index("sample")["screening"]
    assert table["rxn0"] == "converged"
    assert table["rxn1"] == "not converged"


@pytest.mark.parametrize(
    ("worked", "sentence"),
    [
        (None, "does not say which of its samples converged in the screening"),
        ({"rxn0": False, "rxn1": False}, "None of the 2 samples converged in the screening"),
    ],
)
def test_study_without_samples_that_worked_says_so(worked, sentence):
    samples = report.collect_samples(sampled_study((True, False), (True, True), worked=worked))
    assert sentence in report.kept_sentence(samples)
    assert sentence in texts(report.draw_kept(samples).figure).replace("\n", " ")


STRANGE = {
    "empty": make_study(),
    "only failed": make_study((DEFAULTS, None)),
    "one trial": make_study((DEFAULTS, 0.5)),
    "foreign": foreign(),
}


@pytest.mark.parametrize("study", STRANGE.values(), ids=STRANGE)
def test_what_cannot_be_drawn_is_a_sentence_and_the_rest_appears(study):
    trials, importances = report.collect_trials(study), report.collect_importances(study)
    samples = report.collect_samples(study)
    drawn = [
        report.draw_importances(importances),
        report.draw_stability(report.collect_stability(study, importances)),
        report.draw_samples(samples),
        report.draw_kept(samples),
        report.draw_history(trials),
        report.draw_parallel(trials),
        report.draw_slices(trials),
        report.draw_contours(trials, importances),
        report.draw_seeds(report.collect_seeds([study])),
    ]
    told = [texts(d if hasattr(d, "savefig") else d.figure) for d in drawn]
    assert all(told)
    assert "tells what became of its samples" in told[2].replace("\n", " ")
    is_told = len(study.get_trials(states=(TrialState.COMPLETE,))) > 1
    assert ("No importances can be told" in told[0].replace("\n", " ")) is not is_told


@pytest.mark.parametrize(
    "study", [*STRANGE.values(), of_other_parameters()], ids=[*STRANGE, "other"]
)
def test_page_of_a_strange_study_has_all_that_can_be_drawn(study, results):
    url = stored(study, f"sqlite:///{results}/strange.db")
    out = results / "page.html"
    command = ["report", "--storage", url, "--validation", str(results), "--out", str(out)]
    assert main(command) == 0
    told = out.read_text()
    has_trial = study.trials and study.trials[0].state.name == "COMPLETE"
    is_drawn = has_trial and len(study.directions) == 1
    is_ours = len(study.directions) == 1
    assert told.count("<figure>") == (9 if is_drawn else 2 if is_ours else 1)
    assert ("was not made by gadlib" in told) != is_ours
    assert "Gained and lost (2)" in told
    assert "What still fails with tuned values" in told and "25 % (5-70) of 4 searches" in told


@pytest.mark.parametrize("content", ["", "no database"], ids=["empty file", "text"])
def test_page_without_a_readable_database_says_so(content, results, capsys):
    (results / "broken.db").write_text(content)
    out = results / "page.html"
    command = ["report", "--storage", f"sqlite:///{results}/broken.db", "--out", str(out)]
    assert main([*command, "--validation", str(results)]) == 0
    note, _ = capsys.readouterr().out.splitlines()
    assert "broken.db" in note
    assert "Gained and lost (2)" in out.read_text()


# Stability and seeds


def test_resampled_importances_find_the_hyperparameter_that_matters_each_time():
    study = random_study(60)
    stability = report.collect_stability(study, report.collect_importances(study), n_resamples=4)
    assert set(stability.shares) == {"PED-ANOVA", "fANOVA"}
    for shares in stability.shares.values():
        assert shares.shape == (4, 3)
        assert (shares.argmax(1) == stability.names.index("escape_delta")).all()


def test_same_seed_draws_the_same_trials():
    study = random_study(30)
    importances = report.collect_importances(study)
    one, two = (report.collect_stability(study, importances, n_resamples=2) for _ in range(2))
    assert np.array_equal(one.shares["PED-ANOVA"], two.shares["PED-ANOVA"])


def test_drawn_trials_tell_the_importances_of_a_study_that_has_them():
    study = random_study(40)
    trials = study.trials
    copied = optuna.create_study(direction="maximize")
    copied.add_trials(trials)
    drawn = OfTrials(study, trials)
    assert report.collect_importances(drawn) == report.collect_importances(copied)


def test_studies_of_other_seeds_stand_side_by_side():
    seeds = report.collect_seeds([random_study(40), random_study(50), make_study()])
    assert len(seeds.trials) == 2
    assert seeds.agreement > 0
    table = report.seeds_table(seeds)
    assert table["trials"].tolist() == [41, 51]
    assert table["best"].tolist() == [round(t.scores.max(), 4) for t in seeds.trials]
    left, right = report.draw_seeds(seeds).axes
    assert len(left.lines) == len(right.lines) == 2


def big_study(n: int, n_samples: int) -> optuna.Study:
    generator = np.random.default_rng(3)
    hyperparameters = GadHyperparameters.tunable()
    space = {
        k.name: optuna.distributions.IntDistribution(int(k.low), int(k.high))
        if k.type is int
        else optuna.distributions.FloatDistribution(k.low, k.high, log=k.log)
        for k in hyperparameters
    }
    trials = []
    for _ in range(n):
        spot = generator.random(len(hyperparameters))
        params = {
            k.name: k.type(k.low * (k.high / k.low) ** u if k.log else k.low + u * (k.high - k.low))
            for k, u in zip(hyperparameters, spot, strict=True)
        }
        solved = generator.random(n_samples) < spot[0]
        samples = [
            {"name": f"rxn{i}", "converged": bool(ok), "steps": 10 * i}
            for i, ok in enumerate(solved)
        ]
        trials.append(
            optuna.trial.create_trial(
                params=params,
                distributions=space,
                value=float(solved.mean()),
                user_attrs={"samples": samples},
            )
        )
    study = optuna.create_study(direction="maximize", study_name="big")
    study.add_trials(trials)
    return study


@pytest.mark.slow
def test_figures_of_two_thousand_trials_are_drawn_within_twenty_seconds(tmp_path):
    study = big_study(2000, 15)
    begun = time.process_time()  # others keep the processors busy meanwhile
    trials, shares = report.collect_trials(study), report.collect_shares(study)
    importances = shares.importances[0]
    drawn = [
        report.draw_history(trials),
        report.draw_shares(shares),
        report.draw_stability(report.collect_stability(study, importances)),
        report.draw_parallel(trials),
        report.draw_slices(trials),
        report.draw_contours(trials, importances),
        report.draw_samples(report.collect_samples(study)),
    ]
    for number, figure in enumerate(drawn):
        report.save_figure(figure, tmp_path / f"{number}.png", dpi=100)
    took = time.process_time() - begun
    print(f"{took:.1f} s of processor time")
    assert took < 20
    assert importances.names[0] == "dt_min"


# The page


def test_page_is_one_file_that_asks_nothing_of_the_network(results, capsys):
    out = results / "page.html"
    urls = ",".join(f"sqlite:///{results / name}.db" for name in ("one", "two"))
    command = ["report", "--storage", urls, "--validation", str(results), "--out", str(out)]
    assert main(command) == 0
    told = out.read_text()
    assert not re.findall(r"(?:src|href)=[\"'](?!data:|#)", told.replace("xlink:", ""))
    assert not re.findall(r"url\((?!#|\")", told)
    assert told.count("<svg") + told.count("<img") >= 8
    for part in (
        "Is the gain real?",
        "Which hyperparameter matters?",
        "Other seeds",
        "optuna",
        "--storage",
    ):
        assert part in told
    assert str(out) in capsys.readouterr().out
    assert main(command) == 2
    assert main([*command, "--resume"]) == 0


def test_page_shows_in_red_what_is_missing_and_all_the_rest(results, capsys):
    out = results / "page.html"
    command = ["report", "--storage", "sqlite:///nowhere.db", "--validation", str(results)]
    assert main([*command, "--out", str(out)]) == 0
    assert "no such file nowhere.db" in capsys.readouterr().out
    assert 'class="red">no study is shown' in out.read_text()
    assert "Gained and lost (2)" in out.read_text()


def test_page_of_nothing_is_refused_in_a_sentence(tmp_path, capsys):
    command = ["report", "--storage", f"sqlite:///{tmp_path}/no.db", "--validation", str(tmp_path)]
    assert main([*command, "--out", str(tmp_path / "page.html")]) == 2
    assert "there is nothing to show" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_screening_says_which_are_easy_on_the_page(results):
    screened = [record("a", 1), record("b", 2), record("c", 90), record("d", 99, index1=False)]
    write_json(results / "screening.json", payload(SearchSettings(), screened))
    out = results / "page.html"
    command = ["report", "--storage", "", "--validation", str(results), "--out", str(out)]
    assert main([*command, "--screening", str(results / "screening.json")]) == 0
    assert 'class="red">EASY REACTIONS FELL: 1 of 2' in out.read_text()


def test_screening_that_lacks_all_validated_reactions_is_not_used(results, capsys):
    write_json(results / "screening.json", payload(SearchSettings(), [record("x", 1)]))
    out = results / "page.html"
    command = ["report", "--storage", "", "--validation", str(results), "--out", str(out)]
    assert main([*command, "--screening", str(results / "screening.json")]) == 0
    assert "is not used: it has none of the reactions validated" in capsys.readouterr().out
    assert "No screening of these reactions says which are easy" in out.read_text()


def test_screening_with_another_calculator_is_a_red_sentence_on_the_page(results):
    other = SearchSettings(scine_functional="PM6")
    write_json(results / "screening.json", payload(other, DEFAULT))
    out = results / "page.html"
    command = ["report", "--storage", "", "--validation", str(results), "--out", str(out)]
    assert main([*command, "--screening", str(results / "screening.json")]) == 0
    assert "scine_functional was &#x27;PM6&#x27;, now &#x27;DFTB0&#x27;" in out.read_text()
    assert "FELL" not in out.read_text()


def test_every_setting_of_the_page_is_a_flag(capsys):
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    shown = capsys.readouterr().out
    assert all(f"--{name.replace('_', '-')}" in shown for name in ReportSettings.model_fields)
