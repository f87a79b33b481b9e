"""Records and studies made by hand, small enough to know every number of."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from gadlib.files.writing import write_json
from gadlib.molecules.starting_points import Start
from gadlib.screening.records import Record, payload
from gadlib.settings.studies import ValidateSettings
from gadlib.solver.state import Status

START = Start("rxn0", "H2", "train", "ts", None, np.array([1, 1]), np.eye(2, 3), 1)

SPACE = {
    "dt_max": FloatDistribution(0.01, 0.1, log=True),
    "plateau_patience": IntDistribution(3, 20),
    "escape_delta": FloatDistribution(0.05, 0.5),
}


DEFAULTS = {"dt_max": 0.05, "plateau_patience": 5, "escape_delta": 0.1}


def record(name: str, steps: int, *, index1=True, strict=False, bound=False, **changes):
    status = Status.SADDLE if index1 else Status.OUT_OF_STEPS
    plain = Record.blank(replace(START, name=name), status, status.sentence)
    criteria = {"index1": index1, "strict": strict, "bound": bound}
    verdicts = {"converged": index1, "criteria": criteria}
    return replace(plain, steps=steps, order=1 if index1 else 3, fmax=0.5, **verdicts, **changes)


MIXED = [
    record("fast", 10),
    record("slow", 150, strict=True, bound=True),
    record("open", 200, index1=False),
    record("broken", 3, index1=False, message="The calculator broke.", escapes=1),
]


def make_study(*trials: tuple[dict, float | None]) -> optuna.Study:
    study = optuna.create_study(direction="maximize", study_name="little")
    for params, score in trials:
        state = TrialState.FAIL if score is None else TrialState.COMPLETE
        study.add_trial(create_trial(params=params, distributions=SPACE, value=score, state=state))
    return study


def random_study(n: int) -> optuna.Study:
    generator = np.random.default_rng(0)
    drawn = [
        {
            "dt_max": 10 ** generator.uniform(-2, -1),
            "plateau_patience": int(generator.integers(3, 21)),
            "escape_delta": generator.uniform(0.05, 0.5),
        }
        for _ in range(n)
    ]
    return make_study((DEFAULTS, 0.2), *((p, float(p["escape_delta"])) for p in drawn))


def texts(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(plt.Text))


def foreign() -> optuna.Study:
    study = optuna.create_study(directions=["maximize", "minimize"], study_name="foreign")
    for x in (0.1, 0.3):
        study.add_trial(
            optuna.trial.create_trial(
                params={"x": x},
                distributions={"x": optuna.distributions.FloatDistribution(0, 1)},
                values=[x, x],
            )
        )
    return study


def of_other_parameters() -> optuna.Study:
    study = optuna.create_study(direction="maximize", study_name="others")
    for x in (0.1, 0.3, 0.4, 0.9):
        space = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xy"}
        params = {"x": x, "y": x**2}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=x**3))
    return study


def stored(study: optuna.Study, url: str) -> str:
    """The URL, after the study was copied there under its own name, as one that gadlib made.

    One of several objectives stays another program's.
    """
    optuna.copy_study(from_study_name=study.study_name, from_storage=study._storage, to_storage=url)
    if len(study.directions) == 1:
        optuna.load_study(study_name=study.study_name, storage=url).set_user_attr("gadlib", {})
    return url


DEFAULT = [record("a", 10), record("b", 20), record("c", 30), record("d", 99, index1=False)]


WORSE = [record("a", 5), record("b", 99, index1=False), record("c", 36), record("d", 40)]
WORSE[2] = replace(WORSE[2], n_gradient=12)


def write_studies(tmp_path):
    """A folder with two studies in SQLite and a validation."""
    for name, n in (("one", 30), ("two", 20)):
        url = f"sqlite:///{tmp_path / name}.db"
        optuna.copy_study(
            from_study_name="little", from_storage=_stored(n), to_storage=url, to_study_name=name
        )
        optuna.load_study(study_name=name, storage=url).set_user_attr("gadlib", {})
    for side, records in (("default", DEFAULT), ("tuned", WORSE)):
        write_json(tmp_path / f"{side}.json", payload(ValidateSettings(), records))
    return tmp_path


def _stored(n: int) -> optuna.storages.BaseStorage:
    return random_study(n)._storage
