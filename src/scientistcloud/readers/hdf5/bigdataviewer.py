"""BigDataViewer: what the XML beside the HDF5 file tells of its setups.

``ViewSetup`` has a name, a size and a voxel size (x first) with a unit. Arrays are
``t00003/s00/0/cells``: timepoint, setup, resolution. The file is found by what the XML refers to,
in the same folder only.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from scientistcloud.errors import ConversionError
from scientistcloud.readers.arrays.axis_meanings import Meaning
from scientistcloud.readers.files.listing import open_regular
from scientistcloud.readers.hdf5.catalogue import Catalogue, StoredArray
from scientistcloud.readers.hdf5.conventions import ToldAxis

_CELLS = re.compile(r"^/t(\d+)/s(\d+)/(\d+)/cells$")
_MAX_XML_BYTES = 32 << 20
_MAX_SIDECARS = 64
_AXES = (("z", Meaning.Z), ("y", Meaning.Y), ("x", Meaning.X))


@dataclass(frozen=True, slots=True)
class Setup:
    """One view setup: `spacing` in `units`, slowest axis first, or empty."""

    name: str
    spacing: tuple[float, ...] = ()
    units: str | None = None


def setups_of(file: Path, found: Catalogue) -> tuple[dict[int, Setup], Path | None]:
    """The setups of a file by their numbers, and the XML that tells them; none where there is none.

    An XML that is damaged, or refers to another file, tells nothing.
    """
    if not any(_CELLS.match(path) for path in found.arrays):
        return {}, None
    beside = sorted(p for p in file.parent.iterdir() if p.suffix.lower() == ".xml")
    beside.sort(key=lambda p: p.stem != file.stem)
    for path in beside[:_MAX_SIDECARS]:
        try:
            setups = _read(path, file.name)
        except (ConversionError, OSError, ElementTree.ParseError, ValueError):
            continue
        if setups:
            return setups, path
    return {}, None


def setup_of(found: Catalogue, path: str) -> Setup | None:
    """The setup that the array `path` belongs to."""
    match = _CELLS.match(path)
    setup = found.setups.get(int(match[2])) if match is not None else None
    return setup if isinstance(setup, Setup) else None


def setup_axes(found: Catalogue, array: StoredArray) -> list[ToldAxis]:
    """The axes of an array of a setup, with its voxel size; coarser ones by their subdivision."""
    match = _CELLS.match(array.path)
    if match is None or len(array.shape) != 3:
        return []
    setup = setup_of(found, array.path)
    if setup is None or match[3] != "0" or len(setup.spacing) != 3:
        return [ToldAxis(name, meaning) for name, meaning in _AXES]
    return [
        ToldAxis(name, meaning, step, 0.0, setup.units)
        for (name, meaning), step in zip(_AXES, setup.spacing, strict=True)
    ]


def _read(path: Path, file_name: str) -> dict[int, Setup]:
    with os.fdopen(open_regular(path), "rb") as file:
        raw = file.read(_MAX_XML_BYTES + 1)
    if len(raw) > _MAX_XML_BYTES or b"\0" in raw or b"<!" in raw.replace(b"<!--", b""):
        return {}
    root = ElementTree.fromstring(raw)
    if root.tag != "SpimData":
        return {}
    named = root.findtext(".//ImageLoader/hdf5", "").strip().replace("\\", "/")
    if named.rpartition("/")[2] != file_name:
        return {}
    result = {}
    for element in root.iterfind(".//ViewSetups/ViewSetup"):
        number = int(element.findtext("id", "").strip())
        name = element.findtext("name", "").strip() or f"setup {number}"
        words = element.findtext("voxelSize/size", "").replace(",", " ").split()
        spacing = tuple(float(w) for w in reversed(words))
        usable = len(spacing) == 3 and all(0 < s < float("inf") for s in spacing)
        units = element.findtext("voxelSize/unit", "").strip() or None
        result[number] = Setup(name, spacing if usable else (), units)
    return result
