"""Where a neural potential computes, on how many threads, with which seed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from gadlib.settings.reading import InputError


def find_device(name: str) -> torch.device:
    """The device of that name; `auto` is the GPU where there is one.

    Raises:
        InputError: when the name is unknown, or torch sees no such GPU.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or not (_is_number(number) or name == kind):
        raise InputError(f"device {name!r}: expected auto, cpu, cuda or cuda:N")
    if kind == "cpu":
        return torch.device("cpu")
    count = torch.cuda.device_count()
    if int(number or 0) >= count:
        raise InputError(
            f"device {name!r}: torch {torch.__version__} sees {count} GPUs;"
            " use a CUDA build of torch on a machine with a GPU, or device cpu"
        )
    return torch.device("cuda", int(number or 0))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 6


@contextlib.contextmanager
def threads(n: int | None) -> Iterator[None]:
    """Torch computes on n threads; None leaves it as it is."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """The random numbers drawn on the device are the same each time; nobody else's change."""
    is_gpu = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if is_gpu else []):
        torch.default_generator.manual_seed(seed)
        if is_gpu:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
