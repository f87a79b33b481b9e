"""Every deliberate fault of the table is still a fault, and a test catches it."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from faults import FAULTS, ROOT, changed  # noqa: E402


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_a_fault_has_its_place_in_the_source_and_its_test(fault):
    assert changed(fault) != (ROOT / fault.file).read_text()
    file, _, name = fault.test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.slow
def test_every_deliberate_fault_is_caught():
    done = subprocess.run([sys.executable, HERE / "faults.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(FAULTS)} of {len(FAULTS)} deliberate faults are caught" in done.stdout
