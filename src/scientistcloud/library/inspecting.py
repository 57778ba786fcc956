"""`inspect`: what would be made of files, without making it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scientistcloud import host
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.errors import SourceNotFound
from scientistcloud.library.converting import memory_bytes


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a conversion would make of a source.

    Attributes
    ----------
    format : str
        For people: ``"TIFF stack"``.
    datasets : tuple of dict
        Of each output its ``dims`` (x first), ``axes``, ``fields`` and ``timesteps``.
    choices : tuple of dict
        Where the data left something open: ``parameter``, ``chosen``, ``rule``, ``alternatives``.
    parameters : dict
        All choices; edited or not, `convert` takes it as `parameters`.
    notes : tuple of str
    facts : dict
        All of it, as ``scientistcloud inspect --json`` prints it.
    """

    facts: dict[str, Any]

    @property
    def format(self) -> str:
        return str(self.facts["format"])

    @property
    def datasets(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.facts["datasets"])

    @property
    def choices(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.facts["choices"])

    @property
    def parameters(self) -> dict[str, Any]:
        return dict(self.facts["parameters"])

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(self.facts["notes"])


def inspect(
    source: str | Path,
    *,
    sensor: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    memory_limit: int | str | None = None,
    threads: int | None = None,
) -> Inspection:
    """Look at a file or folder; the parameters are those of `convert`.

    Raises
    ------
    ConversionError
        It cannot be converted; with a sentence that says why.
    """
    options = ConversionOptions(
        sensor=sensor,
        parameters=dict(parameters or {}),
        memory_limit_bytes=memory_bytes(memory_limit),
        threads=threads or host.cores(),
    )
    return Inspection(inspect_path(Path(source), options))


def inspect_path(source: Path, options: ConversionOptions) -> dict[str, Any]:
    """The facts of an `Inspection`; raises as `inspect` does."""
    if not source.exists():
        raise SourceNotFound(f"There is nothing at {source}.", remedy="Check the path.")
    # Imported after the cheap refusals: this is where the weight is.
    from scientistcloud.conversion.inspect import inspect_source

    with tempfile.TemporaryDirectory(prefix="scientistcloud-inspect-") as scratch:
        return inspect_source(
            source.resolve(), options.sensor, options.parameters, Path(scratch), options
        )
