"""The reaction coordinate on surfaces where it is known, and on the embedded reactions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from clusters import padded, spoiled

from gadlib import calculators
from gadlib.calculators.surfaces import double_well, muller_brown
from gadlib.molecules import reactions
from gadlib.solver.downhill import irc
from gadlib.solver.downhill.descent import downhill
from gadlib.solver.downhill.relaxation import RELAXED_FORCE, relax
from gadlib.solver.points import begin
from gadlib.systems.batch import Batch


def references(n: int) -> tuple[list[reactions.Reaction], Batch]:
    found = reactions.read(max_samples=n)
    places = [r.transition_state for r in found]
    return found, Batch.pack(places, [r.atomic_numbers for r in found])


def places(surface, order: int) -> np.ndarray:
    return surface.stationary(order).positions.flatten(1).numpy()


@pytest.mark.parametrize("surface", [muller_brown(), double_well()])
def test_both_ways_lead_to_known_minima_which_differ(surface):
    minima = places(surface, 0)
    for path in irc.follow(surface, surface.stationary(1)):
        ends = np.stack([leg.positions[-1].flatten().numpy() for leg in path.legs])
        apart = np.linalg.norm(ends[:, None] - minima[None], axis=-1)
        assert apart.min(1).max() < 2e-3
        assert apart[0].argmin() != apart[1].argmin()


def test_path_is_that_of_the_differential_equation():
    # dx/ds = -g / |g|, by the midpoint rule in small steps from the first point off the saddle
    surface = muller_brown()
    batch = surface.stationary(1)

    def slope(flat: torch.Tensor) -> torch.Tensor:
        point = Batch(flat.reshape(-1, 1, 3), numbers, is_free=False)
        forces = surface(point, hessian=False).forces.flatten(1)
        return forces / forces.norm(dim=-1, keepdim=True)

    legs = [leg for path in irc.follow(surface, batch, hessian_every=1) for leg in path.legs]
    numbers = batch.atomic_numbers.repeat_interleave(2, dim=0)
    exact = [torch.stack([leg.positions[1].flatten() for leg in legs])]
    for _ in range(400):
        middle = exact[-1] + 0.002 * slope(exact[-1])
        exact.append(exact[-1] + 0.004 * slope(middle))
    for i, leg in enumerate(legs):
        found = leg.positions[1:].flatten(1)
        found = found[(found - found[-1]).norm(dim=-1) > 0.15]
        off = torch.cdist(found, torch.stack(exact, 1)[i]).amin(1)
        assert off.max() < 0.02


def test_energy_falls_all_the_way_and_the_arc_grows():
    _, batch = references(4)
    calculator = calculators.get("scine", functional="DFTB0")
    for path in irc.follow(calculator, batch):
        for leg in path.legs:
            assert (leg.energy.diff() < 1e-5).all()
            assert (leg.travelled.diff() >= 0).all()
            assert leg.max_force < RELAXED_FORCE
            assert min(leg.vibrations.wavenumbers_cm1) > 0


def test_ends_are_the_reference_ends():
    found, batch = references(4)
    calculator = calculators.get("scine", functional="DFTB0")
    for reaction, path in zip(found, irc.follow(calculator, batch), strict=True):
        known = Batch.pack([reaction.reactant, reaction.product], [reaction.atomic_numbers] * 2)
        known_energies = sorted(calculator(known, hessian=False).energy.tolist())
        energies = sorted(float(leg.energy[-1]) for leg in path.legs)
        assert energies == pytest.approx(known_energies, abs=2e-3)


def test_batched_is_as_alone_and_padding_changes_nothing():
    _, batch = references(3)
    calculator = calculators.get("scine", functional="DFTB0")
    together = irc.follow(calculator, padded(batch))
    for i, path in enumerate(together):
        numbers, positions = batch.system(i)
        (single,) = irc.follow(calculator, Batch.pack([positions], [numbers]))
        for leg, other in zip(path.legs, single.legs, strict=True):
            assert float(leg.energy[-1]) == pytest.approx(float(other.energy[-1]), abs=1e-5)
            assert leg.positions.shape[1] == len(numbers)


def test_minimum_has_no_way_down_and_says_so():
    surface = muller_brown()
    path = irc.follow(surface, surface.stationary(0))[0]
    assert path.legs == ()
    assert "no mode with a negative eigenvalue" in path.message


@pytest.mark.parametrize("how", ["raises", "nan"])
def test_what_fails_on_the_way_is_told_and_harms_nobody(how):
    surface = double_well()
    batch = surface.stationary(1)
    first = batch.positions[0, 0]

    def is_far(asked: Batch):
        away = asked.positions[:, 0] - first
        return (away.norm(dim=-1) > 0.2) & (away.norm(dim=-1) < 0.6)

    paths = irc.follow(spoiled(surface, is_far, how=how), batch)
    told = "cursed" if how == "raises" else "not finite"
    assert any(told in leg.message for leg in paths[0].legs)
    whole = irc.follow(surface, batch)
    sound = [not any(leg.message for leg in path.legs) for path in paths]
    assert any(sound)
    for path, other, is_sound in zip(paths, whole, sound, strict=True):
        if is_sound:
            assert float(path.legs[0].energy[-1]) == pytest.approx(
                float(other.legs[0].energy[-1]), abs=1e-5
            )


def test_relaxing_goes_on_from_a_saddle_that_it_began_at():
    surface = double_well()
    state = relax(surface, begin(surface.stationary(1), surface))
    assert (state.order == 0).all()
    assert (state.max_force < RELAXED_FORCE).all()


def test_downhill_steps_have_the_length_asked_for_unless_the_minimum_is_nearer():
    gradient = torch.tensor([[1.0, -0.5, 0.0], [0.01, 0.02, 0.0]], dtype=torch.float64)
    curvature = torch.tensor([[-1.0, 2.0, torch.inf], [1.0, 2.0, torch.inf]], dtype=torch.float64)
    step = downhill(gradient, curvature, torch.tensor([0.1, 0.1], dtype=torch.float64))
    assert float(step[0].norm()) == pytest.approx(0.1, abs=1e-6)
    assert step[1].tolist() == pytest.approx([-0.01, -0.01, 0.0], abs=1e-6)
