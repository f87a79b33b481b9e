"""HIP's source: found, and its model class imported from it.

HIP is neither on PyPI nor installable; the user brings a checkout of its source. Its compiled graph
functions have no wheels for every torch, so dense ones stand in where they are missing.

References: Burger et al., arXiv:2509.21624 (source: github.com/BurgerAndreas/hip); EquiformerV2,
Liao et al., ICLR 2024, arXiv:2306.12059.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gadlib.settings.reading import InputError

PACKAGES = {
    "torch_geometric": "torch_geometric",
    "e3nn": "e3nn==0.5.1",
    "einops": "einops",
    "omegaconf": "omegaconf",
    "lmdb": "lmdb",
    "yaml": "pyyaml",
}
"""What HIP's model imports beside gadlib's own dependencies: module, and what to install."""

_MODEL = "nets.equiformer_v2.equiformer_v2_oc20"


def missing_packages() -> list[str]:
    """What has to be installed for HIP, as pip names it."""
    return [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]


def find_source(source: str | None) -> Path:
    """The folder of HIP's source: the given one, else that of the environment variable HIP_SOURCE.

    Raises:
        InputError: when none is given or it is not a checkout of HIP.
    """
    given = source or os.environ.get("HIP_SOURCE")
    if not given:
        raise InputError(
            "HIP's source: not given; git clone https://github.com/BurgerAndreas/hip,"
            " and name its folder with hip_source (--hip-source) or in HIP_SOURCE"
        )
    folder, is_there = resolved("HIP's source", given), True
    for file in ("nets/equiformer_v2/equiformer_v2_oc20.py", "configs/equiformer_v2.yaml"):
        with contextlib.suppress(OSError):  # such as a folder that may not be read
            is_there = (folder / file).is_file()
        if not is_there:
            raise InputError(f"HIP's source {folder}: no {file} in it; expected a checkout of HIP")
    return folder


def resolved(what: str, given: str | Path) -> Path:
    """The absolute path that is meant.

    Raises:
        InputError: when it can't be the name of a file, naming `what` it is to be.
    """
    try:
        path = Path(given).expanduser().resolve()
        path.exists()
    except (OSError, RuntimeError, ValueError) as error:  # too long, an unknown user's home, NUL
        reason = getattr(error, "strerror", None) or error
        shown = repr(str(given)[:60])
        raise InputError(f"{what} {shown}: no path ({reason}); expected one of a file") from None
    return path


def model_class(source: Path) -> type[torch.nn.Module]:
    """HIP's EquiformerV2, imported from its source; afterwards sys.path is as it was.

    Raises:
        ImportError: when a package is missing; the message says what to install.
        InputError: when other code holds the names of HIP's packages.
    """
    if absent := missing_packages():
        raise ImportError(
            f"the hip calculator needs {', '.join(absent)} (pip install 'gadlib[hip]')"
        )
    with _importable(source):
        module = importlib.import_module(_MODEL)
    found = Path(str(module.__file__)).resolve()
    if not found.is_relative_to(source):
        raise InputError(
            f"HIP's source {source}: the package nets is already imported from {found.parents[1]};"
            " start a new process to use another"
        )
    _replace_graph_functions()
    return module.EquiformerV2_OC20


@contextlib.contextmanager
def _importable(source: Path) -> Iterator[None]:
    """HIP's packages can be imported: its folder on sys.path, and `scipy.special.sph_harm`.

    Models of its source that are not used here import that function, which SciPy 1.17 removed.
    """
    special: Any = importlib.import_module("scipy.special")

    is_gone = not hasattr(special, "sph_harm")
    sys.path.insert(0, str(source))
    try:
        if is_gone:
            special.sph_harm = lambda m, n, azimuth, polar: special.sph_harm_y(n, m, polar, azimuth)
        with quiet():
            yield
    finally:
        sys.path.remove(str(source))
        if is_gone and hasattr(special, "sph_harm"):
            del special.sph_harm


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Neither warnings nor prints of HIP's code and of what it imports reach the user."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def radius_graph(
    x: Tensor,
    r: float,
    batch: Tensor | None = None,
    loop: bool = False,
    max_num_neighbors: int = 32,
    **_: Any,
) -> Tensor:
    """Pairs (source, target) of one system closer than r, sorted by target.

    A target takes its first `max_num_neighbors` sources. What torch_cluster's GPU kernel computes,
    here from a dense matrix of distances, which serves batches of molecules.
    """
    distance = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    is_near = distance < r
    if batch is not None:
        is_near &= batch[:, None] == batch[None, :]
    if not loop:
        is_near.fill_diagonal_(False)
    is_near &= is_near.cumsum(1) <= max_num_neighbors
    return is_near.nonzero().T.flip(0)


def compute_neighbors(data: Any, edge_index: Tensor) -> Tensor:
    """The number of edges of each system."""
    return torch.bincount(data.batch[edge_index[1]], minlength=len(data.natoms))


def _replace_graph_functions() -> None:
    """Dense functions in HIP's modules for compiled ones that are not there."""
    replaced = {}
    if not _has_radius_graph():
        replaced["radius_graph"] = radius_graph
    if not hasattr(torch.ops.torch_scatter, "segment_sum_coo"):
        replaced["compute_neighbors"] = compute_neighbors
    for module in (_MODEL, "ocpmodels.common.utils", "ocpmodels.models.base"):
        for name, function in replaced.items():
            if hasattr(sys.modules[module], name):
                setattr(sys.modules[module], name, function)


def _has_radius_graph() -> bool:
    from torch_geometric.nn import radius_graph as compiled  # type: ignore[import-not-found]

    try:
        compiled(torch.zeros(2, 3), 1.0, torch.zeros(2, dtype=torch.int64))
    except (ImportError, RuntimeError, AttributeError, NameError):
        return False
    return True
