"""The README says what the code says."""

import re
from pathlib import Path

import pytest

from gadlib.hyperparameters import SOLVERS, markdown_table

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.parametrize("solver", SOLVERS)
def test_readme_holds_the_declared_knobs(solver):
    (table,) = re.findall(rf"<!-- knobs: {solver} -->\n(.*?)\n<!-- end -->", README, re.DOTALL)
    assert table == markdown_table(solver)


def test_readme_opens_with_the_two_commands():
    commands = re.findall(r"^    (make \w+)", README, re.MULTILINE)
    assert commands[:2] == ["make demo", "make test"]
    targets = re.findall(r"^(\w+):", (Path(__file__).parents[1] / "Makefile").read_text(), re.M)
    assert {"demo", "test", "lab", "lint", "env"} <= set(targets)


def test_readme_names_notebooks_that_exist():
    notebooks = Path(__file__).parents[1] / "notebooks"
    for name in re.findall(r"^\| `(\d\d_\w+)` \|", README, re.MULTILINE):
        assert (notebooks / f"{name}.ipynb").is_file(), name
