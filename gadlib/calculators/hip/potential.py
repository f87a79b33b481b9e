"""HIP: a neural potential that predicts energy, forces and Hessians of a batch in one pass.

Trained on neutral molecules of H, C, N and O (wB97X/6-31G(d)). Forces and Hessian come from heads
of their own: neither is the exact derivative of anything, and net force and translations are not
exactly zero. Energies have an offset that depends on the composition. The model computes in float32
and is upcast here.

Reference: Burger et al., arXiv:2509.21624.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from gadlib.calculators.device import find_device, seeded, threads
from gadlib.calculators.failures import impossible, refused
from gadlib.calculators.halving import InHalves
from gadlib.calculators.hip.checkpoint import digest, find_checkpoint, load_model
from gadlib.calculators.hip.source import find_source, missing_packages, quiet
from gadlib.calculators.kind import Kind
from gadlib.evaluation import Evaluation
from gadlib.settings.calculators import CalculatorSettings
from gadlib.settings.reading import InputError
from gadlib.systems.batch import Batch

ELEMENTS = (1, 6, 7, 8)
"""What HIP was trained on; it takes any other element too, and returns nonsense."""

__all__ = ["ELEMENTS", "Hip", "digest", "find_checkpoint", "missing"]


class Hip:
    """A calculator of HIP's model; picklable, and loaded once per process.

    Args:
        checkpoint_path: hip_v2.ckpt.
        source: the folder of HIP's source; by default that of HIP_SOURCE.
        device: auto, cpu, cuda or cuda:N.
        threads: on the CPU; by default torch's.
        trust: whether the checkpoint may load anything, and so run code of its own.
        mean_atoms: what energies are divided by; by default the checkpoint's value, else the
            training set's.
        seed: of the random edge frames, which change results by their rounding only.

    Raises:
        InputError: when the source, the checkpoint or the device can't be used.
        ImportError: when a package is missing; the message says what to install.
    """

    name = "HIP"
    is_hessian_costly = False  # predicted in the same pass
    rounding = 1e-3  # eV; float32, where a sum depends on the batch that it is taken in

    def __init__(
        self,
        checkpoint_path: str | Path | None,
        *,
        source: str | Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        trust: bool = False,
        mean_atoms: float | None = None,
        seed: int = 0,
    ) -> None:
        folder = find_source(None if source is None else str(source))
        checkpoint = find_checkpoint(checkpoint_path)
        self.device = find_device(device)
        self.threads = threads
        self.seed = seed
        self._arguments = (str(checkpoint), str(folder), str(self.device), trust, mean_atoms)
        self._in_halves = InHalves("HIP", self.device)
        self._model = _loaded(*self._arguments)

    def __reduce__(self) -> tuple:
        return _again, (*self._arguments, self.threads, self.seed)

    def __call__(self, batch: Batch, *, hessian: bool = True) -> Evaluation:
        """Energies, forces and, where asked for, Hessians of the batch, in one forward pass."""
        return self._in_halves(
            batch,
            hessian,
            lambda some: self._predict(some, hessian),
            failures=self._foreign(batch) | impossible(batch),
        )

    def unsupported(self, atomic_numbers: set[int]) -> dict[int, str]:
        """The elements that HIP was not trained on."""
        return dict.fromkeys(sorted(atomic_numbers - set(ELEMENTS)), _UNKNOWN_ELEMENT)

    def refuses(self, charge: int, multiplicity: int) -> str:
        """Why molecules of this charge and multiplicity can't be computed; empty where they can."""
        if (charge, multiplicity) == (0, 1):
            return ""
        return (
            f"HIP was trained on neutral closed shells; this has a charge of {charge:+d} and a"
            f" multiplicity of {multiplicity}"
        )

    def _foreign(self, batch: Batch) -> dict[int, str]:
        """A sentence for each system that HIP's model is not made for."""
        cutoff = float(self._model.cutoff)  # type: ignore[arg-type]
        apart = f"HIP: no two atoms are closer than its cutoff of {cutoff:g} A"
        is_apart = (~(batch.closest_pair < cutoff)).nonzero().flatten().tolist()
        return dict.fromkeys(is_apart, apart) | refused(self, batch)

    def _predict(self, batch: Batch, hessian: bool) -> Evaluation:
        mask = batch.mask
        graph = _graph(batch, self.device)
        with torch.no_grad(), quiet(), threads(self.threads), seeded(self.seed, self.device):
            energy, forces, more = self._model(graph, hessian=hessian, otf_graph=True)
        like = batch.positions  # its device and float64
        padded = torch.zeros_like(like)
        padded[mask] = forces.to(like)
        second = None
        if hessian:
            is_coordinate = mask.repeat_interleave(3, -1)
            is_entry = is_coordinate[:, :, None] & is_coordinate[:, None, :]
            second = like.new_zeros(is_entry.shape)
            second[is_entry] = more["hessian"].flatten().to(like)  # row by row, block after block
            second = (second + second.mT) / 2  # symmetric up to rounding
        return Evaluation(energy.flatten().to(like), padded, second)


