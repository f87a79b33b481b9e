"""Small ASE calculators, each with a trait that the adapter has to cope with."""

import os
import threading
import time
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from ase.calculators.calculator import Calculator, FileIOCalculator, all_changes


class Spring(Calculator):
    """Two atoms on a spring of 1 eV/A^2 about 1 A; `hessian` is its property."""

    implemented_properties = ["energy", "forces", "hessian"]  # noqa: RUF012 - ASE's own protocol
    default_parameters = {"stiffness": 1.0}  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if len(self.atoms) != 2:
            raise RuntimeError("two atoms\nwanted")
        k = self.parameters["stiffness"]
        vector = self.atoms.positions[1] - self.atoms.positions[0]
        length = np.linalg.norm(vector)
        unit = vector / length
        block = k * (np.outer(unit, unit) + (1 - 1 / length) * (np.eye(3) - np.outer(unit, unit)))
        self.results = {
            "energy": k * (length - 1) ** 2 / 2,
            "forces": k * (length - 1) * np.array([unit, -unit]),
            "hessian": np.kron([[1, -1], [-1, 1]], block),
        }


class Differences(Spring):
    """The same without a Hessian."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012


class Method(Differences):
    """The same with a Hessian as MACE has it: a method, in another shape."""

    def get_hessian(self, atoms):
        return Spring(**self.parameters).get_property("hessian", atoms).reshape(6, 2, 3)


class Smeared(Differences):
    """The same with a free energy, which is what the forces derive from."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["free_energy"] = self.results["energy"]
        self.results["energy"] = 99.0


class Writes(FileIOCalculator, Differences):
    """One that would write into its directory."""

    _legacy_default_command = "true"

    implemented_properties = ["energy", "forces"]  # noqa: RUF012
    calculate = Differences.calculate


class Wave(Differences):
    """One that begins with its last wave function: each geometry moves the energy a little.

    The least of what real ones do: an SCF that begins elsewhere ends elsewhere.
    """

    wave = None

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] += 0.0 if self.wave is None else 1e-3 * self.wave.sum()
        self.wave = abs(self.atoms.positions)


class Grown(Wave):
    """The same, begun in a list that only grows, and with its calls counted."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.waves, self.n_calls = [], 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        self.wave = self.waves[-1] if self.waves else None
        super().calculate(atoms, properties, system_changes)
        self.waves.append(self.wave)
        self.n_calls += 1


class Engine:
    """What can't be copied, as a program's handle."""

    def __init__(self):
        self.wave, self.lock = None, threading.Lock()


class Opaque(Wave):
    """The same, held by an engine made at the start."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.engine = Engine()

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        self.wave = self.engine.wave
        super().calculate(atoms, properties, system_changes)
        self.engine.wave = self.wave


class Files(Writes):
    """The same, held in a file of its directory."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        path = Path(self.directory, "wave.npy")
        self.results["energy"] += 1e-3 * np.load(path).sum() if path.exists() else 0.0
        np.save(path, abs(self.atoms.positions))


class Everywhere(Wave):
    """The same, held where nobody finds it."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        self.wave = Everywhere.last
        super().calculate(atoms, properties, system_changes)
        Everywhere.last = self.wave

    last = None


class Neural(Differences):
    """One with a network, which is not to be copied for each geometry."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.parts = {"models": [torch.nn.Linear(1, 1)]}
        self.places = []

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = float(id(self.parts["models"][0]))


class Leaving(Differences):
    """One that ends the program on a molecule of oxygen."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if 8 in self.atoms.numbers:
            raise SystemExit("out of licences")


class Dying(Differences):
    """One that ends its process."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        os._exit(3)


class Hanging(Differences):
    """One that never answers."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        time.sleep(300)


class Counted(Differences):
    """One that knows in which processes it computed."""

    processes: ClassVar[list[int]] = []

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        Counted.processes.append(os.getpid())


class Broken(Differences):
    """One that can't be made."""

    def __init__(self, **kwargs):
        raise RuntimeError("no licence")


class Exits(Differences):
    """One whose making ends the program."""

    def __init__(self, **kwargs):
        raise SystemExit(2)


CALLED = []


def called(**kwargs):
    """A function that is no calculator's class."""
    CALLED.append(kwargs)
    return Spring()


class Meeting(Differences):
    """A calculation that ends when another process is at one at the same time."""

    default_parameters = {"stiffness": 1.0, "folder": ""}  # noqa: RUF012

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        folder = Path(self.parameters["folder"])
        (folder / str(os.getpid())).touch()
        until = time.monotonic() + 60
        while len(list(folder.iterdir())) < 2:
            if time.monotonic() > until:
                raise RuntimeError("nobody came")
            time.sleep(0.01)


class Deadly(Differences):
    """One that ends its process where there is oxygen."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        if 8 in atoms.numbers:
            os._exit(3)
        super().calculate(atoms, properties, system_changes)
