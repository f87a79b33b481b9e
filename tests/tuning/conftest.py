"""What tests of studies share."""

from __future__ import annotations

import pytest
from faulty import Springs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for a study whose searches are on springs."""
    monkeypatch.setattr("gadlib.calculators.build", lambda settings: Springs())
    return tmp_path
