"""From ASE's Atoms to ASE's Atoms: a saddle found from a guess, with what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from gadlib.ase.systems import (
    aim_of,
    batch_of,
    fragments_of,
    hyperparameters_of,
    potential_of,
    with_cheap,
)
from gadlib.settings.calculators import DISPLACEMENT
from gadlib.settings.criteria import AT_POINTS
from gadlib.settings.hyperparameters import Hyperparameters
from gadlib.settings.reading import InputError
from gadlib.solver.goal import Frame
from gadlib.solver.handing_over import told_on_the_way
from gadlib.solver.search import search
from gadlib.solver.state import lowest_displacement


def find_saddle(
    guess: Atoms,
    *,
    calculator: Any = None,
    solver: str = "trust",
    cheap: str = "auto",
    criterion: str | None = None,
    mode: str = "lowest",
    max_fragments: int | None = None,
    n_steps: int = 800,
    hyperparameters: Mapping[str, Any] | Hyperparameters | None = None,
    displacement: float = DISPLACEMENT,
) -> Atoms:
    """The saddle that a search from the guess ends at, as Atoms with energy and forces.

        saddle = find_saddle(guess, calculator=EMT())
        saddle.info["status"], saddle.info["frequency_cm1"], saddle.get_potential_energy()

    `saddle.info` says how the search ended: `status` ("saddle" where it met the criterion) and
    `message`, which criteria it meets (`index1`, `strict`, `bound`), `order` (negative vibrational
    eigenvalues), `frequency_cm1` of the lowest mode, negative where imaginary, `imaginary_cm1`
    (0 where there is none), `fmax` (eV/A), `n_fragments`, `steps`, `n_gradient` and `n_hessian`,
    named as in `Record` and in files of geometries, `proof` where a few products prove the order;
    what is not known is left out. `saddle.arrays["mode"]` is the lowest mode as a Cartesian
    displacement of length one, where the order is proved. Cell, frozen atoms and all else are those
    of the guess, which stays as it is.

    A search that finds no saddle raises nothing: it gives the Atoms where it ended, with a status
    other than "saddle". Where nothing could be computed, they have no energy.

    Args:
        guess: where to begin; frozen atoms (FixAtoms) and cells as `SaddleSearch` takes them.
        calculator: an ASE calculator or one of gadlib's; by default that of the guess.
        solver: `trust`, `gad` or `delta`.
        cheap: potential below the calculator for the solver `delta`, as the setting of that name;
            expected by name where the calculator is GFN2-xTB or DFTB0 itself.
        criterion: what ends the search (docs/searching.md). By default `bound` for free molecules
            and `strict` for others, since atoms of metals hop across saddles of less than 50 cm-1.
        mode: which mode is climbed first: `lowest`, `atoms:I,J,...` or `bonds:I-J,...`; atoms count
            from 0.
        max_fragments: pieces that the system may have at a bound saddle; by default as many as the
            guess.
        n_steps: moves after which it ends without success.
        hyperparameters: of the solver, as a mapping or its class.
        displacement: of central differences in A, where the calculator has no Hessian of its own.

    Raises:
        InputError: when there is no calculator, or a constraint, a name or a value can't be used.
    """
    if not isinstance(guess, Atoms):
        raise InputError(f"guess: {type(guess).__name__}; expected ASE's Atoms")
    atoms = guess.copy()
    atoms.calc = guess.calc if calculator is None else calculator
    chosen = hyperparameters_of(solver, hyperparameters, {})
    potential, batch = potential_of(atoms, displacement), batch_of(atoms)
    potential = with_cheap(potential, solver, cheap, batch)
    criterion = criterion or ("bound" if batch.boundary is None else "strict")
    if criterion not in AT_POINTS:
        raise InputError(f"criterion {criterion!r}: expected one of {', '.join(AT_POINTS)}")
    if isinstance(n_steps, bool) or not isinstance(n_steps, int) or n_steps < 0:
        raise InputError(f"n_steps {n_steps!r}: expected an integer of at least 0")
    frame = None
    for frame in search(  # noqa: B007 - the last one is what it ended at
        potential,
        batch,
        chosen,
        criterion=criterion,
        n_steps=n_steps,
        max_fragments=fragments_of(max_fragments),
        wanted=aim_of(mode, batch),
    ):
        pass
    assert frame is not None
    return _attached(guess, frame)


def _attached(guess: Atoms, frame: Frame) -> Atoms:
    """The guess where its search has ended, with all that is known there."""
    state, status = frame.state, frame.status[0]
    atoms = guess.copy()
    atoms.positions = state.batch.system(0)[1]
    reasons = (status.sentence, state.message[0], state.doubt[0], told_on_the_way(state, 0))
    info: dict[str, Any] = {
        "status": str(status),
        "message": " ".join(text for text in reasons if text),
        "steps": int(state.steps[0]),
        "n_gradient": int(state.cost.n_gradient[0]),
        "n_hessian": int(state.cost.n_hessian[0]),
    }
    if state.is_computed[0]:
        info |= {"fmax": float(state.max_force[0])}
        info |= {"n_fragments": int(frame.verdict.n_fragments[0])}
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=float(state.energy[0]),
            forces=state.forces[0].cpu().numpy().copy(),
        )
        if state.is_exact[0]:
            info |= {name: bool(frame.verdict.meets(name)[0]) for name in AT_POINTS}
            info |= {"order": int(state.order[0])}
            info |= {"frequency_cm1": float(state.spectrum.lowest_cm1[0])}
            info |= {"imaginary_cm1": float(frame.verdict.imaginary_cm1[0])}
            if (proof := state.proof[0]) is not None:
                info |= {"proof": proof.sentence}
            mode = lowest_displacement(state, 0).unflatten(0, (-1, 3))
            atoms.arrays["mode"] = mode.cpu().numpy().copy()
    atoms.info.update(info)
    return atoms
