"""Batches that fail are halved until the system at fault is alone, and memory is remembered."""

from __future__ import annotations

import pytest
import torch
from clusters import POTENTIAL, clusters

from gadlib.calculators.failures import refused
from gadlib.calculators.halving import InHalves
from gadlib.evaluation import Evaluation
from gadlib.systems.batch import Batch


def one_of(batch: Batch, error: Exception, most: int) -> tuple[list[int], InHalves, Evaluation]:
    """What is said where more than so many systems raise: their numbers, and the answer."""
    sizes: list[int] = []

    def compute(some: Batch) -> Evaluation:
        sizes.append(len(some))
        if len(some) > most:
            raise error
        return POTENTIAL(some, hessian=False)

    halves = InHalves("it", torch.device("cpu"))
    halves(batch, False, compute, failures={})
    return sizes, halves, halves(batch, False, compute, failures={})


def test_what_filled_the_memory_is_not_tried_again_and_what_raised_is():
    batch = clusters(0)
    assert len(batch) == 3
    sizes, halves, found = one_of(batch, torch.OutOfMemoryError("full"), 1)
    assert sizes == [3, 1, 1, 1, 1, 1, 1] and halves.capacity == 1
    torch.testing.assert_close(found.energy, POTENTIAL(batch, hessian=False).energy)
    sizes, _, _ = one_of(batch, ValueError("not three"), 2)
    assert sizes == [3, 1, 1, 1] * 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (torch.OutOfMemoryError("full"), "it: out of memory on cpu"),
        (ValueError("two\nlines"), "it: ValueError: two lines"),
        (ValueError("x" * 999), "it: ValueError: " + "x" * 288),
    ],
)
def test_a_system_that_fails_alone_is_a_failure_in_words(error, told):
    _, _, found = one_of(clusters(0), error, 0)
    assert dict(found.failures) == dict.fromkeys(range(3), told)
    assert found.energy.isnan().all()


def test_a_lost_gpu_is_no_failure_of_a_molecule():
    error = RuntimeError("CUDA error: device-side assert triggered")
    with pytest.raises(RuntimeError, match="device-side"):
        one_of(clusters(0), error, 2)


class Choosy:
    def unsupported(self, atomic_numbers: set[int]) -> dict[int, str]:
        return dict.fromkeys(atomic_numbers & {9, 17}, "not known")

    def refuses(self, charge: int, multiplicity: int) -> str:
        return f"{charge:+d} is refused" if charge else ""


def test_what_a_calculator_is_not_made_for_is_said_by_elements_and_electrons():
    places = [torch.eye(3, dtype=torch.float64)] * 3
    batch = Batch.pack(places, [[1, 6, 8], [17, 9, 1], [1, 1, 1]], charges=[0, 0, 1])
    assert refused(Choosy(), batch) == {1: "element 9: not known", 2: "+1 is refused"}
