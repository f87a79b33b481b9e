"""Recipes of starting points: where a search begins that knows a reaction's three geometries.

A recipe is a row of the table; its name is what settings say, and noise may be added to each.
Several joined by `+` are a portfolio: a reaction is searched from the first, then from the next
while no search has met the criterion. What lists recipes (settings, the page, `python -m gadlib
starts`, the documentation) reads the table.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from gadlib.molecules.interpolation import geodesic, idpp, linear
from gadlib.molecules.reactions import Reaction
from gadlib.settings.reading import InputError

MAX_NOISE = 5.0
"""The largest standard deviation of the noise in A: beyond, nothing of the molecule is left."""

JOIN = "+"
"""Between the recipes of a portfolio, as in `idpp_rp+midpoint_rp_noise0.1A`."""

N_IMAGES = 7
"""Images between reactant and product; an odd number has one in the middle."""


Place = Callable[[Reaction, torch.Generator], Float[np.ndarray, "n 3"]]
"""The positions in A, from a reaction and the random numbers of its seed; noise is drawn later."""


class Recipe(NamedTuple):
    """A row of the table.

    Attributes:
        doc: what it is, in a line.
        needs: which geometries of the reaction must be known, and the package if it takes one.
        place: where the atoms are; raises InputError where a package is missing.
    """

    doc: str
    needs: str
    place: Place


def _mean(r: float, t: float, p: float) -> Place:
    """The weighted mean of reactant, transition state and product, atom by atom."""

    def place(reaction: Reaction, _: torch.Generator) -> Float[np.ndarray, "n 3"]:
        return r * reaction.reactant + t * reaction.transition_state + p * reaction.product

    return place


def _middle(reaction: Reaction, _: torch.Generator) -> Float[np.ndarray, "n 3"]:
    """Half way from the reactant to the product, which is superposed on it first."""
    return linear(reaction.reactant, reaction.product, 1)[0]


def _middle_of_idpp(reaction: Reaction, _: torch.Generator) -> Float[np.ndarray, "n 3"]:
    numbers, ends = reaction.atomic_numbers, (reaction.reactant, reaction.product)
    return idpp(numbers, *ends, N_IMAGES)[N_IMAGES // 2]


def _middle_of_geodesic(reaction: Reaction, _: torch.Generator) -> Float[np.ndarray, "n 3"]:
    numbers, ends = reaction.atomic_numbers, (reaction.reactant, reaction.product)
    return geodesic(numbers, *ends, N_IMAGES)[N_IMAGES // 2]


_R, _T, _P = "reactant", "transition state", "product"
RECIPES = {
    "reactant": Recipe("the reactant", _R, _mean(1.0, 0.0, 0.0)),
    "midpoint_rt": Recipe(f"half way from {_R} to {_T}", f"{_R}, {_T}", _mean(0.5, 0.5, 0.0)),
    "three_quarter_rt": Recipe("three quarters of that way", f"{_R}, {_T}", _mean(0.25, 0.75, 0.0)),
    "ts": Recipe(f"the {_T} that the reaction came with", _T, _mean(0.0, 1.0, 0.0)),
    "product": Recipe("the product", _P, _mean(0.0, 0.0, 1.0)),
    "midpoint_rp": Recipe(f"half way from {_R} to {_P}", f"{_R}, {_P}", _middle),
    "idpp_rp": Recipe(
        f"the middle of a path from {_R} to {_P} on which distances go on evenly (IDPP)",
        f"{_R}, {_P}",
        _middle_of_idpp,
    ),
    "geodesic_rp": Recipe(
        f"the middle of the shortest path from {_R} to {_P} by distances that fade (geodesic)",
        f"{_R}, {_P}; the package geodesic-interpolate",
        _middle_of_geodesic,
    ),
}


def parse_start(start_from: str) -> tuple[str, float]:
    """The recipe's name and the noise in A of a start such as `midpoint_rt_noise1.0A`.

    Raises:
        InputError: when there is no such recipe, or too much noise.
    """
    match = re.fullmatch(r"([a-z_]+?)(?:_noise(\d+(?:\.\d+)?)A)?", start_from)
    if match is None or match[1] not in RECIPES:
        raise InputError(
            f"start {start_from!r}: expected one of {', '.join(RECIPES)},"
            " with an optional _noise<A>A, as in midpoint_rt_noise1.0A"
        )
    noise = float(match[2] or 0.0)
    if noise > MAX_NOISE:
        raise InputError(
            f"start {start_from!r}: expected noise of at most {MAX_NOISE} A,"
            " else nothing of the molecule is left"
        )
    return match[1], noise


def parse_starts(start_from: str) -> tuple[tuple[str, float], ...]:
    """The recipe and the noise in A of each start of a portfolio, in order; of one recipe its own.

    Raises:
        InputError: as `parse_start`, or when a point would be searched from twice.
    """
    found = tuple(parse_start(one) for one in in_turn(start_from))
    for place, (name, noise) in enumerate(found):
        if not noise and (name, noise) in found[:place]:
            raise InputError(
                f"start {start_from!r}: {name} is there twice, which without noise is the same"
                " point; expected each once, or noise, which is drawn anew"
            )
    return found


def in_turn(start_from: str) -> tuple[str, ...]:
    """The starts of a portfolio, in order, as settings say each; of one recipe itself."""
    return tuple(start_from.split(JOIN))


def is_portfolio(start_from: str) -> bool:
    """Whether there are several starts."""
    return len(in_turn(start_from)) > 1


def places(reaction: Reaction, start_from: str, seed: int) -> list[Float[np.ndarray, "n 3"]]:
    """The positions in A of each start of a portfolio; of one recipe its own.

    The first noisy one draws what it would draw alone, each other one draws on, so that no two
    have the same noise.

    Args:
        reaction: with its three geometries.
        start_from: recipes, each with noise or without.
        seed: of all that is drawn.

    Raises:
        InputError: as `parse_starts`.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for name, noise in parse_starts(start_from):
        positions = RECIPES[name].place(reaction, generator)
        if noise:
            drawn = torch.randn(positions.shape, generator=generator, dtype=torch.float32)
            positions = positions + (noise * drawn).double().numpy()
        found.append(positions)
    return found


def table() -> str:
    """The recipes, a line for each, and how noise is added."""
    width = max(map(len, RECIPES))
    lines = [f"{name:<{width}}  {r.doc} (from {r.needs})" for name, r in RECIPES.items()]
    noise = (
        "each with an optional _noise<A>A, Gaussian noise of that standard deviation (at most"
        f" {MAX_NOISE:g} A) on every coordinate, as in midpoint_rt_noise1.0A"
    )
    several = (
        f"several joined by {JOIN}, as in idpp_rp{JOIN}midpoint_rp_noise0.1A: searched from in turn"
        " until a search meets the criterion, each with all the steps of a search"
    )
    return "\n".join([*lines, noise, several])


def markdown_table() -> str:
    """The recipes as a table in Markdown, as the documentation has it."""
    rows = [f"| `{name}` | {recipe.doc} | {recipe.needs} |" for name, recipe in RECIPES.items()]
    return "\n".join(["| recipe | where a search begins | needs |", "|---|---|---|", *rows])