_UNKNOWN_ELEMENT = "HIP was trained on H, C, N and O only"


def _again(
    checkpoint: str,
    source: str,
    device: str,
    trust: bool,
    mean_atoms: float | None,
    threads: int | None,
    seed: int,
) -> Hip:
    return Hip(
        checkpoint,
        source=source,
        device=device,
        threads=threads,
        trust=trust,
        mean_atoms=mean_atoms,
        seed=seed,
    )


@lru_cache(maxsize=2)
def _loaded(
    checkpoint: str, source: str, device: str, trust: bool, mean_atoms: float | None
) -> torch.nn.Module:
    model = load_model(Path(checkpoint), Path(source), trust=trust, mean_atoms=mean_atoms)
    return model.to(find_device(device))


def _graph(batch: Batch, device: torch.device) -> Any:
    """The batch as HIP's model takes it: float32, molecules one after the other, centred."""
    from torch_geometric.data import Batch as Graphs  # type: ignore[import-not-found]

    mask, sizes = batch.mask, batch.n_atoms
    centre = batch.positions.sum(1) / sizes[:, None]
    positions = (batch.positions - centre[:, None])[mask]
    owner = torch.arange(len(batch), device=mask.device).repeat_interleave(sizes)
    return Graphs(
        pos=positions.to(device, torch.float32),
        z=batch.atomic_numbers[mask].to(device),
        natoms=sizes.to(device),
        batch=owner.to(device),
    )


def missing(
    checkpoint_path: str | Path | None, *, source: str | Path | None = None, device: str = "auto"
) -> list[str]:
    """What is not there for HIP, a sentence each; the checkpoint is not opened."""
    reasons = []
    if packages := missing_packages():
        reasons.append(f"packages: pip install {' '.join(packages)}")
    for find, value in (
        (find_source, None if source is None else str(source)),
        (find_checkpoint, checkpoint_path),
        (find_device, device),
    ):
        try:
            find(value)  # type: ignore[arg-type]
        except InputError as error:
            reasons.append(str(error))
    return reasons


def _build(settings: CalculatorSettings) -> Hip:
    return Hip(
        settings.checkpoint_path,
        source=settings.hip_source,
        device=settings.device,
        threads=settings.threads,
        trust=settings.trust_checkpoint,
        mean_atoms=settings.hip_mean_atoms,
        seed=settings.hip_seed,
    )


def _content(settings: CalculatorSettings) -> dict[str, str]:
    path = settings.checkpoint_path
    return {} if path is None else {"checkpoint_path": digest(path)}


KIND = Kind(
    name="hip",
    doc="HIP, a neural potential that predicts Hessians of molecules of H, C, N and O; CPU or GPU",
    needs="pip install 'gadlib[hip]'; --hip-source or HIP_SOURCE, --checkpoint-path",
    build=_build,
    lacks=lambda settings: missing(
        settings.checkpoint_path, source=settings.hip_source, device=settings.device
    ),
    detail="checkpoint_path",
    packages=("e3nn", "torch-geometric"),
    variants=lambda settings: [{}] if settings.checkpoint_path else [],
    content=_content,
)
