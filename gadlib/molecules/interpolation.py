"""Images between two geometries, such as reactant and product: where a saddle may be looked for.

What lies between is made of distances alone; no calculator is called.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist

from gadlib.molecules.alignment import aligned, superposition
from gadlib.molecules.contacts import push_apart
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch, atom_label

_CLOSEST = 0.4
"""A; images in which atoms come closer are pushed apart first. The shortest bond, H2's, has 0.74 A;
the image-dependent pair potential goes with d^-4, and can't be left from where d is 0."""

_PUSH = 0.1
"""A, the standard deviation of the push; atoms that pass through each other need any direction."""

CROWDED = 0.5
"""Of the sum of covalent radii: where atoms are closer, images are no path. Bonds have 0.75 and
more; no image of 180 reactions had less than 0.74 by `idpp`."""

_GEODESIC_TOL, _MANY = 2e-3, 35
"""Its command's tolerance, and the atoms beyond which it optimises one image at a time."""

_IDPP_FORCE, _IDPP_STEPS = 0.1, 200
"""Where the images are good enough: ASE's own limit of the force, and twice its steps."""


def linear(
    start: Float[np.ndarray, "n 3"], end: Float[np.ndarray, "n 3"], n_images: int
) -> Float[np.ndarray, "k n 3"]:
    """So many images in a straight line between two geometries (A), these left out.

    The end is superposed on the start first.
    """
    there = aligned(end, start)
    along = np.arange(1, n_images + 1) / (n_images + 1)
    return start + along[:, None, None] * (there - start)


def idpp(
    atomic_numbers: Int[np.ndarray, " n"],
    start: Float[np.ndarray, "n 3"],
    end: Float[np.ndarray, "n 3"],
    n_images: int,
) -> Float[np.ndarray, "k n 3"]:
    """So many images between two geometries (A), whose distances of atoms go on evenly.

    A nudged elastic band on the image-dependent pair potential of Smidstrup, Pedersen, Stokbro,
    Jonsson, J. Chem. Phys. 140, 214106 (2014), doi:10.1063/1.4878664, as ASE has it. Where atoms
    would pass through each other, they are pushed apart, the same way each time.
    """
    from ase.mep.neb import NEB, idpp_interpolate  # takes half a second

    images = linear(start, end, n_images)
    drawn = np.random.default_rng(0).normal(scale=_PUSH, size=start.shape)
    images = np.array([p + drawn if pdist(p).min(initial=np.inf) < _CLOSEST else p for p in images])
    places = [start, *images, aligned(end, start)]
    band = NEB([Atoms(atomic_numbers, place) for place in places], method="aseneb")
    with np.errstate(all="ignore"):  # what is not finite is told below
        silent: Any = None  # ASE's annotation says str
        idpp_interpolate(band, traj=silent, log=silent, fmax=_IDPP_FORCE, steps=_IDPP_STEPS)
    found = np.array([image.positions for image in band.images[1:-1]])
    is_sound = np.isfinite(found).all(axis=(1, 2), keepdims=True)
    return with_room(atomic_numbers, np.where(is_sound, found, images))


def geodesic(
    atomic_numbers: Int[np.ndarray, " n"],
    start: Float[np.ndarray, "n 3"],
    end: Float[np.ndarray, "n 3"],
    n_images: int,
) -> Float[np.ndarray, "k n 3"]:
    """So many images on the shortest way between two geometries (A), by distances that fade.

    Zhu, Thompson, Martinez, J. Chem. Phys. 150, 164103 (2019), doi:10.1063/1.5090303, as their
    package has it, with the settings of its command. What that draws is the same each time, and
    numpy's own generator is left as it was.

    Raises:
        InputError: when the package is not installed.
    """
    require_interpolation("geodesic")
    from geodesic_interpolate.geodesic import Geodesic
    from geodesic_interpolate.interpolation import redistribute

    symbols = [chemical_symbols[z] for z in atomic_numbers]
    ends = [start, aligned(end, start)]
    with _seeded():
        raw = redistribute(symbols, ends, n_images + 2, tol=5 * _GEODESIC_TOL)
        smoother = Geodesic(symbols, raw, 1.7, threshold=3, friction=1e-2)
        if len(symbols) > _MANY:
            smoother.sweep(tol=_GEODESIC_TOL, max_iter=15, micro_iter=20)
        else:
            smoother.smooth(tol=_GEODESIC_TOL, max_iter=15)
    turn, shift = superposition(smoother.path[0], start)
    return with_room(atomic_numbers, smoother.path[1:-1] @ turn + shift)


@contextmanager
def _seeded() -> Iterator[None]:
    """Within it numpy's global generator draws the same each time; afterwards it is as it was."""
    state = np.random.get_state()  # noqa: NPY002 - foreign code draws from it
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


INTERPOLATIONS = {"idpp": idpp, "geodesic": geodesic}


def require_interpolation(name: str) -> None:
    """Raise InputError unless there is such an interpolation, and the package that it takes."""
    if name not in INTERPOLATIONS:
        raise InputError(f"interpolation {name!r}: expected one of {', '.join(INTERPOLATIONS)}")
    if name == "geodesic" and find_spec("geodesic_interpolate") is None:
        raise InputError(
            "interpolation geodesic: the package geodesic-interpolate is not installed; expected"
            " it, by pip install 'gadlib[geodesic]', or idpp"
        )


def with_room(
    atomic_numbers: Int[np.ndarray, " n"], images: Float[np.ndarray, "k n 3"]
) -> Float[np.ndarray, "k n 3"]:
    """The images, atoms that are closer than any bond pushed apart."""
    batch = Batch.pack(list(images), [atomic_numbers] * len(images))
    return push_apart(batch, 1.1 * CROWDED).positions.numpy()


def crowding(atomic_numbers: Int[np.ndarray, " n"], positions: Float[np.ndarray, "n 3"]) -> str:
    """Which two atoms are closer than any bond, in words; empty where none are."""
    batch = Batch.pack([positions], [atomic_numbers])
    scaled, apart = batch.scaled_distances[0], batch.distances[0]
    if len(atomic_numbers) < 2 or float(scaled.min()) >= CROWDED:
        return ""
    i, j = sorted(divmod(int(scaled.argmin()), len(scaled)))
    one, other = (atom_label(atomic_numbers, atom) for atom in (i, j))
    return f"atoms {one} and {other} are {float(apart[i, j]):.2f} A apart"
