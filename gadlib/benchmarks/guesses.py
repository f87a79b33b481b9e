"""Guesses of a saddle from a reaction's reactant and product, as peers make them.

The highest of images on a path of even distances (IDPP), and the highest image of a climbing nudged
elastic band that begins there; every gradient that a guess takes is counted with the search.

References: Smidstrup, Pedersen, Stokbro, Jonsson, J. Chem. Phys. 140, 214106 (2014),
doi:10.1063/1.4878664; Henkelman, Uberuaga, Jonsson, J. Chem. Phys. 113, 9901 (2000),
doi:10.1063/1.1329672. Images and forces of the band as in Transition1x: Schreiner, Bhowmik, Vegge,
Busk, Winther, Sci. Data 9, 779 (2022), doi:10.1038/s41597-022-01870-w.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.calculators.singlepoint import SinglePointCalculator
from jaxtyping import Float

from gadlib.molecules.interpolation import idpp
from gadlib.molecules.recipes import N_IMAGES
from gadlib.molecules.starting_points import Start
from gadlib.progress import signs_of_life

LOOSE_FORCE, CLIMBING_FORCE = 0.5, 0.1
"""eV/A, where the band begins to climb, as Transition1x's, and where the saddle search takes over;
Transition1x ends at 0.05, but goes on with no other search."""

BAND_STEPS = 200
"""Of the band at most, in all."""


def highest_image(atoms: Atoms, start: Start) -> Float[np.ndarray, "n 3"]:
    """The highest of the images between the ends of a start, one gradient each, in A.

    Args:
        atoms: with the calculator.
        start: with its ends.

    Raises:
        CalculationFailed: when no image can be computed.
    """
    assert start.ends is not None
    images = idpp(start.atomic_numbers, *start.ends, N_IMAGES)
    energies = []
    reason = ""
    for image in images:
        atoms.positions = image
        try:
            energies.append(atoms.get_potential_energy())
        except CalculationFailed as error:
            energies.append(-np.inf)
            reason = str(error)
        signs_of_life.stepped(1, 1)
    if not np.isfinite(energies).any():
        raise CalculationFailed(reason)
    return images[int(np.argmax(energies))]


def top_of_band(atoms: Atoms, start: Start) -> Float[np.ndarray, "n 3"]:
    """The highest image of a climbing band between the ends of a start, in A.

    Args:
        atoms: with the calculator.
        start: with its ends.

    Raises:
        CalculationFailed: when an image can't be computed.
    """
    from ase.mep.neb import NEB  # takes half a second
    from ase.optimize import BFGS

    assert start.ends is not None
    inner = idpp(start.atomic_numbers, *start.ends, N_IMAGES)
    images = []
    for place in (start.ends[0], *inner, start.ends[1]):
        image = atoms.copy()
        image.positions = place
        image.calc = atoms.calc
        images.append(image)
    for end in (images[0], images[-1]):
        end.calc = SinglePointCalculator(end, energy=end.get_potential_energy())
    band = NEB(images, method="improvedtangent", allow_shared_calculator=True)
    silent: Any = None
    search = BFGS(band, logfile=silent)  # type: ignore[arg-type]
    search.attach(lambda: signs_of_life.stepped(1, 1))
    search.run(fmax=LOOSE_FORCE, steps=BAND_STEPS)
    band.climb = True
    search.run(fmax=CLIMBING_FORCE, steps=BAND_STEPS - search.nsteps)
    energies: Any = band.energies
    return images[1 + int(np.argmax(energies[1:-1]))].positions.copy()
