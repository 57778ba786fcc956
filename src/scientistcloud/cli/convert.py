"""``scientistcloud convert``: files in, a dataset out, no database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

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
    clock_text,
    duration_text,
    print_json,
    say,
    size_text,
    told_errors,
    warn,
)
from scientistcloud.cli.terminal.interrupt import Interrupt
from scientistcloud.cli.terminal.progress import ProgressDisplay
from scientistcloud.conversion.options import Codec, ConversionOptions, LayoutName, VerifyMode
from scientistcloud.conversion.options import Progress as ConversionProgress
from scientistcloud.conversion.publishing.generations import METADATA
from scientistcloud.library.bar import PHASES
from scientistcloud.library.converting import convert_path

app = command_app()

_SHOWN_NOTES = 10
RESULT_KEYS = (
    "status",
    "datasets",
    "bytes_in",
    "bytes_out",
    "seconds",
    "cpu_seconds",
    "peak_rss_bytes",
    "verified",
)


@app.command(short_help="Convert a file or a folder; no database needed.")
def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="A file or a folder; it is only read.")
    ],
    target: Annotated[
        Path,
        typer.Argument(metavar="DEST", help="A new or empty folder, or an earlier conversion's."),
    ],
    sensor: SensorOption = None,
    param: ParamOption = None,
    memory_limit: MemoryOption = None,
    threads: ThreadsOption = None,
    codec: Annotated[
        Codec,
        typer.Option(
            help="How blocks are compressed: isal-1 is fast, zlib-ng-6 small, lz4 fast to view."
        ),
    ] = "isal-1",
    layout: Annotated[
        LayoutName,
        typer.Option(help="blocks: many blocks a file; arco: one file a block, for object stores."),
    ] = "blocks",
    verify: Annotated[
        VerifyMode,
        typer.Option(
            help="Before the result is shown: sample checks every stored byte and compares random "
            "boxes with the source, full compares everything."
        ),
    ] = "sample",
    as_json: JsonOption = False,
) -> None:
    """Convert a file or a folder into a dataset that viewers stream at any resolution.

    \b
    The result appears in one step when all is done: DEST/visus.idx (open this one in a viewer),
    DEST/visus/ with the blocks, DEST/metadata.json and DEST/conversion.log. Whatever goes wrong,
    and with Ctrl-C, DEST is left as it was.
    \b
    Examples:
      scientistcloud convert scan/ scan-idx/
      scientistcloud convert model.nc out/ --sensor NETCDF --param variable=temperature
      scientistcloud convert big.tif out/ --memory-limit 512MB --threads 2
      scientistcloud convert scan/ out/ --json | jq .datasets[0].dims
    \b
    Exit status: 0 done, 1 the input cannot be converted, 2 wrong usage, 75 try again later
    (disk full, storage away), 130 stopped by Ctrl-C.
    """
    options = ConversionOptions(
        sensor=sensor,
        parameters=parse_parameters(param),
        memory_limit_bytes=memory_limit_bytes(memory_limit),
        threads=threads_or_default(threads),
        codec=codec,
        layout=layout,
        verify=verify,
    )
    with told_errors(as_json=as_json):
        result = _run(source, target, options)
        if as_json:
            print_json({key: result[key] for key in RESULT_KEYS})
        else:
            _tell(result, target)
        _tell_notes(target)


def _run(source: Path, target: Path, options: ConversionOptions) -> dict[str, Any]:
    interrupt = Interrupt()
    with interrupt, ProgressDisplay() as display:

        def show(progress: ConversionProgress) -> None:
            label = PHASES.get(progress.phase, progress.phase)
            display.show(label, progress.done_bytes, progress.total_bytes)

        return convert_path(source, target, options, show, interrupt.is_set).to_dict()


def _tell(result: dict[str, Any], target: Path) -> None:
    for dataset in result["datasets"]:
        say(f"{target / dataset['path']}: {_shape_text(dataset)}")
    seconds, copied = result["seconds"], result["bytes_in"]
    say(
        f"{size_text(copied)} read, {size_text(result['bytes_out'])} written in "
        f"{duration_text(seconds) if seconds < 60 else clock_text(seconds)} "
        f"({size_text(copied / max(seconds, 1e-3))}/s, {result['cpu_seconds']:.1f} s of CPU, "
        f"{size_text(result['peak_rss_bytes'])} of memory at most)"
    )
    if not result["verified"]:
        say("It was not verified (--verify off).")


def _tell_notes(target: Path) -> None:
    """What was passed over or without effect; beside the answer, also where that is JSON."""
    notes = json.loads((target / METADATA).read_bytes())["source"]["notes"]
    for note in notes[:_SHOWN_NOTES]:
        warn(f"Note: {note}")
    if len(notes) > _SHOWN_NOTES:
        warn(f"Note: {len(notes) - _SHOWN_NOTES} more in {target / METADATA}.")


def _shape_text(dataset: dict[str, Any]) -> str:
    fields = ", ".join(
        f"{each['name']} {each['dtype']}"
        + (f"[{each['components']}]" if each["components"] > 1 else "")
        for each in dataset["fields"]
    )
    steps = dataset["timesteps"]
    times = f", {steps} timesteps" if steps > 1 else ""
    return " x ".join(map(str, dataset["dims"])) + f"{times}, {fields}"
