"""What steers the trust solver and is not tuned, each with its reason.

Hyperparameters are declared in `settings.hyperparameters`; what defines success in `criteria`.
"Measured" is by `tests/measure_constants.py`: the mean number of gradients of 60 searches from
`ts_noise0.3A` and from `midpoint_rt_noise1.0A` on the embedded set, with DFTB0 and `bound`. As it
is they are 101 (standard error 8) and 107 (10). All searches ended at bound saddles with every
value that was tried; nothing there was tuned on them, and differences below 15 are within errors.
"""

# When a try is over.

SETTLED_FORCE = 20.0
"""eV/A on any atom: below, a start is no longer what noise made of it, but a molecule.

Measured: with 5 eV/A 101 and 123 gradients, with 80 eV/A 104 and 107."""

REBUILT_PATIENCE = 3
"""Times `settle_steps` that a rebuilt molecule may take to settle; rebuilding has been the remedy
already. Measured: with 1 the same searches."""

HELD_FORCE, HELD_STEPS = 5.0, 20
"""eV/A on any atom, what the aim has of it left out, at which a start that is held by its aim is
climbed from; after so many steps it is in any case, once it is one molecule. Measured as above, on
45 reactions from `ts_noise0.1A`: 41 and 40 own saddles with 8 and 5 or 4 eV/A, 38 with 2 and
without holding, 34 with 1; medians of 41 to 43 gradients, without holding of 52."""

GUIDED_FORCE = 1.0
"""eV/A, as `HELD_FORCE`, where half-made bonds are held."""

LOOSE = 1 / 3
"""Of the atoms: a start in more pieces than allowed by more than that is rebuilt at once, since the
steps for settling would be lost on it. Measured: never at once 105 and 117 gradients."""

MAX_CERTIFICATES = 4
"""Exact Hessians that a try may spend on stationary points of the wrong order, so that a flat
region does not cost one at each step. Measured: with 1 107 and 107, with 16 101 and 107."""

CLAIM_AGAIN = 8
"""Steps from one Hessian that refutes a claim to another one, if the model does not tell order one
before. With one at each step a guess of 31 atoms, with a mode of 8i cm-1 beside the reaction's,
took 173 gradients and nine Hessians on GFN2-xTB, so 72 and three; small molecules take the same."""

MAX_CLIMB = 12.0
"""eV above the lowest point met; the strongest bond, of CO, takes 11. Measured: no search of the
sets gets there; it ends those that a potential draws to points without meaning."""

FALL_STEPS = 20
"""Steps of a climb before its height counts, since a distorted start is high and comes down."""

CIRCLE_EVERY = 8
"""Steps after which the place is noted that a search must not come back to; a circle of more steps
ends with the steps of its try."""

CIRCLE_NEAR, CIRCLE_STEP = 0.05, 0.02
"""A step that ends within this share of its length of the noted place has led back there, if it was
longer (A) than the steps that close in on a point. Measured: without it 102 and 107 gradients."""

# How a try climbs.

START_FLOOR = 0.65
"""Scaled distance to which the atoms of a start are pushed apart: a little above the floor of
steps (0.6), so that the first step is free."""

AIMED_TRIES = 4
"""Tries that climb towards an aim; later ones begin from other molecules, where the aim has no
meaning left."""

SOFT_EIGENVALUE = 3.0
"""eV/(A^2 amu), 900 cm-1: a mode of this curvature is worth half of a flat one with as much of the
aim. Below it are torsions and bends, by which most reactions begin; above it stretches."""

ARRIVED_FORCE = 0.3
"""eV/A on any atom: below, at order one, a climb has arrived, and goes on along its lowest mode. A
quadratic model holds there: the next step is a few hundredths of an angstrom."""

REST_FORCE = 0.03
"""eV/A on any atom: below, the forces do not tell which way a mode goes up. Three times what counts
as stationary."""

DOWN_BONUS, DOWN_EIGENVALUE = 3.0, 0.1
"""A mode whose eigenvalue is -0.1 eV/(A^2 amu) (165i cm-1) or below counts four times its part of
the aim, less negative ones less. Without it, where no mode has much of the aim, the climbed mode
changes from step to step, and the search walks away from the saddle that it is next to. Measured
on 99 reactions: with 0, 1, 3 and 8 the same saddles, in means of 77, 71, 60 and 68 gradients."""

GENTLE_KICK, GENTLE_GROWTH, GENTLE_TRIES = 0.2, 2.0, 2
"""How far the farthest atom of a start that was a molecule is moved (A) for the first further try;
the factor from one try to the next; how many there are before it is shaken and rebuilt. Noise of
0.5 A in all coordinates lifts 30 atoms by 15 to 30 eV, and what is found from there is another
reaction. Measured on RDB7's visible half (docs/measurements/saddles.md, "Aims"): of 29 searches
that needed a second try 10 end at the saddle of their start, with such noise at once none, for 19 %
more gradients; from 0.1 A in three tries 10 for 33 % more, from 0.3 A in one 7. From reactants,
without shaking in the end, 6 of 98 find no saddle within 800 steps."""

