"""How long a step takes, and how much of it is the solver's: to choose a batch and a device.

The molecules are made up (atoms of H, C, N and O on a shaken grid), and HIP may be measured with
random weights: nothing here says whether the chemistry is right.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from gadlib import calculators
from gadlib.calculators.hip import checkpoint as hip_checkpoint
from gadlib.calculators.hip import source as hip_source
from gadlib.evaluation import Calculator
from gadlib.settings.benchmarks import TimingSettings
from gadlib.settings.hyperparameters import GadHyperparameters
from gadlib.settings.reading import InputError, shown
from gadlib.solver.criteria import judge
from gadlib.solver.gad import init, step
from gadlib.systems.batch import Batch

_SPACING = 1.4
_SHAKE = 0.08
_ELEMENTS = (1, 6, 1, 7, 1, 6, 8)

FULL_HIP = {
    "name": "EquiformerV2",
    "num_layers_hessian": 1,
    "max_radius": 5.0,
    "max_neighbors": 32,
    "cutoff_hessian": 100.0,
    "hessian_no_attn_weights": True,
}
"""What HIP's configs/train.yaml adds to its configs/equiformer_v2.yaml: 19.4 million weights."""


class Row(NamedTuple):
    """One measurement.

    Attributes:
        ms: wall time of the fastest step (energy, forces, Hessian, spectrum, move, verdict), by
            molecule.
        overhead: the part of it that is not the calculator's.
        memory_gb: of the GPU, the most since the start of this row; else of this process, the most
            since its own start.
        eigh_ms: the eigen-decomposition alone, of one molecule, where it is computed.
        eigh_cpu_ms: the same by way of the CPU; equal where that is where it is computed.
    """

    n_atoms: int
    batch: int
    ms: float
    overhead: float
    memory_gb: float
    eigh_ms: float
    eigh_cpu_ms: float


def calculator_of(settings: TimingSettings, folder: Path) -> tuple[Calculator, str]:
    """The calculator that the settings ask for, and a note where HIP's weights are random.

    Raises:
        InputError: when the calculator is not available.
    """
    note = ""
    try:
        if settings.calculator == "hip" and settings.checkpoint_path is None:
            source = hip_source.find_source(settings.hip_source)
            checkpoint = random_hip(source, folder / "random.ckpt")
            settings = settings.model_copy(update={"checkpoint_path": str(checkpoint)})
            note = "full size, random weights"
        return calculators.build(settings), note
    except (ValueError, ImportError) as error:
        raise InputError(str(error)) from None


def random_hip(source: Path, path: Path) -> Path:
    """A checkpoint of HIP's full-size model with random weights, for measuring time and memory."""
    import yaml

    kind = hip_source.model_class(source)
    defaults = yaml.safe_load((source / "configs/equiformer_v2.yaml").read_text())["model"]
    with torch.random.fork_rng(devices=[]), hip_source.quiet():
        torch.manual_seed(0)
        model = kind(**{**defaults, **FULL_HIP})
    weights = {f"{hip_checkpoint.PREFIX}{key}": v for key, v in model.state_dict().items()}
    torch.save({"state_dict": weights, "hyper_parameters": {"model_config": FULL_HIP}}, path)
    return path


def make_molecules(n_atoms: int, size: int) -> Batch:
    """Made-up molecules: atoms on a shaken cubic grid, each molecule shaken otherwise."""
    edge = round(n_atoms ** (1 / 3) + 0.5)
    grid = torch.cartesian_prod(*[torch.arange(edge, dtype=torch.float64)] * 3)[:n_atoms]
    generator = torch.Generator().manual_seed(n_atoms)
    noise = torch.randn(size, n_atoms, 3, dtype=torch.float64, generator=generator)
    numbers = [_ELEMENTS[i % len(_ELEMENTS)] for i in range(n_atoms)]
    if sum(numbers) % 2:  # an odd number of electrons, for which most methods have no default
        numbers[1] += 1
    return Batch.pack(list(_SPACING * grid + _SHAKE * noise), [numbers] * size)


def measure(calculator: Calculator, batch: Batch, n_steps: int) -> Row:
    """The fastest step of gentlest-ascent dynamics with the batch, after one for warming up.

    Raises:
        InputError: when a molecule can't be computed.
    """
    batch = batch.to(getattr(calculator, "device", batch.positions.device))
    device = batch.positions.device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    defaults = GadHyperparameters()
    state = step(calculator, init(calculator, batch, defaults), defaults)
    pieces = torch.ones(len(batch), dtype=torch.int64, device=device)
    timed: list[tuple[float, float]] = []
    for _ in range(n_steps):
        before, started = float(state.cost.calculator_s.sum()), time.perf_counter()
        state = step(calculator, state, defaults)
        judge(state, pieces).meets("bound").tolist()
        seconds = time.perf_counter() - started
        timed.append((seconds, float(state.cost.calculator_s.sum()) - before))
    seconds, inside = min(timed)  # other processes only ever make it slower
    if reason := next(filter(None, state.message), ""):
        raise InputError(f"the made-up molecules can't be computed: {reason}")
    here, cpu = _eigh_ms(3 * batch.positions.shape[1], len(batch), device)
    return Row(
        n_atoms=batch.positions.shape[1],
        batch=len(batch),
        ms=1e3 * seconds / len(batch),
        overhead=1 - inside / seconds,
        memory_gb=_memory_gb(device),
        eigh_ms=here,
        eigh_cpu_ms=cpu,
    )


_MAX_SIZE = 100_000


def measure_steps(calculator: Calculator, settings: TimingSettings) -> Iterator[Row]:
    """The measurements, as they come, small molecules and batches first.

    Raises:
        InputError: when the numbers can't be read.
    """
    try:
        atoms = [int(part) for part in settings.atoms.split(",")]
        batches = [int(part) for part in settings.batches.split(",")]
    except ValueError as error:
        raise InputError(
            f"atoms, batches: expected numbers with commas between ({error})"
        ) from None
    for name, given in (("atoms", atoms), ("batches", batches)):
        if not all(0 < n <= _MAX_SIZE for n in given):
            raise InputError(
                f"{name} = {shown(getattr(settings, name))}: expected numbers from 1 to {_MAX_SIZE}"
            )
    for n_atoms in atoms:
        for size in batches:
            yield measure(calculator, make_molecules(n_atoms, size), settings.n_steps)


HEAD = "atoms  batch  ms/molecule/step  overhead  memory GB  eigh ms  eigh by CPU ms"


def format_row(row: Row) -> str:
    """The row as a line of the table under `HEAD`."""
    return (
        f"{row.n_atoms:5d}  {row.batch:5d}  {row.ms:16.2f}  {row.overhead:8.1%}"
        f"  {row.memory_gb:9.2f}  {row.eigh_ms:7.3f}  {row.eigh_cpu_ms:14.3f}"
    )


def _memory_gb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # in kB on Linux


def _eigh_ms(size: int, count: int, device: torch.device) -> tuple[float, float]:
    """Milliseconds for one of `count` symmetric matrices: on the device, and by way of the CPU."""
    matrices = torch.randn(count, size, size, dtype=torch.float64, device=device)
    matrices = matrices + matrices.mT
    here = _timed_ms(lambda: torch.linalg.eigh(matrices), device)
    if device.type == "cpu":
        return here / count, here / count
    cpu = _timed_ms(lambda: [part.to(device) for part in torch.linalg.eigh(matrices.cpu())], device)
    return here / count, cpu / count


def _timed_ms(call: Callable[[], object], device: torch.device) -> float:
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return 1e3 * (time.perf_counter() - started)
