"""The demonstration: the three notebooks, run headlessly on the embedded reactions.

What `make demo` runs. The notebooks themselves are those that a user opens; only the parameters
are chosen here, so that two cores are busy for some minutes. Floor 5.5.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError

from gadlib.files.writing import require_writable
from gadlib.screening.records import read_records
from gadlib.settings.reading import InputError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
"""Where a source checkout keeps them."""

NAMES = ("01_screen", "02_tune", "03_results")

INTERRUPTED = 130

_FOREIGN = re.compile(
    r"<script(?: [^>]*)? src=\"https?://[^>]*>\s*</script>"
    r"|<script type=\"module\">(?:(?!</script>).)*?import\(\"https?://.*?</script>",
    re.DOTALL,
)
"""Scripts from elsewhere, for formulas and diagrams, of which the notebooks have none."""

BACKEND = "module://matplotlib_inline.backend_inline"
"""What matplotlib draws with, so that figures are in the executed notebook."""

_PLOTLY = "application/vnd.plotly.v1+json"

# A kernel draws into the notebook, takes one thread, and is this interpreter's own.
_ENVIRONMENT = {
    "MPLBACKEND": BACKEND,
    "JUPYTER_PREFER_ENV_PATH": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


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
            return 1
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
    return 0


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


def notebook(name: str) -> Path:
    """The notebook of that name in the source checkout.

    Raises:
        InputError: when it is not there.
    """
    path = NOTEBOOKS / f"{name}.ipynb"
    if not path.is_file():
        raise InputError(
            f"{path}: no such notebook; expected the notebooks folder beside gadlib, as in a clone"
        )
    return path


def require_parameters(path: Path, values: Mapping[str, Any]) -> None:
    """Nothing, when the notebook has all of these parameters; papermill itself would only warn.

    Raises:
        InputError: naming those that it lacks.
    """
    known = papermill.inspect_notebook(str(path))
    if unknown := [name for name in values if name not in known]:
        raise InputError(
            f"{path}: no parameter {', '.join(unknown)}; expected some of {', '.join(known)}"
        )


def set_aside(folder: Path) -> Path | None:
    """The new name of an earlier folder, the first free one; None where there was none."""
    if not folder.exists():
        return None
    number = 1
    while (aside := folder.with_name(f"{folder.name}.{number}")).exists():
        number += 1
    try:
        return folder.rename(aside)
    except OSError as error:
        raise InputError(f"{folder}: can't be renamed ({error.strerror or error})") from None


def execute(source: Path, target: Path, values: Mapping[str, Any]) -> None:
    """Nothing, after the notebook was run with these parameters to its last cell.

    Raises:
        PapermillExecutionError: when a cell fails; what was done is in the target.
        RuntimeError: when the last cell did not come to its end.
    """
    with environment(_ENVIRONMENT):
        executed = papermill.execute_notebook(
            str(source),
            str(target),
            parameters=dict(values),
            kernel_name="python3",
            progress_bar=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )
    if f"{source.stem} complete" not in str(executed.cells[-1].outputs):
        raise RuntimeError(f"{target}: the last cell did not say that it is complete")


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """A context in which processes start with these variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def to_html(path: Path) -> None:
    """Nothing, after the executed notebook was written as HTML beside itself, if it is there."""
    from nbconvert import HTMLExporter  # seconds, which no job needs

    if path.is_file():
        # The renderer of widgets, which are progress bars here, would be asked for at unpkg.com.
        exporter = HTMLExporter(widget_renderer_url="data:text/javascript,")
        notebook = nbformat.read(path, as_version=4)
        _write_out_plotly(notebook)
        body, _ = exporter.from_notebook_node(notebook)
        body = _FOREIGN.sub("", body)
        path.with_suffix(".html").write_text(body, encoding="utf-8")


def _write_out_plotly(notebook: nbformat.NotebookNode) -> None:
    """Nothing; figures of plotly, as optuna.visualization's, are also HTML, drawn by themselves.

    The first holds plotly's JavaScript; nbconvert alone would leave all of them out.
    """
    import plotly.io

    is_first = True
    outputs = [o for c in notebook.cells if c.cell_type == "code" for o in c.outputs]
    for data in (o["data"] for o in outputs if _PLOTLY in o.get("data", {})):
        figure = {name: data[_PLOTLY].get(name) for name in ("data", "layout")}
        data["text/html"] = plotly.io.to_html(
            figure, full_html=False, include_plotlyjs=is_first, validate=False
        )
        is_first = False


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
