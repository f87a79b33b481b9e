"""The demonstration: the three notebooks, run headlessly on the embedded reactions.

What `make demo` runs. The notebooks themselves are those that a user opens; only the parameters
are chosen here, so that two cores are busy for some minutes.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from papermill.exceptions import PapermillExecutionError

from gadlib.cli.exit_status import DONE, FAILED, INTERRUPTED
from gadlib.cli.notebooks import execute, notebook, require_parameters, to_html
from gadlib.files.writing import first_free, require_writable
from gadlib.screening.records import read_records
from gadlib.settings.reading import InputError

NAMES = ("01_screen", "02_tune", "03_results")


def run(out_dir: Path, workers: int) -> int:
    """The exit status, after the notebooks were executed and their results printed.

    An earlier `out_dir` is renamed to `out_dir.1` (or the next free number), never overwritten.

    Raises:
        InputError: when the notebooks are missing or the folder can't be written.
    """
    started = time.perf_counter()
    plan = parameters(out_dir, workers)
    for name, values in plan.items():
        require_parameters(notebook(name), values)
    earlier = set_aside(out_dir)
    require_writable(out_dir)
    if earlier is not None:
        print(f"the earlier {out_dir} is now {earlier}")
    for place, (name, values) in enumerate(plan.items(), start=1):
        print(f"[{place}/{len(plan)}] {name} ...", end=" ", flush=True)
        before = time.perf_counter()
        try:
            execute(notebook(name), out_dir / f"{name}.ipynb", values)
        except PapermillExecutionError as error:
            print(f"failed: {error.ename}: {error.evalue}\nsee {out_dir / name}.ipynb")
            return FAILED
        except KeyboardInterrupt:
            # The interrupted cell's task is never awaited; its traceback is in the notebook.
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            print(f"interrupted; what was done is in {out_dir}")
            return INTERRUPTED
        finally:
            to_html(out_dir / f"{name}.ipynb")
        print(f"{time.perf_counter() - before:.0f} s", flush=True)
    _tell(out_dir)
    print(f"{time.perf_counter() - started:.0f} s in all")
    return DONE


def parameters(out_dir: Path, workers: int) -> dict[str, dict[str, Any]]:
    """The parameters of each notebook that differ from its own, by its name.

    Tuning sees the difficult half of the train split only; val and test are searched once, at the
    end, and nothing is chosen by them.
    """
    common = {"out_dir": str(out_dir), "workers": workers, "resume": False}
    study = {"screening": str(out_dir / "screening.json"), "n_trials": 20, "n_startup_trials": 8}
    tuned = {
        "screening": study["screening"],
        "best": str(out_dir / "hpo_results.json"),
        "storage": f"sqlite:///{out_dir / 'scine_hpo_study.db'}",
    }
    return {
        "01_screen": common | {"split": "all"},
        "02_tune": common | {"split": "train"} | study,
        "03_results": common | {"split": "val,test"} | tuned,
    }


def set_aside(folder: Path) -> Path | None:
    """The new name of an earlier folder, the first free one; None where there was none."""
    if not folder.exists():
        return None
    try:
        return folder.rename(first_free(folder, "{name}.{number}"))
    except OSError as error:
        raise InputError(f"{folder}: can't be renamed ({error.strerror or error})") from None


def _tell(out_dir: Path) -> None:
    from gadlib import report

    default, tuned = (read_records(out_dir / f"{side}.json")[1] for side in ("default", "tuned"))
    comparison = report.collect_comparison(default, tuned)
    print("\nDefaults against tuned values, on reactions that tuning never saw:\n")
    print(report.comparison_table(comparison).to_string(index=False))
    print(f"\n{comparison.verdict}\n")
    for name in NAMES:
        print(f"notebook: {out_dir / name}.ipynb, {out_dir / name}.html")
    print(f"results:  {out_dir / 'hpo_results.json'}")
    print(f"study:    {out_dir / 'scine_hpo_study.db'}")
