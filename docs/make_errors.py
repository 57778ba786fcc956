"""Write ``docs/errors.md`` from the error tree: ``python docs/make_errors.py``."""

from __future__ import annotations

from pathlib import Path

from scientistcloud.datasets.documents.retry import LOST_LIMIT
from scientistcloud.errors import (
    ConversionError,
    DeploymentError,
    PermanentError,
    TransientError,
    catalogue,
)

PAGE = Path(__file__).with_name("errors.md")

HEAD = """# Errors

Made by `python docs/make_errors.py` from `src/scientistcloud/errors.py`; a test keeps it up
to date.

A dataset whose conversion failed carries `conversion.error` with a `code`, a `message` that names
the file and what is wrong with it, and a `remedy`. Codes are stable; messages may be reworded.
"""

FATES: dict[type[ConversionError], str] = {
    PermanentError: "The dataset becomes `conversion failed` at once: "
    "the same files would fail again.",
    TransientError: "The dataset is queued again by itself. Counted attempts are limited by "
    "`JOB_MAX_RETRY_ATTEMPTS`; the others wait, longer each time, for as long as it takes. Two of "
    f"those are limited too: a dataset fails with the {LOST_LIMIT + 1}st host lost, and as "
    "`ResourceLimit` where memory did not suffice a second time.",
    DeploymentError: "The installation is at fault: no dataset fails because of it.",
}


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for root, fate in FATES.items():
        parts.append(f"\n## {root.__name__}\n\n{fate}\n")
        for cls in catalogue(root):
            counted = ""
            if issubclass(cls, TransientError):
                counted = " (counted)" if cls.counted else " (not counted)"
            parts.append(
                f"\n### {cls.__name__}{counted}\n\n{cls.meaning}\n\n"
                f"- Cause: {cls.cause}\n- Remedy: {cls.remedy_hint}\n"
            )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
