"""Every hyperparameter of every solver, declared once.

What defines success (the criterion, the budget) is no hyperparameter and is declared in `searches`.
"""

from typing import ClassVar, Literal

from pydantic import Field

from gadlib.settings.declarations import Hyperparameters, declare


class GadHyperparameters(Hyperparameters):
    """Hyperparameters of multi-mode Eckart mass-weighted GAD, as published."""

    solver: ClassVar[str] = "gad"

    integrator: Literal["explicit", "damped"] = Field(
        default="explicit",
        description="how the dynamics is integrated: explicit (the published step, unstable for"
        " stiff bonds from time steps of about 0.02 A^2/eV on) or damped (each mode by its"
        " curvature, so that larger ones are stable)",
    )

    dt_min: float = declare(
        1e-6, 1e-7, 1e-5, "smallest time step", unit="A^2/eV", log=True, limits=(1e-9, 0.1)
    )
    dt_max: float = declare(
        0.05, 0.01, 0.1, "largest time step", unit="A^2/eV", log=True, limits=(1e-4, 1.0)
    )
    plateau_patience: int = declare(
        5, 3, 20, "steps of unchanged order before the time step grows", limits=(1, 200)
    )
    plateau_boost: float = declare(
        2.0, 1.2, 3.0, "factor by which the time step grows on a plateau", limits=(1.0, 10.0)
    )
    plateau_shrink: float = declare(
        0.5,
        0.3,
        0.7,
        "factor by which the time step shrinks when the order rises",
        limits=(0.01, 1.0),
    )
    escape_disp_threshold: float = declare(
        5e-4,
        1e-5,
        1e-3,
        "mean atom displacement below which the search counts as stuck",
        unit="A",
        log=True,
        limits=(1e-8, 0.1),
    )
    escape_window: int = declare(
        20, 10, 50, "steps over which being stuck is judged", limits=(2, 500)
    )
    escape_neg_vib_std: float = declare(
        0.5,
        0.1,
        1.0,
        "largest standard deviation of the order that counts as stuck",
        limits=(0.0, 10.0),
    )
    escape_delta: float = declare(
        0.1,
        0.05,
        0.5,
        "displacement along the second mode at an escape",
        unit="A",
        limits=(1e-3, 2.0),
    )
    adaptive_delta_scale: float = declare(
        1.0,
        0.0,
        2.0,
        "scale of the curvature-adapted escape; 0 switches adaptation off",
        limits=(0.0, 10.0),
        aliases={"adaptive_delta": 1.0},
    )
    trust_radius_max: float = declare(
        0.25,
        0.1,
        0.5,
        "largest displacement of one atom in one step",
        unit="A",
        limits=(0.01, 2.0),
        aliases={"max_atom_disp": None},
    )


