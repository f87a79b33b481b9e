"""The shapes in annotations are enforced, also where a function was called well before."""

from dataclasses import dataclass

import pytest
import torch
import typecheck
from jaxtyping import Float, TypeCheckError, jaxtyped
from torch import Tensor

WIDE, TALL = torch.zeros(2, 3), torch.zeros(3, 2)
checked = jaxtyped(typechecker=typecheck.checked)  # as jaxtyping's import hook does in gadlib


def test_a_wrong_argument_is_refused_after_right_ones():
    @checked
    def sum_of(a: Float[Tensor, "B D"], b: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        return a + b[: len(a)]

    for _ in range(3):
        sum_of(WIDE, WIDE)
        sum_of(TALL, b=TALL)
        with pytest.raises(TypeCheckError):
            sum_of(WIDE, torch.zeros(3, 3))
        with pytest.raises(TypeCheckError):
            sum_of(WIDE, WIDE.long())


def test_a_wrong_result_is_refused_after_right_ones_of_the_same_arguments():
    given = []

    @checked
    def asked(a: Float[Tensor, "B D"]) -> tuple[Float[Tensor, "B D"], str]:
        return given[-1], "x"

    for is_right in (True, True, False, True, False):
        given.append(WIDE if is_right else TALL)
        if is_right:
            assert asked(WIDE)[0] is WIDE
        else:
            with pytest.raises(TypeCheckError, match="return value"):
                asked(WIDE)


def test_fields_that_disagree_are_refused_after_those_that_agree():
    @checked
    @dataclass(frozen=True)
    class Pair:
        a: Float[Tensor, "B D"]
        b: Float[Tensor, "B D"]

    for _ in range(2):
        assert Pair(WIDE, b=WIDE).b is WIDE
        with pytest.raises(TypeCheckError):
            Pair(WIDE, TALL)
