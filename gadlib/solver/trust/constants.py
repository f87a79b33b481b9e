"""What steers the trust solver and is not tuned, each with its reason.

Hyperparameters are declared in `settings.hyperparameters`; what defines success in `criteria`.
"""

from __future__ import annotations

# When a try is over.

SETTLED_FORCE = 20.0
"""eV/A on any atom: below, a start is no longer what noise made of it, but a molecule. A C-C bond
stretched or pressed by half an angstrom pulls with 10 to 30 eV/A."""

REBUILT_PATIENCE = 3
"""Times `settle_steps` that a rebuilt molecule may take to settle; it has been the remedy already,
so that rebuilding it sooner would only begin the same again."""

LOOSE = 1 / 3
"""Pieces more than allowed, of the atoms, from which on a start is rebuilt before anything else: a
molecule with every third atom loose was not relaxed to one in any search."""

MAX_CERTIFICATES = 4
"""Exact Hessians that a try may spend on stationary points of the wrong order; more of them were
spent on flat regions of dissociated molecules without a saddle."""

MAX_CLIMB = 12.0
"""eV above the lowest point met; the strongest bond, of CO, takes 11."""

FALL_STEPS = 20
"""Steps of a climb before its height counts, since a distorted start is high and comes down."""

CIRCLE_EVERY = 8
"""Steps after which the place is noted that a search must not come back to."""

CIRCLE_NEAR, CIRCLE_STEP = 0.05, 0.02
"""A step that ends within this share of its length of the noted place has led back there, if it was
longer (A) than steps that close in on a point are."""

# How a try climbs.

START_FLOOR = 0.65
"""Scaled distance to which the atoms of a start are pushed apart: a little above the floor of
steps, so that the first step is free."""

AIMED_TRIES = 4
"""Tries that climb towards an aim; what has not led there in so many does not."""

SOFT_EIGENVALUE = 3.0
"""eV/(A^2 amu), 900 cm-1: of two modes with as much of the aim one of this curvature is worth half
of a flat one."""

ARRIVED_FORCE = 0.3
"""eV/A on any atom: below, at order one, a climb has arrived, and goes on along its lowest mode."""

REST_FORCE = 0.03
"""eV/A on any atom: below, the forces do not tell which way a mode goes up."""

# What is known of the curvature.

FIRST_PROBES, ROUGH_PROBES = 11, 14
"""Modes probed as a climb begins, and where its forces are large, the lowest mode being harder to
find there. As many gradients as an exact Hessian of two atoms takes."""

ROUGH_FORCE = 8.0
"""eV/A on any atom, from which on forces are large."""

PROBES_AT_ONCE, PROBES_AFTER = 8, 3
"""Modes probed in the first call, and in each one after it: together as many as a batch likes, the
last ones close in on the lowest mode. With single ones at the end the same was found in a quarter
more of the solver's own time."""

PROBE_LENGTH = 0.01
"""A; so far a difference of gradients is neither rounding nor anharmonic."""

INDEPENDENT_SHARE = 1e-3
"""Of a vector's length; what is left of it beside others is a direction of its own if longer, else
noise."""

MAX_POOR = 3
"""Poorly predicted steps in a row after which an exact Hessian is due, where none are spared."""

STALL_STEPS, STALL_FORCE = 8, 0.03
"""A climb whose radius is the least, after so many steps since its last exact Hessian or model,
with a force (eV/A) that is no noise, has a useless Hessian, and gets a model instead."""

# The wall, by scaled distances (distance over the sum of covalent radii).

STIFFNESS = 45.0
"""eV, per squared scaled distance: 3 eV/A on C-C at a scaled distance of 1.4."""

HARMONIC = 0.3
"""Beyond the edge; farther out the pull is constant, so that far pieces do not rush in."""

ADRIFT = 3.5
"""At which pieces no longer bind: C and Cl 6 A, O and H 3.4 A."""

ADRIFT_GROWTH = 1.5
"""Pieces that react from farther may go as far again by half."""

PUSHES, PUSH_SHARE = 200, 0.35
"""Rounds of pushing atoms apart, and what share of the lack each atom of a pair moves: less than
half, since an atom has several neighbours."""
