"""How sure a gain over the defaults is that was found on a few samples.

A bootstrap of a few pairs that all gained about as much has hardly a width, and held the true gain
in 69 to 91 % of the races that were replayed, where it says 95 (docs/measurements/tuning.md). So
rates, which are bounded, have Gaffke's interval, which knows that the next sample may be the worst
one (for what is met or not it is that of Clopper and Pearson; that it always covers is a
conjecture), and costs have Student's.

References: Gaffke, Math. Methods Stat. 14, 451 (2005), and Learned-Miller and Thomas,
arXiv:1905.06208; Student, Biometrika 6, 1 (1908).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.stats import t

LEVEL = 0.95

_DRAWS = 4000
"""The ends of an interval are known to a hundredth of its width."""


def interval(gains: Float[np.ndarray, " n"], *, is_cost: bool) -> tuple[float, float]:
    """The ends of the 95 % interval of the mean gain, from paired differences of samples.

    Args:
        gains: by sample; of rates from -1 to 1, but for rounding.
        is_cost: whether they are of a cost, which has no bounds; one alone is taken for its own
            error.
    """
    n, tail = len(gains), (1 - LEVEL) / 2
    if is_cost:
        mean = float(gains.mean())
        error = float(gains.std(ddof=1)) / n**0.5 if n > 1 else abs(mean)
        half = float(t.ppf(1 - tail, max(n - 1, 1))) * error
        return mean - half, mean + half
    rising, most = np.sort(gains), max(1.0, float(np.abs(gains).max()))
    weights = np.random.default_rng(0).dirichlet(np.ones(n + 1), _DRAWS)
    low = np.quantile(weights @ np.array([-most, *rising]), tail)
    high = np.quantile(weights @ np.array([*rising, most]), 1 - tail)
    return float(low), float(high)
