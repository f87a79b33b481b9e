"""For ASE: saddles found from Atoms, a search that is one of its optimizers, a calculator.

`SaddleSearch`, `IRC`, `Potential`, `find_saddle` and `follow` are offered here, and imported when
they are used.

Never: settings, files or records; who brings an Atoms object has these.
"""

from importlib import import_module
from typing import Any

_OFFERED = {
    "SaddleSearch": "gadlib.ase.saddle_search",
    "Potential": "gadlib.ase.potential",
    "find_saddle": "gadlib.paths.saddles",
    "IRC": "gadlib.paths.optimizer",
    "follow": "gadlib.paths.follow",
}


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    return sorted(_OFFERED)
