"""What FITS says of an axis: world coordinates where they are linear.

Source: Greisen and Calabretta, A&A 395 (2002) 1061. Sample i (from 0) of axis n lies at
``CRVALn + (i + 1 - CRPIXn) * CDELTn``. Projections on the sky (``RA---TAN``) are not linear: their
axes have the spacing at the reference, and no origin.
"""

from __future__ import annotations

from scientistcloud.readers.arrays.raw_grid import Role
from scientistcloud.readers.base import Axis
from scientistcloud.readers.fits.header import Unit

_TIMES = frozenset({"TIME", "UTC", "TAI", "TT", "UT1", "TDB", "TCB", "TCG", "LOCAL", "MJD", "JD"})


def axis_of(unit: Unit, index: int, prefix: str = "") -> tuple[Axis, Role]:
    """The axis `index` (0 for NAXIS1) and whether it is space, time or components."""
    n, rank = index + 1, int(unit.number_of(f"{prefix}NAXIS", 0) or 0)
    kind = str(unit.cards.get(f"CTYPE{n}") or "").strip().upper()
    name = kind.partition("-")[0].lower() or ("xyz"[index] if index < 3 else f"axis{n}")
    units = str(unit.cards.get(f"CUNIT{n}") or "").strip() or None
    spacing = _spacing(unit, n, rank)
    origin = None
    on_sky = "-" in kind
    value, place = unit.number_of(f"CRVAL{n}"), unit.number_of(f"CRPIX{n}", 0.0)
    if spacing is not None and value is not None and place is not None and not on_sky:
        origin = value + (1 - place) * spacing
    if on_sky and units is None:
        units = "deg"
    role: Role = "space"
    if kind in _TIMES:
        role = "time"
    elif kind == "STOKES":
        role = "component"
    return Axis(name, spacing, origin, units), role


def _spacing(unit: Unit, n: int, rank: int) -> float | None:
    """CDELT or the diagonal of CD; None where the axis is turned against the others."""
    others = [m for m in range(1, rank + 1) if m != n]
    for matrix in ("CD", "PC"):
        if any(
            unit.number_of(f"{matrix}{a}_{b}", 0.0) for m in others for a, b in ((n, m), (m, n))
        ):
            return None
    if unit.number_of("CROTA2") and n <= 2:
        return None
    scaled = unit.number_of(f"CD{n}_{n}")
    if scaled is not None:
        return scaled or None
    step, factor = unit.number_of(f"CDELT{n}"), unit.number_of(f"PC{n}_{n}", 1.0)
    return step * factor or None if step is not None and factor is not None else None
