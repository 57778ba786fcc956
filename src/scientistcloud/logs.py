"""How log lines look: one line an event, for a person or, with ``LOG_FORMAT=json``, a machine.

No line is coloured or wrapped, also on a terminal: operators search them with ``grep``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TextIO

import structlog
from structlog.typing import Processor


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
                *_renderers(log_format),
            ],
        )
    )
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(log_level.upper())
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
        cache_logger_on_first_use=False,
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
            structlog.processors.format_exc_info,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(default=str),
        )
    return (
        structlog.dev.ConsoleRenderer(
            colors=False,
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,
        ),
    )
