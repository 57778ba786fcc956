"""What the child process of one look at an upload does: say what would be made of it, and show it.

It reads the upload, and writes ``answer.json`` and ``plane-<n>.npy`` to a folder of its own;
nothing else is within its reach.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from scientistcloud.conversion.glimpse import PlaneGlimpse, glimpse
from scientistcloud.conversion.inspect import inspect_source, open_source
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.errors import ConversionError, UnexpectedError
from scientistcloud.readers.base import DatasetSpec, Source
from scientistcloud.service.confinement import sandbox
from scientistcloud.service.confinement.limits import Limits, exceeded
from scientistcloud.service.confinement.seccomp import refuse_calls

ANSWER = "answer.json"
INSPECT, GLIMPSE = "inspect", "glimpse"


def run_look(order: dict[str, Any]) -> int:
    """Carry out `order`; returns the exit status of the process.

    Parameters
    ----------
    order : dict
        ``look`` (`INSPECT` or `GLIMPSE`), ``source`` and ``folder`` (paths), ``options`` (the
        arguments of `ConversionOptions`), ``limits`` (those of `Limits`), ``pixels``, ``seconds``.
    """
    folder = Path(order["folder"])
    answer: dict[str, Any]
    try:
        answer = {"found": _look(order, folder)}
    except Exception as error:
        answer = {"failed": _understood(error).to_dict()}
    (folder / ANSWER).write_text(json.dumps(answer))
    return 0


def _look(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    source, options = Path(order["source"]), ConversionOptions(**order["options"])
    Limits(**order["limits"]).impose()
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    sandbox.confine([source], [folder])
    refuse_calls()
    if order["look"] == INSPECT:
        return inspect_source(source, options.sensor, options.parameters, folder, options)
    with open_source(source, options.sensor, options.parameters, folder) as opened:
        return _show(opened, order, folder)


def _show(opened: Source, order: dict[str, Any], folder: Path) -> dict[str, Any]:
    dataset = opened.spec.datasets[0]
    planes = glimpse(opened, order["pixels"], order["seconds"])
    for index, plane in enumerate(planes):
        np.save(folder / f"plane-{index}.npy", plane.samples, allow_pickle=False)
    field = dataset.fields[0]
    fill = field.fill_value
    return {
        "field": field.name,
        "dtype": field.dtype.name,
        "components": field.components,
        "units": field.units,
        "fill_value": None if fill is None or not np.isfinite(fill) else fill,
        "dims": list(reversed(dataset.shape)),
        "planes": [_plane_facts(dataset, each) for each in planes],
    }


def _plane_facts(dataset: DatasetSpec, plane: PlaneGlimpse) -> dict[str, Any]:
    names = [axis.name for axis in dataset.axes]
    still = set(range(len(names))) - {plane.down, plane.across}
    return {
        "across": names[plane.across],
        "down": names[plane.down],
        "still": names[still.pop()] if still else None,
        "at": plane.at,
        "stride": plane.stride,
        "is_whole": plane.is_whole,
    }


def _understood(error: Exception) -> ConversionError:
    limit = exceeded(error)
    if limit is not None:
        return limit
    if isinstance(error, ConversionError):
        return error
    return UnexpectedError(f"Something unexpected went wrong ({type(error).__name__}).")
