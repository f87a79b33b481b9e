"""The pages as a web site in runs/site, with executed notebooks in it: what `make site` runs.

    python docs/make_site.py [--keep]

Notebooks are run small, on the embedded reactions, which takes some minutes; with `--keep` those
that are there are not run again.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from gadlib.cli import demo, notebooks

ROOT = Path(__file__).resolve().parents[1]
EXECUTED = ROOT / "runs" / "site-notebooks"
SITE = ROOT / "runs" / "site"

SMALL: dict[str, dict[str, Any]] = {
    "00_tour": {},
    "01_screen": {"split": "all", "max_samples": 30},
    "02_tune": {"max_samples": 30, "n_samples": 4, "n_trials": 14, "n_steps_per_sample": 100},
    "03_results": {"max_samples": 20, "n_steps_per_sample": 100},
    "04_benchmark": {"max_samples": 5},
    "05_validate": {},
}
"""Parameters of each notebook that make it quick."""


def planned(results: Path) -> dict[str, dict[str, Any]]:
    """The parameters of each notebook that differ from its own, by its name."""
    plan = demo.parameters(results, workers=2)
    plan |= {"04_benchmark": {"out_dir": str(results / "bench")}}
    plan |= {"05_validate": {"out_dir": str(results / "irc")}}
    return {name: plan.get(name, {}) | values for name, values in SMALL.items()}


def execute(folder: Path) -> dict[str, Path]:
    """Run the notebooks that are not in the folder yet; where each is, by its name."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, values in planned(folder.resolve() / "results").items():
        found[name] = folder / f"{name}.ipynb"
        if not found[name].exists():
            print(f"{name} ...", flush=True)
            notebooks.execute(notebooks.notebook(name), found[name], values)
    return found


def main(*, is_kept: bool) -> int:
    """Run the notebooks, then Sphinx; its exit status."""
    from sphinx.cmd.build import build_main  # an extra of its own

    if not is_kept:
        shutil.rmtree(EXECUTED, ignore_errors=True)
    shown = EXECUTED / "notebooks"
    shown.mkdir(parents=True, exist_ok=True)
    for path in execute(EXECUTED / "executed").values():
        notebooks.to_html(path)
        path.with_suffix(".html").replace(shown / f"{path.stem}.html")
    shutil.rmtree(SITE, ignore_errors=True)
    arguments = ["-q", "-W", "--keep-going", "-c", str(ROOT / "docs"), str(ROOT), str(SITE)]
    status = build_main(arguments)
    shutil.copytree(shown, SITE / "notebooks", dirs_exist_ok=True)
    shutil.copy(SITE / "README.html", SITE / "index.html")
    print(f"site: {SITE / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(is_kept="--keep" in sys.argv[1:]))
