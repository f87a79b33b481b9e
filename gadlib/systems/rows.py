"""Systems taken out of frozen dataclasses of tensors, joined, put back, and rid of padding.

A node is a nesting of frozen dataclasses whose leaves are tensors, batch axis first, and tuples
with an item for each system.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from gadlib.systems.batch import Batch

T = TypeVar("T")

_PER_ATOM = {"N": 1, "D": 3}


def take(node: T, index: Tensor) -> T:
    """The systems at the given places."""
    return _map(
        lambda leaves: leaves[0].index_select(0, index),
        lambda parts: tuple(parts[0][i] for i in index.tolist()),
        [node],
    )


def concatenate(nodes: Sequence[T]) -> T:
    """One node of all systems of the given ones, which have the same width."""
    return _map(torch.cat, lambda parts: tuple(item for part in parts for item in part), nodes)


def put(node: T, rows: Int[Tensor, " R"], change: Callable[[T], T]) -> T:
    """The node with the systems of ascending rows changed; what is left alone is not copied."""
    if not len(rows):
        return node
    if len(rows) == _n_systems(node):
        return change(node)
    part = take(node, rows)
    changed = change(part)

    def tensors(leaves: Sequence[Tensor]) -> Tensor:
        whole, before, after = leaves
        return whole if after is before else whole.index_copy(0, rows, after)

    def tuples(parts: Sequence[tuple]) -> tuple:
        whole, _, after = parts
        new = dict(zip(rows.tolist(), after, strict=True))
        return tuple(new.get(i, old) for i, old in enumerate(whole))

    return _map(tensors, tuples, [node, part, changed])


def pick(condition: Bool[Tensor, " B"], yes: Tensor, no: Tensor) -> Tensor:
    """For each system the one tensor's part or the other's."""
    if not condition.any():
        return no
    return torch.where(condition.reshape(-1, *[1] * (yes.ndim - 1)), yes, no)


def narrow(node: T, width: int) -> T:
    """The node without the padding beyond so many atoms.

    The axes of atoms and of coordinates are those that a field's annotation calls N and D.
    """
    return _resized(node, width, lambda leaf, axis, size: leaf.narrow(axis, 0, size))


def widen(node: T, width: int) -> T:
    """The node with zeros beyond its atoms, up to so many."""

    def padded(leaf: Tensor, axis: int, size: int) -> Tensor:
        shape = list(leaf.shape)
        shape[axis] = size - shape[axis]
        return torch.cat([leaf, leaf.new_zeros(shape)], axis)

    return _resized(node, width, padded)


def _resized(node: T, width: int, change: Callable[[Tensor, int, int], Tensor]) -> T:
    """The node with its axes of atoms and coordinates changed to another size each."""
    changed = {}
    for name, axes in _axes_of_atoms(type(node)).items():
        leaf = getattr(node, name)
        if isinstance(leaf, Tensor):
            for axis, per_atom in axes:
                leaf = change(leaf, axis, per_atom * width)
            changed[name] = leaf.contiguous()
        else:
            changed[name] = _resized(leaf, width, change)
    return replace(node, **changed) if changed else node  # type: ignore[type-var]


@cache
def _axes_of_atoms(kind: type) -> dict[str, list[tuple[int, int]]]:
    """The fields that may be padded; of those that are tensors where, and how much for an atom."""
    found = {}
    for field in fields(kind) if is_dataclass(kind) else ():
        shape = re.search(r"\[Tensor, '(.*)'\]", str(field.type))
        axes = enumerate(shape[1].split()) if shape else ()
        padded = [(axis, _PER_ATOM[name]) for axis, name in axes if name in _PER_ATOM]
        if padded or not shape:
            found[field.name] = padded
    return found


def _n_systems(node: Any) -> int:
    """How many systems a node has, by its first tensor."""
    first = getattr(node, _names(type(node))[0])
    return len(first) if isinstance(first, Tensor) else _n_systems(first)


def _map(on_tensors: Callable, on_tuples: Callable, nodes: Sequence[Any]) -> Any:
    first = nodes[0]
    names = _names(type(first))
    changed = {}
    for name, *leaves in zip(names, *map(_values(type(first)), nodes), strict=True):
        one = leaves[0]
        if isinstance(one, Tensor):
            value = on_tensors(leaves)
        elif isinstance(one, tuple):
            value = on_tuples(leaves)
        else:
            value = _map(on_tensors, on_tuples, leaves) if _names(type(one)) else one
        if value is not one:
            changed[name] = value
    if not changed:
        return first
    new = replace(first, **changed)
    if isinstance(first, Batch):  # what is known of the molecules goes along
        known = [node.known for node in nodes]
        for name in set.intersection(*map(set, known)):
            new.__dict__[name] = on_tensors([values[name] for values in known])
    return new


@cache
def _values(kind: type) -> Callable[[Any], tuple]:
    """What gives the fields of a dataclass that has more than one."""
    return attrgetter(*_names(kind))


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The fields of a dataclass; of anything else none."""
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else ()
