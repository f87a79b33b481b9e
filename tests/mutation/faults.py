"""Deliberate faults, and for each the test that catches it: `python tests/mutation/faults.py`.

Each was once made in this package, or is easily made, and no test saw it. All are tried in forks of
one process (`forks`), each with its own test alone; the program ends with 1 when one is not caught,
when its place in the source is no longer found, or when its test is gone.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(Path(__file__).parent)]

from forks import CAUGHT, Mutant, attempt, run, warm_up  # noqa: E402
from transplant import living  # noqa: E402


class Fault(NamedTuple):
    """What is wrong, where, and who sees it."""

    what: str
    file: str
    old: str
    new: str
    test: str


RULE, TRIES = "gadlib/solver/trust/rule.py", "gadlib/solver/trust/tries.py"
CLAIMS = "gadlib/solver/trust/claims.py"
IMAGE, CURVATURE = "gadlib/solver/image_step.py", "gadlib/solver/trust/curvature.py"
SETTLING, DISTURBANCES = (
    "gadlib/solver/trust/settling.py",
    "gadlib/solver/trust/disturbances.py",
)

FAULTS = [
    Fault(
        "a saddle is claimed while the wall acts",
        CLAIMS,
        "(current.age > 0) & ~current.wall.is_active",
        "(current.age > 0)",
        "tests/solver/test_rule.py::test_no_claim_is_made_while_the_wall_acts",
    ),
    Fault(
        "a Hessian is called exact with the wall in its spectrum",
        RULE,
        "is_exact=is_due & ~barrier.is_active",
        "is_exact=is_due",
        "tests/solver/test_rule.py::test_a_spectrum_with_the_wall_in_it_is_never_exact",
    ),
    Fault(
        "the actual change of the energy is told without the wall's",
        RULE,
        "moved.energy + after - state.energy - before",
        "moved.energy - state.energy",
        "tests/solver/test_rule.py::test_the_actual_change_of_the_energy_counts_the_wall",
    ),
    Fault(
        "one certificate more is spent than a try has",
        TRIES,
        "n_certificates >= MAX_CERTIFICATES",
        "n_certificates > MAX_CERTIFICATES",
        "tests/solver/test_tries.py::test_a_climb_ends_at_rest_when_its_certificates_are_spent",
    ),
    Fault(
        "a climb in circles goes on",
        TRIES,
        "return state.memory.current.is_circling",
        "return state.memory.current.is_circling & False",
        "tests/solver/test_tries.py::test_a_climb_that_came_back_ends",
    ),
    Fault(
        "a step back to the noted place is not seen",
        RULE,
        "(distance < CIRCLE_NEAR * length) & (length > CIRCLE_STEP)",
        "(distance < 0 * length) & (length > CIRCLE_STEP)",
        "tests/solver/test_rule.py"
        "::test_a_step_of_some_length_that_ends_near_the_noted_place_led_back",
    ),
    Fault(
        "a climb goes on however high it is",
        TRIES,
        "return is_high & (memory.current.steps > FALL_STEPS)",
        "return is_high & False",
        "tests/solver/test_tries.py"
        "::test_a_climb_ends_twelve_ev_above_the_lowest_point_but_not_at_once",
    ),
    Fault(
        "a climb whose model has stalled keeps it",
        CURVATURE,
        "return is_old & is_stuck & (state.max_force > STALL_FORCE)",
        "return is_old & is_stuck & (state.max_force > 1e3)",
        "tests/solver/test_sharpen.py::test_a_climb_has_stalled",
    ),
    Fault(
        "a rebuilt molecule with the forces of another place is taken for calm",
        SETTLING,
        "is_settling = state.memory.current.phase == Phase.SETTLING",
        "is_settling = state.memory.current.phase != Phase.CLIMBING",
        "tests/solver/test_tries.py"
        "::test_a_rebuilt_molecule_has_not_settled_whatever_its_stale_forces",
    ),
    Fault(
        "what is aimed at is let go while the rest settles",
        RULE,
        "step = pick(held, move_beside_aim(state, step), step)",
        "step = pick(held, step, step)",
        "tests/solver/test_tries.py"
        "::test_a_start_with_an_aim_settles_with_that_held_until_the_rest_has_small_forces",
    ),
    Fault(
        "a start that was a molecule is shaken at once",
        DISTURBANCES,
        "gentle = is_gentle(state) & (number > 0)",
        "gentle = is_gentle(state) & (number > 1)",
        "tests/solver/test_tries.py"
        "::test_a_start_that_was_a_molecule_is_disturbed_gently_and_more_each_time",
    ),
    Fault(
        "a mode that curves down counts no more than another",
        "gadlib/solver/trust/memory.py",
        "worth = worth * (1 + DOWN_BONUS",
        "worth = worth * (1 + 0 * DOWN_BONUS",
        "tests/solver/test_sharpen.py"
        "::test_a_mode_that_curves_down_is_climbed_rather_than_one_with_three_times_its_aim",
    ),
    Fault(
        "the radius stays after a poorly predicted step",
        IMAGE,
        "torch.minimum(radius, length) * h.radius_shrink, radius)",
        "radius, radius)",
        "tests/solver/test_image_step.py::test_the_radius_after_a_step",
    ),
    Fault(
        "a step below the floor of distances is taken as it is",
        IMAGE,
        "is_bad = ((after < floor) & (after < before)).any(-1).any(-1)",
        "is_bad = ((after < 0) & (after < before)).any(-1).any(-1)",
        "tests/solver/test_image_step.py::test_a_step_below_the_floor_is_halved_until_it_is_not",
    ),
    Fault(
        "a pair that is below the floor already may come closer",
        IMAGE,
        "(after < floor) & (after < before)",
        "(after < floor) & (before >= floor)",
        "tests/solver/test_image_step.py"
        "::test_atoms_below_the_floor_already_may_part_but_not_approach",
    ),
    Fault(
        "one pair below the floor halves the steps of all molecules",
        IMAGE,
        "torch.where(is_bad[:, None, None], move / 2, move)",
        "move / 2",
        "tests/solver/test_image_step.py::test_a_step_below_the_floor_is_halved_until_it_is_not",
    ),
    Fault(
        "a Hessian that is not a number passes for one",
        "gadlib/evaluation.py",
        "for name in LARGEST\n",
        'for name in ("energy", "forces")\n',
        "tests/solver/test_state.py"
        "::test_numbers_that_no_molecule_has_are_refused_with_the_calculators_name",
    ),
    Fault(
        "what results depend on is told without the mode that is climbed",
        "gadlib/settings/calculators.py",
        "not is_other and not is_given",
        'not is_other and not is_given and name != "mode"',
        "tests/tuning/test_what_a_sample_depends_on.py"
        "::test_another_sample_is_computed_when_the_settings_ask_for_one",
    ),
    Fault(
        "a cached sample is the same whichever mode is climbed",
        "gadlib/tuning/sample_cache.py",
        "dict(identity),",
        '{k: v for k, v in identity.items() if k != "mode"},',
        "tests/tuning/test_what_a_sample_depends_on.py"
        "::test_another_sample_is_computed_when_the_settings_ask_for_one",
    ),
]


def changed(fault: Fault) -> str:
    """The whole file with the fault.

    Raises:
        SystemExit: when the place is not found, or not the only one.
    """
    source = (ROOT / fault.file).read_text()
    if source.count(fault.old) != 1:
        raise SystemExit(f"{fault.file}: {source.count(fault.old)} times {fault.old!r}, expected 1")
    return source.replace(fault.old, fault.new)


def mutant(fault: Fault, make: Callable[[], str]) -> Mutant:
    """The fault in the form of a mutant."""
    return Mutant(fault.file, 0, "", fault.old, fault.new, make)


class Faults:
    """A plugin of pytest that runs each fault's own test with the fault."""

    def __init__(self) -> None:
        self.missed = list(FAULTS)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all faults in the place of one run of the tests."""
        warm_up(session)
        functions = living({ROOT / fault.file for fault in FAULTS})
        all_items = session.items
        mine = {fault.test for fault in FAULTS}
        named = [item for item in all_items if item.nodeid.split("[")[0] in mine]
        if (whole := attempt(session, named, None, functions, 600))[0] in CAUGHT:
            raise session.Interrupted(f"fails without any fault: {whole[1]}")
        for fault in FAULTS:
            items = [i for i in all_items if i.nodeid.split("[")[0] == fault.test]
            verdict, by = "no such test", ""
            if items:
                one = mutant(fault, partial(changed, fault))
                verdict, by = attempt(session, items, one, functions, 120)
            if verdict in CAUGHT:
                self.missed.remove(fault)
            print(f"{verdict}: {fault.what}\n    {by or fault.test}", flush=True)
        return True


def main() -> None:
    """Run as a program."""
    for fault in FAULTS:
        changed(fault)
    plugin = Faults()
    run(plugin, sys.argv[1:] or sorted({fault.test.split("::")[0] for fault in FAULTS}))
    n_caught = len(FAULTS) - len(plugin.missed)
    print(f"{n_caught} of {len(FAULTS)} deliberate faults are caught")
    raise SystemExit(n_caught < len(FAULTS))


if __name__ == "__main__":
    main()
