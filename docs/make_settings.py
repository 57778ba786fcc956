"""Write ``docs/settings.md`` from the settings themselves: ``python docs/make_settings.py``."""

from __future__ import annotations

from pathlib import Path

from scientistcloud.settings import FILE_KEYS, VARIABLES, Settings

_HEAD = """# Settings

Made by `python docs/make_settings.py`; a test keeps it up to date.

Command line > environment > settings file > default. An empty variable counts as unset. A value
that is not allowed stops the program at its start, naming the variable, the value (never a
secret) and what is allowed. `scientistcloud doctor` shows the values in force and where each
came from.

The settings file (first argument of the service) is JSON with {keys}; `sync_data_dir` and
`auth_dir` are accepted and have no effect on the service; other keys are reported and ignored.
Relative folders are relative to where the program was started.

| variable | default | allowed | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The whole page, in Markdown."""
    head = _HEAD.format(keys=", ".join(f"`{key}`" for key in FILE_KEYS))
    return head + "".join(_row(name, variable) for name, variable in VARIABLES.items())


def _row(name: str, variable: str) -> str:
    field = Settings.model_fields[name]
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    default = str(extra["shown"] or _plain(field.default))
    cells = (f"`{variable}`", default, str(extra["allowed"]), str(field.description))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _plain(default: object) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


if __name__ == "__main__":
    Path(__file__).with_name("settings.md").write_text(page())
