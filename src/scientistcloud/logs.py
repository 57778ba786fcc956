"""How log lines look: one line an event, for a person or, with ``LOG_FORMAT=json``, a machine.

No line is coloured, wrapped or broken, also on a terminal and whatever a file is called: operators
search them with ``grep``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from scientistcloud.errors import printable


def set_up_logging(
    log_format: str = "console", log_level: str = "info", stream: TextIO | None = None
) -> None:
    """Send the lines of `structlog` and of the standard library to one stream.

    Parameters
    ----------
    log_format : str
        ``console``, or ``json``: one object a line, its text under ``message``.
    log_level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    stream : TextIO, optional
        Standard output if absent: ``docker logs NAME | grep`` sees nothing else.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_annotations(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *_renderers(log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=log_level.upper(), force=True)
    for noisy in ("pymongo", "asyncio", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_annotations(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _annotations() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _renderers(log_format: str) -> Sequence[Processor]:
    if log_format == "json":
        return (
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(default=str),
        )
    return _unbroken, structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)


def _unbroken(_: Any, __: str, event: EventDict) -> EventDict:
    """Everything of an event on one line: a traceback, too, and names with line breaks in them."""
    if "exception" in event:
        # Under another name, because the renderer puts this one on lines of its own.
        event["trace"] = event.pop("exception")
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = printable(value)
    return event
