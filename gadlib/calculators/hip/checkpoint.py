"""HIP's checkpoint: read safely, and the model that it holds.

A checkpoint is a pickle, and a pickle can run code. Only plain data and OmegaConf's containers are
loaded, unless the user trusts the file explicitly; weights must fit the model exactly.
"""

from __future__ import annotations

import hashlib
import pickle
import typing
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gadlib.calculators.hip.source import model_class, quiet, resolved
from gadlib.settings.reading import InputError

TRAINING_MEAN_ATOMS = 13.919938540433833
"""Mean number of atoms in HIP's training set (configs/equiformer_v2.yaml of its source)."""

PREFIX = "potential."
"""What the names of the weights begin with."""

_GET_CHECKPOINT = (
    "get hip_v2.ckpt (222 MB) from huggingface.co/andreasburger/heigen (ckpt/hip_v2.ckpt)"
)


def find_checkpoint(path: str | Path | None) -> Path:
    """The checkpoint's file.

    Raises:
        InputError: when none is given or it is not there.
    """
    if path is None:
        raise InputError(f"checkpoint_path: not given; {_GET_CHECKPOINT}")
    found = resolved("checkpoint", path)
    if not found.is_file():
        raise InputError(f"checkpoint {path}: no such file; {_GET_CHECKPOINT}")
    return found


def digest(path: str | Path) -> str:
    """The first half of the SHA-256 of a checkpoint's content: what it is, wherever it lies."""
    with find_checkpoint(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def read_checkpoint(path: Path, *, trust: bool) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model configuration and the weights in a checkpoint.

    Only plain data and OmegaConf's containers are unpickled, unless `trust` allows everything.

    Raises:
        InputError: when it is missing, not such a checkpoint, or wants to load anything else.
    """
    content = _unpickled(path, trust)
    try:
        configuration = content["hyper_parameters"]["model_config"]
        weights = content["state_dict"]
        items = list(weights.items())
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"checkpoint {path}: expected a Lightning file"
            " with state_dict and hyper_parameters.model_config"
        ) from None
    odd = [key for key, _ in items if not str(key).startswith(PREFIX)]
    if odd:
        raise InputError(
            f"checkpoint {path}: weights {', '.join(map(str, odd[:3]))},"
            f" expected names that begin with {PREFIX}"
        )
    return _plain(configuration, path), {key[len(PREFIX) :]: value for key, value in items}


def _unpickled(path: Path, trust: bool) -> Any:
    try:
        with torch.serialization.safe_globals(_allowed()):
            return torch.load(path, map_location="cpu", weights_only=not trust)
    except pickle.UnpicklingError:
        raise InputError(f"checkpoint {path}: {_refused(path)}") from None
    except Exception as error:  # whatever a broken file makes torch raise
        raise InputError(
            f"checkpoint {path}: can't be read ({type(error).__name__}: {str(error)[:200]})"
        ) from None


def _refused(path: Path) -> str:
    try:
        with torch.serialization.safe_globals(_allowed()):
            wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # not a zip archive, or broken
        wanted = []
    what = ", ".join(sorted(wanted)) or "something that torch's safe loader does not know"
    return (
        f"wants to load {what}, which can run code of its own; refused."
        " If you trust whoever made the file, pass trust_checkpoint (--trust-checkpoint)"
    )


def _allowed() -> list[Any]:
    """The globals that HIP's checkpoints need: containers of configurations."""
    from omegaconf import (  # type: ignore[import-not-found]
        DictConfig,
        ListConfig,
        base,
        nodes,
    )

    typed = ("AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode")
    kinds = [DictConfig, ListConfig, base.ContainerMetadata, base.Metadata]
    plain = [typing.Any, defaultdict, dict, list, int]
    return [*kinds, *(getattr(nodes, name) for name in typed), *plain]


def _plain(configuration: Any, path: Path) -> dict[str, Any]:
    from omegaconf import DictConfig, OmegaConf  # type: ignore[import-not-found]

    if isinstance(configuration, DictConfig):
        configuration = OmegaConf.to_container(configuration, resolve=True)
    if not isinstance(configuration, Mapping):
        raise InputError(f"checkpoint {path}: model_config is not a mapping")
    name = configuration.get("name", "EquiformerV2")
    if name != "EquiformerV2":
        raise InputError(f"checkpoint {path}: model {name!r}, expected EquiformerV2")
    return {str(key): value for key, value in configuration.items()}


def load_model(
    checkpoint: Path, source: Path, *, trust: bool, mean_atoms: float | None
) -> torch.nn.Module:
    """The model with the checkpoint's weights, for inference, on the CPU.

    Args:
        checkpoint: the file.
        source: the folder of HIP's source.
        trust: whether the file may load anything.
        mean_atoms: what energies are divided by; by default the checkpoint's value, else the
            training set's, so that an energy does not depend on the company in a batch.

    Raises:
        InputError: when the checkpoint can't be used, or its weights are not those of the model.
        ImportError: when a package is missing.
    """
    import yaml

    kind = model_class(source)
    configuration, weights = read_checkpoint(checkpoint, trust=trust)
    defaults = yaml.safe_load((source / "configs/equiformer_v2.yaml").read_text())["model"]
    try:
        with quiet():
            model = kind(**{**defaults, **configuration})
        model.load_state_dict(weights, strict=True)
    except (RuntimeError, TypeError, AssertionError, ValueError) as error:
        reason = " ".join(str(error).split())[:400]
        raise InputError(
            f"checkpoint {checkpoint}: does not fit the model of {source} ({reason})"
        ) from None
    model.avg_num_nodes = mean_atoms or model.avg_num_nodes or TRAINING_MEAN_ATOMS  # type: ignore[assignment]
    return model.eval().requires_grad_(False)
