"""The parts of a header's text: a line ``(key)``, then its value."""

from __future__ import annotations

from scientistcloud.errors import CorruptSource


def sections(text: str) -> dict[str, str]:
    """The parts of the text: a line that begins with ``(`` names one, ``#`` a comment."""
    lines: dict[str, list[str]] = {}
    current: list[str] | None = None
    for raw in text.lstrip("\ufeff").splitlines():
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("("):
            current = lines[line.strip("()")] = []
        elif current is not None:
            current.append(line)
        else:
            raise CorruptSource("The file does not begin as an IDX header does.")
    return {key: " ".join(value) for key, value in lines.items()}


def one_line(text: str) -> str:
    """`text` as one line that does not look like the next key or a comment."""
    line = " ".join(text.split())
    return f"'{line}'" if line.startswith(("(", "#")) else line
