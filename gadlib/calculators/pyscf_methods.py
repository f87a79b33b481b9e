"""What PySCF knows: functionals and bases by name, and what a method needs beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from gadlib.settings.reading import InputError

_TRIED = ("H", "C", "Fe", "I")  # a basis has functions for one of them


@lru_cache(maxsize=1)
def program() -> Any:
    """PySCF with the parts that are asked for; raises ImportError with what to install."""
    try:
        import pyscf.dft
        import pyscf.gto
        import pyscf.hessian
        import pyscf.lib
        import pyscf.scf.dispersion
    except ImportError as error:
        raise ImportError(
            "the pyscf calculator needs pyscf (pip install 'gadlib[pyscf]')"
        ) from error
    return pyscf


def parts(method: str) -> tuple[str, str]:
    """Functional and basis of a method.

    Raises:
        ImportError, InputError: as `Pyscf` does.
    """
    functional, _, basis = (part.strip() for part in method.partition("/"))
    if not functional or not basis:
        raise InputError(f"method {method!r}: expected FUNCTIONAL/BASIS, as in HF/3-21G")
    known = program()
    if functional.upper() == "HF":
        functional = "HF"
    else:
        try:
            xc, nonlocal_part, correction = known.scf.dispersion.parse_dft(functional)
            known.dft.libxc.parse_xc(xc)
        except (KeyError, ValueError, NotImplementedError) as error:
            text = " ".join(map(str, error.args))
            raise InputError(f"method {method!r}: PySCF can't use {functional} ({text})") from None
        if nonlocal_part is not False and known.dft.libxc.is_nlc(xc):
            raise InputError(
                f"method {method!r}: its VV10 correlation takes 5 s a cycle for water and leaves"
                " errors in forces; expected another functional"
            )
        if correction and known.scf.dispersion.dispersion is None:
            raise ImportError(f"method {method!r} needs pyscf-dispersion (pip install it)")
    if not any(has_functions(basis, symbol) for symbol in _TRIED):
        raise InputError(f"method {method!r}: PySCF knows no basis {basis}")
    return functional, basis


@lru_cache(maxsize=16)
def is_meta_gga(functional: str) -> bool:
    """Whether the functional depends on the kinetic energy density."""
    known = program()
    return bool(known.dft.libxc.is_meta_gga(known.scf.dispersion.parse_dft(functional)[0]))


@lru_cache(maxsize=1024)
def has_functions(basis: str, symbol: str) -> bool:
    """Whether the basis has functions for the element."""
    return bool(_read(program().gto.basis.load, basis, symbol))


@lru_cache(maxsize=1024)
def has_core(basis: str, symbol: str) -> bool:
    """Whether the basis has a potential in place of the element's inner electrons."""
    return bool(_read(program().gto.basis.load_ecp, basis, symbol))


def _read(load: Callable[[str, str], Any], basis: str, symbol: str) -> Any:
    with warnings.catch_warnings():  # it recommends a package for bases that it does not know
        warnings.simplefilter("ignore")
        try:
            return load(basis, symbol)
        except (RuntimeError, KeyError, ValueError, OSError):
            return None
