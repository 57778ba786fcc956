"""Which parameters a format knows: so that a misspelt one is not passed over in silence."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable

PARAMETERS: dict[str, tuple[str, ...]] = {
    "idx": ("dataset", "missing"),
    "dicom": ("series", "gaps"),
    "tiff": ("files", "arrangement", "axes", "samples", "series"),
    "image": ("files", "arrangement"),
    "zarr": ("dataset", "time_axis", "variable", "time_dimension", "axes"),
    "netcdf": ("file", "variable", "time_dimension", "axes"),
    "hdf5": (
        "file", "dataset", "volume", "time_axis", "split_axis", "axes",
        "Xs", "Ys", "presample", "postsample",
    ),
    "nifti": ("arrangement", "axes"),
    "nrrd": ("arrangement", "axes"),
    "mrc": ("arrangement", "mode0", "axes"),
    "metaimage": ("arrangement", "axes"),
    "fits": ("arrangement",),
    "edf": ("arrangement",),
    "cbf": ("arrangement",),
    "envi": ("arrangement",),
    "lif": ("arrangement", "image"),
    "dm": ("arrangement",),
    "segy": ("arrangement",),
    "grib": (),
    "numpy": ("axes",),
    "npz": ("arrangement", "arrays", "axes"),
    "raw": (
        "arrangement", "dims", "dtype", "offset", "endian", "order", "components", "timesteps",
        "axes",
    ),
}  # fmt: skip
"""For each format of the registry, besides ``format``; ``docs/formats.md`` explains them."""


def without_effect(format_name: str, given: Iterable[str], also: Collection[str]) -> str | None:
    """A sentence about the parameters that the format does not know; None where it knows all.

    Parameters
    ----------
    also : collection of str
        The parameters of the choices that the source offers.
    """
    known = {"format", *PARAMETERS[format_name], *also}
    unknown = [name for name in given if name not in known]
    if not unknown:
        return None
    likely = {n for name in unknown for n in difflib.get_close_matches(name, sorted(known), 1)}
    hint = f" Perhaps {' and '.join(sorted(likely))} was meant." if likely else ""
    return f"Parameters without effect on {format_name} files: {', '.join(unknown)}.{hint}"
