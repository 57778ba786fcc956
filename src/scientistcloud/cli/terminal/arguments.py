"""Arguments that several commands have, and how their text is read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scientistcloud import host
from scientistcloud.size import parse_size

DEFAULT_MEMORY_LIMIT_BYTES = 8 * 1024**3
DEFAULT_THREADS = 4


def command_app() -> typer.Typer:
    """What a module of commands hangs them on: plain help, in a terminal and elsewhere."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


SensorOption = Annotated[
    str | None,
    typer.Option(
        metavar="S",
        help="Kind of instrument: IDX, TIFF, 'TIFF RGB', NETCDF, HDF5, 4D_NEXUS, RGB, MAPIR or "
        "OTHER. Without it the files themselves tell.",
    ),
]
ParamOption = Annotated[
    list[str] | None,
    typer.Option(
        "--param",
        metavar="K=V",
        help="A conversion parameter, such as variable=temperature, or @FILE with an object of "
        "them in JSON; may be given several times. 'scientistcloud inspect' names those that "
        "matter, docs/formats.md all.",
    ),
]
MemoryOption = Annotated[
    str | None,
    typer.Option(
        "--memory-limit",
        metavar="SIZE",
        envvar="CONVERSION_MEMORY_LIMIT",
        help="Memory that the conversion may have, like 512MB, 2GiB or 8G; 96 MB or more. "
        "Default: 8G, or what this host has.",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        envvar="CONVERSION_CPU_LIMIT",
        help="Threads that work. Default: one for each core, 4 at most.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        envvar="SCIENTISTCLOUD_SERVER",
        help="A server of scientistcloud, instead of a MongoDB that is reached from here; "
        "'scientistcloud login' keeps a token for it.",
    ),
]
HomeOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where this computer's own MongoDB and datasets are. Used where MONGO_URL is not set; "
        "given, it goes before MONGO_URL. Default: the user's data folder.",
        file_okay=False,
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        metavar="FILE",
        help="Settings file of the service (JSON with db_name, in_data_dir, out_data_dir).",
    ),
]


def parse_parameters(pairs: Sequence[str] | None) -> dict[str, Any]:
    """``K=V`` each, V being JSON where it is (``3``, ``true``, ``[1, 2]``), else text.

    ``@FILE`` stands for the object in that file, or for its ``parameters`` (as ``inspect --json``
    writes them).

    Raises
    ------
    typer.BadParameter
        A pair has no name or no ``=``, or a file holds no parameters.
    """
    parameters: dict[str, Any] = {}
    for pair in pairs or ():
        if pair.startswith("@"):
            parameters |= _parameters_in(Path(pair[1:]))
            continue
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise _bad(f"{pair!r} is not NAME=VALUE.")
        try:
            parameters[name.strip()] = json.loads(text)
        except ValueError:
            parameters[name.strip()] = text
    return parameters


def _parameters_in(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise _bad(f"{file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise _bad(f"{file} is not JSON: {error}.") from error
    found = value.get("parameters", value) if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise _bad(f"{file} holds no object of parameters.")
    return found


def _bad(sentence: str) -> typer.BadParameter:
    return typer.BadParameter(sentence, param_hint="--param")


def memory_limit_bytes(text: str | None) -> int:
    """Bytes of the size on the command line; by default 8 GiB, or what this host has.

    Raises
    ------
    typer.BadParameter
    """
    if text is None:
        return min(DEFAULT_MEMORY_LIMIT_BYTES, host.usable_memory_bytes())
    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--memory-limit") from error


def threads_or_default(number: int | None) -> int:
    """As given; by default one for each core, 4 at most."""
    return number or min(DEFAULT_THREADS, host.cores())
