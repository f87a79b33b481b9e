"""Foreign code that would end the program, and real signals while it computes."""

import signal
import subprocess
import sys
import time

import pytest
import warm

from gadlib.progress.interrupts import ForeignExit, outlived

COMPUTING = """
import signal, sys, time, torch
from gadlib.systems.batch import Batch
from gadlib.evaluation import Evaluation
from gadlib.progress.interrupts import heard
from gadlib.evaluation import evaluate

def slow(batch, *, hessian=True):
    print("computing", flush=True)
    try:
        time.sleep(60)
    except BaseException as error:
        {then}
    raise RuntimeError("it was not interrupted")

with heard():
    try:
        told, _ = evaluate(slow, Batch.pack([torch.eye(3)], [[1, 1, 1]]), hessian=False)
    except KeyboardInterrupt:
        print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        sys.exit(130)
print(told.failures)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "then",
    ["raise", "sys.exit(0)", "raise ValueError('odd') from error", "raise KeyboardInterrupt", "0"],
)
def test_a_real_signal_interrupts_whatever_the_calculator_makes_of_it(number, then):
    process = warm.Popen(
        [sys.executable, "-c", COMPUTING.format(then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "computing\n"
        time.sleep(0.1)  # so that it is computing
        process.send_signal(number)
        told, errors = process.communicate(timeout=30)
    finally:  # what is left of it would fail another test
        process.kill()
        process.communicate()
    assert (told, process.returncode) == ("interrupted True\n", 130), errors


@pytest.mark.parametrize("ending", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_what_would_end_the_program_is_an_exception(ending):
    with pytest.raises(ForeignExit, match=f"it raised {ending.__name__} 7"), outlived():
        raise ending(7)


def test_exceptions_and_results_pass():
    with pytest.raises(ZeroDivisionError), outlived():
        _ = 1 / 0
    with outlived():
        found = 3
    assert found == 3


def test_handlers_are_as_they_were():
    def before(number, frame):
        raise TimeoutError

    kept = signal.signal(signal.SIGALRM, before)
    try:
        with pytest.raises(TimeoutError), outlived():
            signal.raise_signal(signal.SIGALRM)
        assert signal.getsignal(signal.SIGALRM) is before
    finally:
        signal.signal(signal.SIGALRM, kept)


def test_a_handler_that_raises_nothing_interrupts_nothing():
    came = []
    kept = signal.signal(signal.SIGTERM, lambda number, _: came.append(number))
    try:
        with outlived():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(ForeignExit), outlived():
            signal.raise_signal(signal.SIGTERM)
            raise SystemExit
    finally:
        signal.signal(signal.SIGTERM, kept)
    assert came == [signal.SIGTERM] * 2
