"""Every block of code in the documents runs as it stands, in the order of its page.

A page is read in a fresh clone: a folder with what the checkout has, and nothing in `runs`. Blocks
whose fence says what they need are not run; their syntax and their flags are checked.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import documents
import pytest
from documents import PAGES, ROOT, Block

from gadlib.cli.parser import build, main

NEEDS = {
    "slurm": "a SLURM cluster",
    "hip": "HIP's source and its checkpoint of 222 MB",
    "rdb7": "a file of reactions that is not part of the package",
    "download": "the network",
    "minutes": "minutes; what it runs is tested elsewhere",
    "hours": "hours, and the file of Transition1x",
    "browser": "somebody who looks at it, and ends it",
    "checkout": "the checkout, which it changes",
}
"""What a fence may say that its block needs."""

RUN = [
    p
    for p in PAGES
    if any(not b.needs and b.language in ("bash", "python") for b in documents.blocks(p))
]
KEPT = (".venv", "gadlib", "tests", "papermill_jobs", "Makefile", "constraints.txt")


def name_of(page: Path) -> str:
    return page.name


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder like a fresh clone, in which nothing of the checkout can be overwritten."""
    for name in KEPT:
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in ("GADLIB_STORAGE", "WANDB_API_KEY", "WANDB_MODE", "HIP_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_blocks_run_as_they_stand(page, clone, monkeypatch):
    names: dict[str, object] = {"__name__": "__main__"}
    said: str | None = None  # by the block before, where that was run
    for block in documents.blocks(page):
        where = f"{page.name}:{block.line}"
        if block.language == "text" and said is not None:
            assert said_alike(said, block.code), f"{where}: it says\n{said}"
        if block.needs or block.language not in ("bash", "python"):
            said = None
            continue
        is_python = block.language == "python"
        said = ran_python(block, names) if is_python else ran_bash(block, where, monkeypatch)


def ran_python(block: Block, names: dict[str, object]) -> str:
    """What it prints."""
    out = io.StringIO()
    code = compile(block.code, f"{block.page.name}:{block.line}", "exec")
    with contextlib.redirect_stdout(out):
        exec(code, names)
    return out.getvalue()


def ran_bash(block: Block, where: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What it prints, with variables exported and files written for the blocks that follow.

    Lines that call gadlib alone are run in this process, which has imported all: it takes a tenth
    of the time. The rest is bash's.
    """
    said = ""
    for part in parts(block.code):
        words = shlex.split(part.replace("\\\n", " "))
        if words[0] == "gadlib":
            said += ran_command(words[1:], where)
        elif words[0] == "export":
            name, _, value = words[1].partition("=")
            monkeypatch.setenv(name, value)
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", part],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, f"{where}:\n{part}\n{done.stdout}\n{done.stderr}"
            said += done.stdout
    return said


def parts(code: str) -> list[str]:
    """The commands of a block: a line with those that continue it, a text with what it fills."""
    command = r"^(?:[^\n]*<<'(\w+)'\n.*?^\1$|(?:[^\n]*\\\n)*[^\n]+)"
    found = (match[0] for match in re.finditer(command, code, re.MULTILINE | re.DOTALL))
    return [part for part in found if not part.startswith("#")]


def ran_command(arguments: list[str], where: str) -> str:
    """What gadlib's command line prints."""
    out, err = io.StringIO(), io.StringIO()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(arguments)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert status == 0, f"{where}: gadlib {shlex.join(arguments)}\n{err.getvalue()}"
    return out.getvalue()


def said_alike(said: str, shown: str) -> bool:
    """Whether the words are those that are shown, and numbers as far as machines agree.

    A line of dots stands for lines left out.
    """
    expected = shown.strip().splitlines()
    lines = said.strip().splitlines()
    if "..." in expected:
        head = expected[: expected.index("...")]
        tail = expected[expected.index("...") + 1 :]
        lines = lines[: len(head)] + (lines[-len(tail) :] if tail else [])
        expected = head + tail
    return [words(line) for line in lines] == [words(line) for line in expected]


def words(line: str) -> list[str | float]:
    """The words of a line; of numbers, which differ by rounding, two digits."""
    found: list[str | float] = []
    for word in line.split():
        number = re.fullmatch(r"-?\d+\.\d+", word.strip("(),;%"))
        found.append(float(f"{float(number[0]):.1e}") if number else word)
    return found


ALL = [block for page in PAGES for block in documents.blocks(page)]


def place_of(block: Block) -> str:
    return f"{block.page.name}:{block.line}"


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "bash"], ids=place_of)
def test_commands_have_a_syntax_and_flags_that_exist(block):
    subprocess.run(["bash", "-n", "-c", block.code], check=True)
    for line in block.code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"\w+=.*", words[0]):
            words.pop(0)
        if not words or words[0] != "gadlib":
            continue
        assert parsed(words[1:]), line


def parsed(arguments: list[str]) -> bool:
    """Whether the command line takes them."""
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.suppress(SystemExit):
        build().parse_args(arguments)
        return True
    print(err.getvalue())
    return arguments[-1] == "--help" or arguments == ["--version"]


@pytest.mark.parametrize("block", [b for b in ALL if b.language == "python"], ids=place_of)
def test_python_has_a_syntax(block):
    ast.parse(block.code)


def test_fences_say_what_they_are():
    for block in ALL:
        assert block.language in ("bash", "python", "text", "json", "bibtex"), place_of(block)
        assert not block.needs or block.needs in NEEDS, place_of(block)


def test_numbers_that_differ_by_rounding_are_alike():
    assert said_alike("a 1.2345 b\nc\nd 3", "a 1.2346 b\n...\nd 3")
    assert not said_alike("a 1.2345", "a 1.3")
    assert not said_alike("a 3", "a 4")


def test_block_is_taken_apart_into_commands():
    code = "cat > a <<'END'\n1\n2\nEND\ngadlib tune \\\n  --resume\nls\n"
    assert parts(code) == ["cat > a <<'END'\n1\n2\nEND", "gadlib tune \\\n  --resume", "ls"]
