"""Notebooks run headlessly: found, checked, executed by papermill, written as HTML.

What the demonstration and cluster jobs share; the notebooks are those that a user opens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill

from gadlib.files.writing import write_bytes
from gadlib.processes.forks import environment
from gadlib.settings.reading import InputError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
"""Where a source checkout keeps them."""

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
    """Raise InputError unless the notebook has these parameters; papermill itself only warns."""
    known = papermill.inspect_notebook(str(path))
    if unknown := [name for name in values if name not in known]:
        raise InputError(
            f"{path}: no parameter {', '.join(unknown)}; expected some of {', '.join(known)}"
        )


def execute(
    source: Path,
    target: Path,
    values: Mapping[str, Any],
    *,
    variables: Mapping[str, str] | None = None,
    **options: Any,
) -> None:
    """Run the notebook with these parameters to its last cell.

    Args:
        source: the notebook.
        target: the executed copy; what was done is in it, whatever happens.
        values: parameters by name.
        variables: of the kernel's environment, besides and over those that every kernel has.
        options: of `papermill.execute_notebook`.

    Raises:
        PapermillExecutionError: when a cell fails.
        RuntimeError: when the last cell did not come to its end.
    """
    with environment(_ENVIRONMENT | dict(variables or {})):
        executed = papermill.execute_notebook(
            str(source),
            str(target),
            parameters=dict(values),
            kernel_name="python3",
            progress_bar=False,
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            **options,
        )
    if f"{source.stem} complete" not in str(executed.cells[-1].outputs):
        raise RuntimeError(f"{target}: the last cell did not say that it is complete")


def to_html(path: Path) -> None:
    """Write the executed notebook as HTML beside itself, if it is there."""
    from nbconvert import HTMLExporter  # seconds, which no job needs

    if path.is_file():
        # The renderer of widgets, which are progress bars here, would be asked for at unpkg.com.
        exporter = HTMLExporter(widget_renderer_url="data:text/javascript,")
        notebook = nbformat.read(path, as_version=4)
        _write_out_plotly(notebook)
        body, _ = exporter.from_notebook_node(notebook)
        body = _FOREIGN.sub("", body)
        write_bytes(path.with_suffix(".html"), body.encode())


def _write_out_plotly(notebook: nbformat.NotebookNode) -> None:
    """Add HTML to the figures of plotly, as optuna.visualization's, which draw themselves by it.

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