class TrustHyperparameters(Hyperparameters):
    """Hyperparameters of the trust-region solver on the image surface."""

    solver: ClassVar[str] = "trust"
    closest_pair: ClassVar[float] = 0.001  # it pushes atoms apart before anything is computed

    exact_hessians: Literal["auto", "proof", "often"] = Field(
        default="auto",
        description="where Hessians are exact: proof (only the one that proves a saddle; others are"
        " modelled and probed) or often (every few steps); auto goes by what the calculator"
        " declares (`is_hessian_costly`), and takes one that declares nothing for costly",
    )
    proof: Literal["auto", "hessian", "products"] = Field(
        default="auto",
        description="how the order of a saddle is proved: hessian (a whole one, of which all"
        " frequencies are known) or products (a few of it with vectors); auto takes products where"
        " the calculator's Hessians are differences of gradients",
    )

    radius_start: float = declare(
        0.1,
        0.02,
        0.5,
        "trust radius at the start: largest displacement of one atom",
        unit="A",
        limits=(1e-3, 2.0),
    )
    radius_min: float = declare(
        0.01, 0.001, 0.05, "smallest trust radius", unit="A", log=True, limits=(1e-5, 0.5)
    )
    radius_max: float = declare(
        0.2, 0.05, 0.8, "largest trust radius of a climb", unit="A", limits=(1e-3, 2.0)
    )
    radius_grow: float = declare(
        1.25,
        1.1,
        3.0,
        "factor by which the radius grows after a well predicted step",
        limits=(1.0, 10.0),
    )
    radius_shrink: float = declare(
        0.5,
        0.2,
        0.8,
        "factor by which the radius shrinks after a poorly predicted step",
        limits=(0.01, 0.99),
    )
    hessian_every: int = declare(
        2,
        1,
        1000,
        "steps from one exact Hessian to the next within a try",
        log=True,
        limits=(1, 1_000_000),
        acts={"exact_hessians": ("auto", "often")},
    )
    probe_every: int = declare(
        2,
        1,
        20,
        "where exact Hessians are spared: steps from one probe of the climbed mode to the next, as"
        " long as there is an aim or no mode curves down",
        limits=(1, 10_000),
        acts={"exact_hessians": ("auto", "proof")},
    )
    try_steps: int = declare(
        100, 20, 400, "steps after which a try is given up", log=True, limits=(1, 1_000_000)
    )
    settle_steps: int = declare(
        10,
        1,
        60,
        "steps in which a distorted start may come to rest before it is rebuilt",
        log=True,
        limits=(1, 10_000),
    )
    kick: float = declare(
        0.5,
        0.1,
        1.5,
        "standard deviation of the noise that makes another start of the given one",
        unit="A",
        limits=(1e-3, 5.0),
    )
    torn_steps: int = declare(
        10,
        2,
        50,
        "steps in more pieces than allowed after which a climb is given up",
        limits=(1, 10_000),
    )


class DeltaHyperparameters(Hyperparameters):
    """Hyperparameters of the search on a cheap potential that learns the difference."""

    solver: ClassVar[str] = "delta"
    needs_cheap: ClassVar[bool] = True

    proof: Literal["auto", "hessian", "products"] = Field(
        default="auto",
        description="how saddles are proved, as for `trust`",
    )

    reach_start: float = declare(
        0.3,
        0.1,
        0.6,
        "how far from all that was computed the first climb may lead that loses its mode",
        unit="A",
        limits=(0.01, 2.0),
    )
    reach_min: float = declare(0.15, 0.05, 0.3, "its smallest value", unit="A", limits=(1e-3, 1.0))
    reach_max: float = declare(0.6, 0.3, 1.0, "its largest value", unit="A", limits=(0.01, 3.0))
    reach_grow: float = declare(
        1.5,
        1.1,
        3.0,
        "factor by which it grows where forces were predicted well",
        limits=(1.0, 10.0),
    )
    reach_shrink: float = declare(
        0.6, 0.2, 0.9, "factor by which it shrinks where they were not", limits=(0.01, 0.99)
    )
    lead: float = declare(
        2.0,
        0.0,
        3.0,
        "how far from all that was computed a climb may lead that keeps to its mode",
        unit="A",
        limits=(0.0, 10.0),
    )
    give_up: int = declare(
        30,
        15,
        80,
        "steps without an end after which `trust` takes over, from the start",
        limits=(1, 10_000),
    )


SOLVERS: dict[str, type[Hyperparameters]] = {
    kind.solver: kind for kind in (GadHyperparameters, TrustHyperparameters, DeltaHyperparameters)
}
"""Hyperparameter classes by the name of their solver."""


def markdown_table(solver: str) -> str:
    """The hyperparameters of a solver as a table in Markdown, as the documentation has it."""
    rows = [
        "| hyperparameter | default | range | unit | scale | what it is |",
        "|---|---|---|---|---|---|",
    ]
    for each in SOLVERS[solver].tunable():
        scale = "log" if each.log else "linear"
        span = f"{each.low:g} .. {each.high:g}"
        unit = each.unit or "-"
        rows.append(
            f"| `{each.name}` | {each.default:g} | {span} | {unit} | {scale} | {each.doc} |"
        )
    for choice in SOLVERS[solver].choices():
        values = ", ".join(choice.values)
        rows.append(f"| `{choice.name}` | {choice.default} | {values} | - | - | {choice.doc} |")
    return "\n".join(rows)
