"""What all commands say and how they end: exit statuses, JSON, errors, sizes and durations."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import typer

from scientistcloud.errors import (
    BadSettings,
    ConversionError,
    DeploymentError,
    InternalError,
    InvalidIdentity,
    InvalidOptions,
    ResourceLimit,
    Stopped,
    TransientError,
)

FAILED = 1
WRONG_USAGE = 2
TRY_AGAIN_LATER = 75
"""As ``EX_TEMPFAIL`` of ``sysexits.h``."""
INTERRUPTED = 130

_SECOND_LIMITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def exit_status(error: ConversionError) -> int:
    """How a command ends that met `error`."""
    if isinstance(error, InvalidOptions | InvalidIdentity | BadSettings):
        return WRONG_USAGE
    return TRY_AGAIN_LATER if isinstance(error, TransientError | DeploymentError) else FAILED


@contextmanager
def told_errors(*, as_json: bool) -> Iterator[None]:
    """End the command with a sentence, a remedy and the right exit status where an error comes up.

    With `as_json` the error is one object on standard output as well.
    """
    try:
        yield
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except ConversionError as error:
        tell_error(error, as_json=as_json)
        raise typer.Exit(exit_status(error)) from error
    except (KeyboardInterrupt, Stopped) as error:
        tell_end("Stopped.", "stopped", as_json=as_json)
        raise typer.Exit(INTERRUPTED) from error
    except MemoryError as error:
        limit = ResourceLimit("There is not enough memory.")
        tell_error(limit, as_json=as_json)
        raise typer.Exit(FAILED) from error
    except Exception as error:
        tell_error(_bug(error), as_json=as_json)
        raise typer.Exit(FAILED) from error


def _bug(error: Exception) -> ConversionError:
    """What nobody foresaw: its traceback goes to standard error, for the report."""
    traceback.print_exception(error, file=sys.stderr)
    return InternalError(
        f"Something unexpected went wrong ({type(error).__name__}: {error}).",
        remedy="Report this together with the lines above it.",
    )


def tell_error(error: ConversionError, *, as_json: bool) -> None:
    """The error on standard error and, with `as_json`, as an object on standard output."""
    warn(f"{error.code}: {error.message}\nWhat to do: {error.remedy}")
    if as_json:
        print_json({"status": "failed", "error": error.to_dict()})


def tell_end(sentence: str, status: str, *, as_json: bool) -> None:
    """An end that is no error: a sentence and, with `as_json`, an object with the status."""
    warn(sentence)
    if as_json:
        print_json({"status": status})


def say(text: str = "") -> None:
    """The answer: a line on standard output."""
    typer.echo(text)


def warn(text: str) -> None:
    """Beside the answer: a line on standard error."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """One object on standard output."""
    typer.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False))


def print_json_line(value: Any) -> None:
    """One object on one line of standard output, for streams of them."""
    typer.echo(json.dumps(_plain(value), ensure_ascii=False))


def _plain(value: Any) -> Any:
    """`value` in what JSON has: dates as ISO text, NaN and infinities as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return value.isoformat() if isinstance(value, datetime) else str(value)


def size_text(size_bytes: float) -> str:
    """As people read it: ``1.2 GB`` (decimal)."""
    value = float(size_bytes)
    units = iter(("B", "kB", "MB", "GB", "TB"))
    unit = next(units)
    for larger in units:
        if value < 999.5:  # what rounds to 1000 is 1 of the next unit
            break
        value, unit = value / 1000, larger
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"


def duration_text(seconds: float) -> str:
    """As people read it: ``3.2 s``, ``5 min``, ``2 h``, ``4 d``."""
    for limit, unit in _SECOND_LIMITS:
        if seconds >= limit:
            return f"{seconds / limit:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def clock_text(seconds: float) -> str:
    """As clocks show it: ``0:05:12``."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def since_text(moment: Any, now: datetime | None = None) -> str:
    """How long ago `moment` was; "?" for what is no date."""
    if not isinstance(moment, datetime):
        return "?"
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return duration_text(max(0.0, ((now or datetime.now(UTC)) - aware).total_seconds()))
