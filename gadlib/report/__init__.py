"""Results collected and drawn: `collect_*` -> NamedTuple, `draw_*` -> Axes, `*_table` -> DataFrame.

A drawing of several panels is a Figure. What is empty is drawn as a sentence. Only
`save_figure` and `write_page` write files. Floor 5.
"""

from gadlib.report.benchmarks.scaling import draw_growth, growth_sentence, growth_table
from gadlib.report.benchmarks.solvers import (
    Benchmark,
    benchmark_table,
    collect_benchmark,
    collect_profiles,
    draw_ends,
    draw_profiles,
    draw_rates,
)
from gadlib.report.export import save_figure
from gadlib.report.page.gather import write_page
from gadlib.report.searches.paths import (
    Intents,
    collect_intents,
    draw_profile,
    draw_profiles_of,
    draw_verdicts,
    paths_table,
    verdict_sentence,
)
from gadlib.report.searches.screening import (
    Screened,
    collect_endings,
    collect_screened,
    collect_steps,
    difficulty_table,
    draw_endings,
    draw_steps,
    failure_table,
    hardest_converged,
    read_screened,
    screened_in,
)
from gadlib.report.searches.surface import draw_flows, draw_paths, draw_surface
from gadlib.report.searches.trajectory import draw_trajectory
from gadlib.report.style import wrapped
from gadlib.report.tuning.landscape import draw_contours, draw_parallel, draw_slices
from gadlib.report.tuning.samples import (
    Samples,
    collect_samples,
    draw_kept,
    draw_samples,
    kept_sentence,
    never_sentence,
    samples_table,
)
from gadlib.report.tuning.stability import (
    Seeds,
    Stability,
    collect_seeds,
    collect_stability,
    draw_seeds,
    draw_stability,
    seeds_table,
)
from gadlib.report.tuning.study import (
    best_sentence,
    best_table,
    collect_importances,
    collect_trials,
    draw_history,
    draw_importances,
    live_history,
    read_study,
)
from gadlib.report.validation.comparison import (
    Comparison,
    collect_comparison,
    comparison_table,
    draw_comparison,
)
from gadlib.report.validation.gain import Gain, collect_gain, draw_gain, gain_table

__all__ = [
    "Benchmark",
    "Comparison",
    "Gain",
    "Intents",
    "Samples",
    "Screened",
    "Seeds",
    "Stability",
    "benchmark_table",
    "best_sentence",
    "best_table",
    "collect_benchmark",
    "collect_comparison",
    "collect_endings",
    "collect_gain",
    "collect_importances",
    "collect_intents",
    "collect_profiles",
    "collect_samples",
    "collect_screened",
    "collect_seeds",
    "collect_stability",
    "collect_steps",
    "collect_trials",
    "comparison_table",
    "difficulty_table",
    "draw_comparison",
    "draw_contours",
    "draw_endings",
    "draw_ends",
    "draw_flows",
    "draw_gain",
    "draw_growth",
    "draw_history",
    "draw_importances",
    "draw_kept",
    "draw_parallel",
    "draw_paths",
    "draw_profile",
    "draw_profiles",
    "draw_profiles_of",
    "draw_rates",
    "draw_samples",
    "draw_seeds",
    "draw_slices",
    "draw_stability",
    "draw_steps",
    "draw_surface",
    "draw_trajectory",
    "draw_verdicts",
    "failure_table",
    "gain_table",
    "growth_sentence",
    "growth_table",
    "hardest_converged",
    "kept_sentence",
    "live_history",
    "never_sentence",
    "paths_table",
    "read_screened",
    "read_study",
    "samples_table",
    "save_figure",
    "screened_in",
    "seeds_table",
    "verdict_sentence",
    "wrapped",
    "write_page",
]
