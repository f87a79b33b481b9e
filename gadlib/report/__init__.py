"""Results collected and drawn: `collect_*` -> NamedTuple, `draw_*` -> Axes, `*_table` -> DataFrame.

A drawing of several panels is a Figure. What is empty is drawn as a sentence. Nothing here writes a
file. Floor 5.
"""

from gadlib.report.benchmark import (
    Benchmark,
    benchmark_table,
    collect_benchmark,
    collect_profiles,
    draw_ends,
    draw_profiles,
    draw_rates,
)
from gadlib.report.comparison import (
    Comparison,
    collect_comparison,
    comparison_table,
    draw_comparison,
)
from gadlib.report.landscape import draw_contours, draw_parallel, draw_slices
from gadlib.report.screening import (
    collect_endings,
    collect_steps,
    difficulty_table,
    draw_endings,
    draw_steps,
    failure_table,
    hardest_converged,
)
from gadlib.report.study import (
    best_table,
    collect_importances,
    collect_trials,
    draw_history,
    draw_importances,
    live_history,
)
from gadlib.report.surface import (
    collect_landscape,
    collect_paths,
    draw_flows,
    draw_paths,
    draw_surface,
)
from gadlib.report.trajectory import collect_trajectory, draw_trajectory, repeat_search

__all__ = [
    "Benchmark",
    "Comparison",
    "benchmark_table",
    "best_table",
    "collect_benchmark",
    "collect_comparison",
    "collect_endings",
    "collect_importances",
    "collect_landscape",
    "collect_paths",
    "collect_profiles",
    "collect_steps",
    "collect_trajectory",
    "collect_trials",
    "comparison_table",
    "difficulty_table",
    "draw_comparison",
    "draw_contours",
    "draw_endings",
    "draw_ends",
    "draw_flows",
    "draw_history",
    "draw_importances",
    "draw_parallel",
    "draw_paths",
    "draw_profiles",
    "draw_rates",
    "draw_slices",
    "draw_steps",
    "draw_surface",
    "draw_trajectory",
    "failure_table",
    "hardest_converged",
    "live_history",
    "repeat_search",
]
