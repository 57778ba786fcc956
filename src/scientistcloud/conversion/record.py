"""What is kept of a conversion: ``metadata.json`` for portals and programs, a log for people.

``metadata.json`` (schema: ``docs/metadata.md``) holds what the source says of itself, how it was
understood, what was made of it and by what. Under ``provenance`` it is an RO-Crate 1.1 graph.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.errors import printable
from scientistcloud.idx.files.storage import writing
from scientistcloud.readers.base import Axis, DatasetSpec, SourceSpec
from scientistcloud.release import __version__

SCHEMA = "scientistcloud/metadata/1"
_READ_BYTES = 1 << 20
_LIBRARIES = ("numpy", "tifffile", "imagecodecs", "h5py", "netCDF4", "zarr", "isal")


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that was read; `sha256` is empty where the inputs were not hashed."""

    name: str
    size_bytes: int
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "size_bytes": self.size_bytes, "sha256": self.sha256}


class ConversionLog:
    """Lines with a time in front, appended to a file; from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def write(self, text: str) -> None:
        stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        with self._lock, writing("the log"), self._path.open("a", encoding="utf-8") as lines:
            lines.write(f"{stamp} {printable(text)}\n")


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    buffer = bytearray(_READ_BYTES)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()


def describe_source(spec: SourceSpec, inputs: Sequence[InputFile]) -> dict[str, Any]:
    """How the source was understood, as JSON."""
    return {
        "format": spec.format,
        "files": [each.to_dict() for each in inputs],
        "notes": list(spec.notes),
        "choices": [
            {
                "parameter": choice.parameter,
                "chosen": choice.chosen,
                "rule": choice.rule,
                "alternatives": list(choice.alternatives),
            }
            for choice in spec.choices
        ],
        "metadata": to_json(spec.metadata),
    }


def describe_dataset(spec: DatasetSpec, fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One output, as JSON; `fields` tell of each field what it is called in the IDX."""
    return {
        "path": f"{spec.name}/visus.idx" if spec.name else "visus.idx",
        "name": spec.name,
        "dims": list(spec.shape[::-1]),
        "axes": [
            _describe_axis(axis, length)
            for axis, length in zip(spec.axes[::-1], spec.shape[::-1], strict=True)
        ],
        "timesteps": spec.timesteps,
        "times": to_json(spec.times),
        "time_units": spec.time_units if spec.times else None,
        "matrix": to_json(spec.matrix),
        "fields": [
            dict(names)
            | {
                "source_name": field.name,
                "units": field.units,
                "fill_value": to_json(field.fill_value),
                "attributes": to_json(field.attributes),
            }
            for field, names in zip(spec.fields, fields, strict=True)
        ],
        "metadata": to_json(spec.metadata),
    }


def describe_software(options: ConversionOptions) -> dict[str, Any]:
    """What made the dataset, and with which options."""
    return {
        "software": {"scientistcloud": __version__, "python": platform.python_version()}
        | {name: version for name in _LIBRARIES if (version := _version(name))},
        "options": {
            "sensor": options.sensor,
            "parameters": to_json(options.parameters),
            "codec": options.codec,
            "layout": options.layout,
            "verify": options.verify,
        },
    }


def provenance(
    inputs: Sequence[InputFile], outputs: Sequence[str], started: datetime, finished: datetime
) -> dict[str, Any]:
    """The same facts as an RO-Crate 1.1 graph (https://w3id.org/ro/crate/1.1)."""
    files = [
        {"@id": f"upload/{each.name}", "@type": "File", "contentSize": str(each.size_bytes)}
        | ({"sha256": each.sha256} if each.sha256 else {})
        for each in inputs
    ]
    software = {
        "@id": "https://pypi.org/project/scientistcloud/",
        "@type": "SoftwareApplication",
        "name": "scientistcloud",
        "softwareVersion": __version__,
    }
    action = {
        "@id": "#conversion",
        "@type": "CreateAction",
        "name": "Conversion to IDX",
        "startTime": started.isoformat(),
        "endTime": finished.isoformat(),
        "instrument": {"@id": software["@id"]},
        "object": [{"@id": each["@id"]} for each in files],
        "result": [{"@id": path} for path in outputs],
    }
    descriptor = {
        "@id": "metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "datePublished": finished.date().isoformat(),
        "hasPart": [{"@id": path} for path in outputs],
        "mentions": {"@id": "#conversion"},
    }
    results = [
        {"@id": path, "@type": "File", "encodingFormat": "application/x-idx"} for path in outputs
    ]
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [descriptor, root, action, software, *files, *results],
    }


def to_json(value: Any) -> Any:
    """`value` with everything turned into what JSON has: NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return to_json(value.tolist())
    if isinstance(value, np.generic):
        return to_json(value.item())
    if isinstance(value, list | tuple | set | frozenset):
        return [to_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def dump(record: Mapping[str, Any]) -> bytes:
    """The record as the bytes of ``metadata.json``."""
    return json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "replace"
    )


def _describe_axis(axis: Axis, length: int) -> dict[str, Any]:
    return {
        "name": axis.name,
        "length": length,
        "spacing": to_json(axis.spacing),
        "origin": to_json(axis.origin),
        "units": axis.units,
    }


@cache
def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
