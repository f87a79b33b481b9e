from __future__ import annotations

import numpy as np
from faulty import Springs
from test_screen import STARTS, start_of

from gadlib.hyperparameters import GadHyperparameters
from gadlib.searches import Job, search_starts


def test_batch_of_bad_starts_alone_is_only_records():
    flat = start_of("NH3", positions=np.zeros((4, 3)))
    job = Job(Springs(), (flat, flat), GadHyperparameters(), "index1", 2)
    assert [r.status for r in search_starts(job)] == ["bad_start"] * 2


def test_frames_are_shown_to_the_caller_as_they_come():
    seen = []
    job = Job(Springs(), tuple(STARTS[:2]), GadHyperparameters(), "index1", 3)
    search_starts(job, on_frame=seen.append)
    assert [int(f.state.steps[0]) for f in seen] == [0, 1, 2, 3]
