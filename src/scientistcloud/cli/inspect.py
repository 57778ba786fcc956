"""``scientistcloud inspect``: what would be made of a file or folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from scientistcloud import host
from scientistcloud.cli.terminal.arguments import (
    JsonOption,
    MemoryOption,
    ParamOption,
    SensorOption,
    ThreadsOption,
    command_app,
    memory_limit_bytes,
    parse_parameters,
    threads_or_default,
)
from scientistcloud.cli.terminal.console import (
    duration_text,
    print_json,
    say,
    size_text,
    told_errors,
)
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.library.inspecting import inspect_path

app = command_app()

_SHOWN_FILES = 6


@app.command(short_help="Show what would be made of a file or a folder.")
def inspect(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A file or a folder; it is only read.")
    ],
    sensor: SensorOption = None,
    param: ParamOption = None,
    memory_limit: MemoryOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a conversion would make of a file or a folder, without converting it.

    Names the files in their order, the datasets that would be made, and every choice that the
    data left open: what was chosen, by which rule, and the parameter that picks another one.

    \b
    Examples:
      scientistcloud inspect scan/
      scientistcloud inspect model.nc --param variable=salinity
      scientistcloud inspect model.nc --json > plan.json       (edit its "parameters", then)
      scientistcloud convert model.nc out/ --param @plan.json
    \b
    Exit status: 0 it can be converted, 1 it cannot, 2 wrong usage.
    """
    options = ConversionOptions(
        sensor=sensor,
        parameters=parse_parameters(param),
        memory_limit_bytes=memory_limit_bytes(memory_limit),
        threads=threads_or_default(threads),
    )
    with told_errors(as_json=as_json):
        found = inspect_path(source, options)
        if as_json:
            print_json(found)
        else:
            for line in _lines(found, options):
                say(line)


def _lines(found: Mapping[str, Any], options: ConversionOptions) -> Iterator[str]:
    yield f"{found['format']}: {found['input_count']} file(s), {size_text(found['input_bytes'])}"
    names = found["inputs"]
    yield from (f"  {name}" for name in names[:_SHOWN_FILES])
    if found["input_count"] > _SHOWN_FILES:
        yield f"  ... {found['input_count'] - _SHOWN_FILES} more, the last one {names[-1]}"
    for note in found["notes"]:
        yield f"Note: {note}"
    for choice in found["choices"]:
        yield f"{choice['parameter']} = {choice['chosen']}: {choice['rule']}"
        if choice["alternatives"]:
            others = ", ".join(choice["alternatives"])
            yield f"  --param {choice['parameter']}=...  also takes: {others}"
    yield "Would be made:"
    for dataset in found["datasets"]:
        yield from _dataset_lines(dataset)
    plan, seconds = found["plan"], found["estimated_seconds"]
    needs = f"{size_text(plan['memory_bytes'])} of memory"
    if plan["scratch_bytes"]:
        needs += f", {size_text(plan['scratch_bytes'])} of scratch space"
    about = f", about {duration_text(seconds)}" if seconds is not None else ""
    yield f"Needs {needs}{about} with {options.threads} thread(s) of {host.cores()}."


def _dataset_lines(dataset: Mapping[str, Any]) -> Iterator[str]:
    sides = " x ".join(str(length) for length in dataset["dims"])
    axes = ", ".join(axis["name"] + _scale(axis) for axis in dataset["axes"])
    steps = f", {dataset['timesteps']} timesteps" if dataset["timesteps"] > 1 else ""
    size = size_text(dataset["samples_bytes"])
    yield f"  {dataset['path']}: {sides} ({axes}){steps}, {size} of samples"
    for field in dataset["fields"]:
        components = f"[{field['components']}]" if field["components"] > 1 else ""
        units = f" in {field['units']}" if field["units"] else ""
        yield f"    {field['name']}: {field['dtype']}{components}{units}"


def _scale(axis: Mapping[str, Any]) -> str:
    if axis["spacing"] is None:
        return ""
    return f" every {axis['spacing']:g}" + (f" {axis['units']}" if axis["units"] else "")
