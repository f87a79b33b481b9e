"""The declarations of the environment agree: pyproject.toml, constraints.txt, environment.yml."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
CONDA_NAMES = {"matplotlib-base": "matplotlib"}  # conda-forge's matplotlib brings Qt


def by_name(requirements: list[str]) -> dict[str, Requirement]:
    parsed = map(Requirement, requirements)
    return {canonicalize_name(requirement.name): requirement for requirement in parsed}


def conda_section() -> dict[str, SpecifierSet]:
    entries = [entry.partition(" ") for entry in ENVIRONMENT["dependencies"] if type(entry) is str]
    return {CONDA_NAMES.get(name, name): SpecifierSet(spec) for name, _, spec in entries}


def pip_section() -> list[str]:
    (section,) = [entry for entry in ENVIRONMENT["dependencies"] if type(entry) is dict]
    return section["pip"]


def constraint_lines() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


CORE = by_name(PROJECT["dependencies"])
EXTRAS = {extra: by_name(names) for extra, names in PROJECT["optional-dependencies"].items()}
CONDA = conda_section()
PIP = by_name([entry for entry in pip_section() if not entry.startswith("-")])
PINS = {
    canonicalize_name(name): pin for name, _, pin in (c.partition("==") for c in constraint_lines())
}


def test_constraints_are_plain_pins():
    odd = [line for line in constraint_lines() if not re.fullmatch(r"[\w.-]+==[\w.]+", line)]
    assert odd == []
    assert len(PINS) == len(constraint_lines()), "a package is pinned twice"


@pytest.mark.parametrize("group", ["core", *EXTRAS])
def test_every_direct_dependency_is_pinned_within_its_bounds(group: str):
    requirements = CORE if group == "core" else EXTRAS[group]
    assert sorted(requirements.keys() - PINS.keys()) == []
    outside = [n for n, r in requirements.items() if not r.specifier.contains(PINS[n])]
    assert outside == []


def test_environment_lists_every_core_dependency_once():
    assert sorted(CORE.keys() - CONDA.keys() - PIP.keys()) == []
    assert sorted(CONDA.keys() & PIP.keys()) == []
    assert sorted((CONDA.keys() | PIP.keys()) - CORE.keys()) == ["make", "pip", "python"]


def test_conda_section_has_the_bounds_of_the_project():
    assert CONDA["python"] == SpecifierSet(PROJECT["requires-python"])
    assert {n: CONDA[n] for n in CORE.keys() & CONDA.keys()} == {
        n: CORE[n].specifier for n in CORE.keys() & CONDA.keys()
    }


def test_pip_section_has_the_pins_of_the_constraints():
    assert {n: str(r.specifier) for n, r in PIP.items()} == {n: f"=={PINS[n]}" for n in PIP}
    assert {n: r.marker for n, r in PIP.items()} == {n: CORE[n].marker for n in PIP}


def test_pip_section_brings_torch_and_sparrow_and_ends_with_constraints_and_project():
    assert {"torch", "scine-sparrow"} <= PIP.keys()
    assert pip_section()[-2:] == ["-c constraints.txt", "-e ."]


def test_makefile_installs_extras_that_exist():
    makefile = (ROOT / "Makefile").read_text()
    (extras,) = re.findall(r"^EXTRAS := (.*)$", makefile, flags=re.MULTILINE)
    assert set(extras.split(",")) <= EXTRAS.keys()
