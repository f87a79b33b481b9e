"""A model of TorchSim by its import path: imported, made with options, kept for the process.

A class of TorchSim's models is made with the options. A function may make one instead, as it must
where a network is to be loaded first; only one that declares what it returns is called, whatever a
path names.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import typing
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from gadlib.calculators.import_paths import at_path, in_a_line
from gadlib.progress.interrupts import outlived
from gadlib.settings.reading import InputError

EXAMPLE = "torch_sim.models.lennard_jones:LennardJonesModel"

_DTYPES = {"float32": torch.float32, "float64": torch.float64}


def missing_package() -> str:
    """What has to be installed, as pip names it; empty where it is."""
    is_there = importlib.util.find_spec("torch_sim") is not None
    return "" if is_there else "pip install 'gadlib[torchsim]'"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of TorchSim's code, as of the models that are not installed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _environment_kept() -> Iterator[None]:
    """The environment is afterwards as it was: MACE's package lets every file run code by it."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@lru_cache(maxsize=2)
def built(path: str, options: str, device: str) -> torch.nn.Module:
    """The model, one per process: it may be large.

    Args:
        path: of its class, or of a function that makes it, MODULE:NAME.
        options: as JSON.
        device: where it is to compute.

    Raises:
        InputError: when it can't be imported or made; the message says why.
        ImportError: when TorchSim is not installed.
    """
    if missing := missing_package():
        raise ImportError(f"the torchsim calculator needs TorchSim ({missing})")
    with quiet(), _environment_kept():
        make = _imported(path)
        values = _completed(make, json.loads(options), torch.device(device))
        try:
            with outlived():
                model = make(**values)
        except Exception as error:  # foreign code may raise anything
            raise InputError(
                f"torchsim_options {options}: {path} can't be made with them ({in_a_line(error)})"
            ) from None
    if not isinstance(model, _interface()):
        raise InputError(f"torchsim_model {path!r}: it made {model!r}, no model of TorchSim")
    _require_there(model, torch.device(device), path)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model.eval()


def _require_there(model: Any, device: torch.device, path: str) -> None:
    """Raise InputError where a model computes elsewhere than it was asked to."""
    own = torch.device(model.device)
    if (own.type, own.index or 0) != (device.type, device.index or 0):
        raise InputError(
            f"device {str(device)!r}: {path} made a model that computes on {str(own)!r}; say that"
            " device, or give the function an argument `device` that it passes on"
        )


def require_trusted(options: Mapping[str, Any], *, is_trusted: bool) -> None:
    """Raise InputError where an option names a file and nobody said that it may be loaded."""
    for name, value in options.items():
        found = [] if is_trusted else [text for text in _texts(value) if _is_file(text)]
        if found:
            raise InputError(
                f"torchsim_options: {name} is a file ({found[0]}), and what a model loads may run"
                " code; say torchsim_trust where it is from a source you trust"
            )


def by_content(value: Any) -> Any:
    """The options, files by the first half of their content's SHA-256."""
    if isinstance(value, Mapping):
        return {name: by_content(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [by_content(item) for item in value]
    if not isinstance(value, str) or not _is_file(value):
        return value
    with Path(value).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value, in whatever it is nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # no name that a file could have
        return False


def _interface() -> type:
    return importlib.import_module("torch_sim.models.interface").ModelInterface


def _imported(path: str) -> Any:
    """The class of models, or the function that says it returns one; nothing has been called."""
    found = at_path(path, "torchsim_model", example=EXAMPLE)
    if not _is_model(found) and not _is_model(_returned(found)):
        raise InputError(
            f"torchsim_model {path!r}: not a model of TorchSim but {found!r}; expected a class"
            " derived from its ModelInterface, or a function that declares (->) to return one"
        )
    return found


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, _interface())


def _returned(function: Any) -> Any:
    """What a function declares to return; None where it declares nothing."""
    if not inspect.isfunction(function):
        return None
    try:
        return typing.get_type_hints(function).get("return")
    except Exception:  # names that are not there
        return None


def _completed(make: Any, options: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The options as the model is made with, and where it is to compute.

    Raises:
        InputError: when an option has no meaning.
    """
    known = inspect.signature(make).parameters
    found = {name: value for name, value in options.items() if name != "dtype"}
    if "dtype" in options:
        if options["dtype"] not in _DTYPES:
            raise InputError(
                f"torchsim_options: dtype is {options['dtype']!r}; expected one of"
                f" {', '.join(_DTYPES)}"
            )
        found["dtype"] = _DTYPES[options["dtype"]]
    usual = {"device": device, "compute_stress": False}
    return {name: value for name, value in usual.items() if name in known} | found
