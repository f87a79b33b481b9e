"""Processes that are kept for the next thing to do, and those that can't be."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from gadlib.processes.executors import keep, submit


def about() -> tuple[int, str, str | None]:
    return os.getpid(), str(Path.cwd()), os.environ.get("GADLIB_FOR_THIS_TEST")


def asked(function=about):
    executor, future = submit(function)
    found = future.result(timeout=60)
    keep(executor)
    return found


def test_one_that_is_done_does_the_next():
    assert asked() == asked()


def test_a_module_on_a_path_that_was_added_later_is_found(tmp_path: Path, monkeypatch):
    asked()
    (tmp_path / "added_since.py").write_text("def answer():\n    return 42\n")
    monkeypatch.syspath_prepend(tmp_path)
    added = importlib.import_module("added_since")
    try:
        assert asked(added.answer) == 42
    finally:
        del sys.modules["added_since"]


@pytest.mark.parametrize("changed", ["environment", "folder"])
def test_one_of_other_surroundings_is_not_taken(changed, tmp_path: Path, monkeypatch):
    before = asked()
    if changed == "folder":
        monkeypatch.chdir(tmp_path)
    else:
        monkeypatch.setenv("GADLIB_FOR_THIS_TEST", "now")
    after = asked()
    assert after[0] != before[0]
    assert after[1:] == (str(Path.cwd()), os.environ.get("GADLIB_FOR_THIS_TEST"))
