"""What is in an upload, and what would be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scientistcloud.readers.base import Selection, Sensor, Source, parse_sensor
from scientistcloud.readers.listing import scan
from scientistcloud.readers.registry import detect


def open_source(
    root: Path, sensor: str | None, parameters: Mapping[str, Any], scratch: Path
) -> Source:
    """Find out what the files under `root` are, and open them.

    Parameters
    ----------
    root : Path
        A folder or a single file; nothing outside it is read.
    sensor : str or None
        As the document or the command line spells it.
    parameters : Mapping
        `conversion_parameters`.
    scratch : Path
        A folder of the conversion's own, for what has to be unpacked.

    Raises
    ------
    ConversionError
        Whatever keeps the files from being converted.
    """
    listing = scan(root)
    kind = parse_sensor(sensor)
    found = detect(listing, kind or Sensor.OTHER, parameters.get("format"))
    selection = Selection(listing.root, kind or Sensor.OTHER, parameters)
    return found.reader.open([entry.path for entry in found.files], selection)
