"""Vibrations in a table, thermochemistry in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from gadlib.paths.frequencies import FrequencyRecord
from gadlib.paths.thermochemistry import SOFT_CM1, Thermochemistry
from gadlib.units import EV_PER_HARTREE


def frequencies_table(record: FrequencyRecord) -> pd.DataFrame:
    """One row per vibration: wavenumber, an imaginary one with an i behind it, and reduced mass."""
    (gas,) = record.thermochemistry or (None,)
    if gas is None:
        return pd.DataFrame()
    rows = [
        {
            "vibration": i + 1,
            "cm⁻¹": f"{abs(wavenumber):.1f}{'i' if wavenumber < 0 else ''}",
            "reduced mass (amu)": f"{mass:.3f}",
        }
        for i, (wavenumber, mass) in enumerate(
            zip(gas.wavenumbers_cm1, gas.reduced_masses, strict=True)
        )
    ]
    return pd.DataFrame(rows)


def thermochemistry_table(records: Sequence[FrequencyRecord]) -> pd.DataFrame:
    """One row per point: what it is, its energies in eV, and by which symmetry number."""
    rows = []
    for record in records:
        row = {"point": record.name, "formula": record.formula, "kind": record.kind}
        for gas in record.thermochemistry:
            row |= {
                "imaginary (cm⁻¹)": _imaginary(gas),
                "E (eV)": f"{gas.energy:.5f}",
                "ZPE (eV)": f"{gas.zero_point:.4f}",
                "H (eV)": f"{gas.enthalpy:.5f}",
                "G (eV)": f"{gas.gibbs:.5f}",
                "G (Hartree)": f"{gas.gibbs / EV_PER_HARTREE:.6f}",
                "symmetry": str(gas.symmetry_number),
            }
        rows.append(row)
    return pd.DataFrame(rows).fillna("-")


def _imaginary(gas: Thermochemistry) -> str:
    return ", ".join(f"{-x:.0f}i" for x in gas.wavenumbers_cm1 if x < 0) or "-"


def conditions_sentence(gas: Thermochemistry) -> str:
    """Where enthalpy and Gibbs energy are, and by what approximations, in a sentence."""
    how = "given" if gas.is_symmetry_given else "counted from the geometry"
    soft = f", vibrations below {SOFT_CM1:g} cm⁻¹ taken as that in the entropy"
    return (
        f"Ideal gas at {gas.temperature_k:g} K and {gas.pressure_pa:g} Pa, rigid rotor, harmonic"
        f" oscillators{soft if gas.n_stiffened else ''}; symmetry number {how}."
    )
