"""The phases of a trust search, and the ways in which one of its tries ends, in words.

A distorted start settles first; where it does not come to rest soon, or is in too many pieces, it
is rebuilt (`molecules.repair`) and settles from there. Then the first try climbs. Every further one
disturbs the start (`disturbances`), and climbs from what comes of it.
"""

from __future__ import annotations

from enum import IntEnum


class Phase(IntEnum):
    """What a search is doing; `sentence` says it in words."""

    REBUILT = 0
    SETTLING = 1
    CLIMBING = 2

    @property
    def sentence(self) -> str:
        """The phase in words."""
        return _PHASES[self]

    @property
    def word(self) -> str:
        """As it stands in records."""
        return self.name.lower()


_PHASES = {
    Phase.REBUILT: "The molecule was just disturbed or rebuilt; nothing is computed there yet.",
    Phase.SETTLING: "It goes downhill until it is one molecule with the forces of a molecule.",
    Phase.CLIMBING: "It climbs towards a saddle.",
}


class Ending(IntEnum):
    """Why a try is over; `sentence` says it in words."""

    GOES_ON = 0
    SCATTERED = 1
    DOES_NOT_SETTLE = 2
    SADDLE_NOT_ENOUGH = 3
    NO_SADDLE = 4
    HELD_BY_WALL = 5
    CIRCLES = 6
    TOO_HIGH = 7
    IN_PIECES = 8
    TOO_LONG = 9
    TOO_SOFT = 10

    @property
    def sentence(self) -> str:
        """The ending in words."""
        return _ENDINGS[self]

    @property
    def word(self) -> str:
        """As it stands in records."""
        return self.name.lower()


_ENDINGS = {
    Ending.GOES_ON: "The try goes on.",
    Ending.SCATTERED: "The start was in too many pieces to settle.",
    Ending.DOES_NOT_SETTLE: "It did not settle in time.",
    Ending.SADDLE_NOT_ENOUGH: "It reached a saddle that does not meet the criterion.",
    Ending.NO_SADDLE: "It spent its exact Hessians on stationary points that are no saddles.",
    Ending.HELD_BY_WALL: "It came to rest in more pieces than allowed, held by the wall.",
    Ending.CIRCLES: "It came back to where it had been.",
    Ending.TOO_HIGH: "It climbed higher than any reaction goes.",
    Ending.IN_PIECES: "It stayed in more pieces than allowed, or its pieces went apart.",
    Ending.TOO_LONG: "It used up the steps of a try.",
    Ending.TOO_SOFT: "It climbed along a mode too soft to lead to a bound saddle.",
}
