"""`convert`: files or arrays in, a dataset out, no database."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scientistcloud import host
from scientistcloud.conversion.options import Codec, ConversionOptions, LayoutName, VerifyMode
from scientistcloud.conversion.publishing.publish import StagingLost, publish_log
from scientistcloud.errors import StorageUnavailable
from scientistcloud.library.bar import Report, reporting
from scientistcloud.library.destination import destination
from scientistcloud.size import DEFAULT_MEMORY_LIMIT_BYTES, parse_size

if TYPE_CHECKING:
    from scientistcloud.conversion.result import ConversionResult

_MOST_THREADS = 4


def convert(
    source: Any,
    destination: str | Path,
    *,
    sensor: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    memory_limit: int | str | None = None,
    threads: int | None = None,
    codec: Codec = "isal-1",
    layout: LayoutName = "blocks",
    verify: VerifyMode = "sample",
    progress: Report | bool | None = None,
    stop: Callable[[], bool] = lambda: False,
    axes: str | None = None,
    spacing: tuple[float, ...] | None = None,
) -> ConversionResult:
    """Convert a file, a folder or an array into a dataset that viewers stream at any resolution.

    The result appears in one step when all is done; whatever goes wrong, the destination is left
    as it was.

    Parameters
    ----------
    source : path or array
        A file or folder, which is only read; or an array of NumPy, Dask or xarray, which is
        written to a temporary file, a block at a time.
    destination : str or Path
        A new or empty folder, or an earlier conversion's.
    sensor : str, optional
        Kind of instrument, such as ``"TIFF"``; found out where it is not given.
    parameters : Mapping, optional
        As `inspect` names them.
    memory_limit : int or str, optional
        Resident memory of the process: bytes, or text such as ``"512MB"``.
    threads : int, optional
        One for each core by default, 4 at most.
    progress : callable or bool, optional
        Called with each `Progress`; True shows a bar.
    stop : callable
        Asked at least once a block whether to give up.
    axes : str, optional
        Of an array: a letter for each axis, of ``t``, ``z``, ``y``, ``x`` and at the end ``c`` (the
        components); ``"zyx"``, for instance. Those of xarray are taken from its dimensions.
    spacing : tuple of float, optional
        Of an array: of each axis of space, in the order of `axes`.

    Returns
    -------
    ConversionResult

    Raises
    ------
    ConversionError
        With a stable `code`, a `message` for scientists and a `remedy`.
    Stopped
        Because `stop` said so.

    Examples
    --------
    >>> import numpy, scientistcloud
    >>> volume = numpy.arange(24, dtype="u1").reshape(2, 3, 4)
    >>> result = scientistcloud.convert(volume, tmp / "out", axes="zyx", spacing=(2.0, 1.0, 1.0))
    >>> result.datasets[0]["dims"]
    [4, 3, 2]
    """
    options = ConversionOptions(
        sensor=sensor,
        parameters=dict(parameters or {}),
        memory_limit_bytes=memory_bytes(memory_limit),
        threads=threads or min(_MOST_THREADS, host.cores()),
        codec=codec,
        layout=layout,
        verify=verify,
    )
    with reporting(progress) as report:
        if isinstance(source, str | Path):
            return convert_path(Path(source), Path(destination), options, report, stop)
        from scientistcloud.library.arrays import write_array

        with tempfile.TemporaryDirectory(prefix="scientistcloud-array-") as scratch:
            path = write_array(source, Path(scratch), axes, spacing)
            return convert_path(path, Path(destination), options, report, stop)


def convert_path(
    source: Path,
    target: Path,
    options: ConversionOptions,
    report: Report,
    stop: Callable[[], bool],
) -> ConversionResult:
    """Convert what lies at `source`; raises as `convert` does."""
    with destination(source, target) as publication:
        # Imported after the cheap refusals: this is where the weight is.
        from scientistcloud.conversion.run import convert as run_conversion

        try:
            result = run_conversion(
                source.resolve(), publication, options, progress=report, stop=stop
            )
        except (StagingLost, StorageUnavailable) as error:
            if publication.staging.is_dir():
                raise
            raise StorageUnavailable(
                f"Another conversion into {target} took over.", remedy="Wait for that one."
            ) from error
        publish_log(publication)
    return result


def memory_bytes(limit: int | str | None) -> int:
    """The memory of one conversion: what is given, else 8 GiB, or what this host has."""
    if limit is None:
        return min(DEFAULT_MEMORY_LIMIT_BYTES, host.usable_memory_bytes())
    return parse_size(limit) if isinstance(limit, str) else limit
