"""What a setting changes, declared beside it: where a run is the same, and where another."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

WHERE: JsonDict = {"changes_results": False}
"""Where, how fast or for how long it is computed, and where results are put."""

CHOICE: JsonDict = {"changes_results": False}
"""Which starting points are taken, of which each is searched as it would be among others."""

DRAWN: JsonDict = {"changes_results": False}
"""Which trials a study has, of which each is worth what it would be worth in another."""

STARTS: JsonDict = {"by": "starts"}
"""What changes results by the starting points alone; those, where they are at hand, say it best."""

OF_SET: JsonDict = {"of_set": True}
"""What only a set of reactions has; geometries of one's own begin where they are."""

HYPERPARAMETERS: JsonDict = {"by": "hyperparameters"}
"""What changes results by the values of hyperparameters, or those that they are drawn from."""

DRAWABLE: JsonDict = {"is_drawable": True}
"""A word that a study may choose, trial by trial."""

SEED_MAX = 2**32 - 1  # what generators of random numbers take

N_MAX = 10**7
"""More steps, molecules or trials than anything could end with."""

Seed = Annotated[int, Field(ge=0, le=SEED_MAX)]
Count = Annotated[int, Field(ge=1, le=N_MAX)]