LARGE, LOCAL_ATOMS = 24, 6
"""Atoms from which a molecule is large, and how many of it are shaken together. Noise in all
coordinates costs an energy that grows with the atoms, and ends above `MAX_CLIMB` whatever it finds.
Measured on C60 (DFTB0), from single shakes of 6 and 12 atoms by 0.5 and 0.3 A: 2 of 3 reach bound
saddles 7 to 8 eV above it with either, in 86 to 125 gradients; from 12 atoms by 0.5 A most tries
end too high."""

HOPELESS_STEPS = 40
"""Steps after which a climb of a large molecule is given up whose lowest mode curves up by less
than `SOFTEST`: it swings a chain about, for hundreds of steps, and no bound saddle is so soft."""

SOFTEST = 1e-3
"""eV/(A^2 amu), 16 cm-1: a mode below goes no farther than that one; the model has none."""

# What is known of the curvature.

FIRST_PROBES, ROUGH_PROBES = 11, 14
"""Modes probed as a climb towards an aim begins, and where its forces are large, the lowest mode
being harder to find there. An exact Hessian of 12 atoms costs 72 gradients. Measured before climbs
without an aim closed in on the lowest mode: 5 of them 102 and 95 gradients, 20 of them 112 and
122."""

ROUGH_FORCE = 8.0
"""eV/A on any atom, beyond which forces are large: those of a C-H bond that is 0.2 A off."""

HALF_MADE, MAX_HALF_MADE, MANY_HALF_MADE = (1.1, 1.55), 5, 15
"""Scaled distances between which a pair is half bonded; how many such pairs of a large molecule,
the closest, are taken for its reaction; and beyond how many the start is strained, not a guess."""

BOND_SPRING, SPRINGS_BACK = 30.0, 0.2
"""eV/A^2 of a bond, and the share of it by which a stretched pair pulls back if it is half made.
Measured on 14 saddles of 25 to 45 atoms with noise of 0.05 A: what is half made has -0.8 to 0.13,
bonds that noise has stretched as far 0.25 to 1.05."""

NEIGHBOURLY = 1.35
"""Scaled distance from which neighbours of one atom are met, which push if noise has brought them
so near (there -0.2 to -0.4 of the spring)."""

CLOSED, CLOSING_ROUNDS = 0.4, 5
"""Residual over eigenvalue, below which the climbed mode is one of the potential; rounds of closing
in on it in a guided search, besides one probe for each half-made bond."""

FEW_SOFT, APPROACH_ROUNDS = 3, 3
"""Softest modes that a climb begins with, beside half-made bonds, and rounds of closing in on the
lowest mode from there. Measured on 15 rough guesses on GFN2-xTB and 60 searches each from the two
starts above: 62 and 71, 65 gradients; with 6 rounds 60 and 79, 63; with one soft mode and 6 rounds
76 and 74, 56; with 5 soft modes, no half-made bonds and 4 rounds 63 and 75, 55, but of the guesses
fewer end near the start."""

GIVING = 0.3
"""eV/(A^2 amu), 280 cm-1: modes much softer than that do not take part where bonds are pulled."""

DOUBT_EVERY = 4
"""Steps after which the mode of a guided climb is probed, though nothing speaks against it."""

DOWN_PROBES = 4
"""Modes probed together where several curve down at peace, the climbed one among them: two or three
do, nearly always by as little as 0.05 eV/(A^2 amu)."""

SOLID_PROBES = 5
"""Modes probed as a climb begins in a cell or with frozen atoms, where the model's springs are near
those of the metal, and few modes are soft. Measured by EMT on 24 adatom and vacancy hops: medians
of 27 gradients with 11 of them, 20 with 5, 18 with 3, and the same saddles with all."""

PROBES_AT_ONCE, PROBES_AFTER = 8, 3
"""Modes probed in the first call, and in each one after it: the last ones close in on the lowest
mode. Probed one at a time these gave the same rates and gradients in more of the solver's own time
(CHANGELOG, Numbers)."""

PROBE_LENGTH = 0.01
"""A; a difference of gradients so far apart is well above rounding (0.01 eV/A at 1 eV/A^2).
Measured: with 0.03 A 112 and 100 gradients."""

AIMED = 0.5
"""The largest radius of a climb towards an aim, in that of others: in long steps the aim is lost.
Measured on the 100 embedded reactions, mode `reaction`: with 1 and 0.5 91 and 95 of them end at
their own saddle from `ts_noise0.1A`, 40 and 45 from `midpoint_rt_noise0.3A`, 53 and 54 from
`reactant`, for 26 and 25, 67 and 78, 62 and 82 gradients in the median."""

MAX_POOR = 3
"""Poorly predicted steps in a row after which an exact Hessian is due, where none are spared: one
may be a matter of the radius, which shrinks first, two halve it to a quarter."""

STALL_STEPS, STALL_FORCE = 8, 0.03
"""A climb whose radius is the least, after so many steps since its last exact Hessian or model,
with a force (eV/A) that is no noise, has a useless Hessian, and gets a model instead."""

# The wall, by scaled distances (distance over the sum of covalent radii).

STIFFNESS = 45.0
"""eV, per squared scaled distance: 3 eV/A on C-C at a scaled distance of 1.4. Measured: with 15 eV
97 and 109 gradients, with 135 eV 107 and 106."""

HARMONIC = 0.3
"""Beyond the edge; farther out the pull is constant, so that it is at most 9 eV/A on C-C."""
