"""``scientistcloud doctor``: why nothing happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from scientistcloud.cli.home.diagnosis import Finding, Level, attempt, examine
from scientistcloud.cli.home.folders import check_folders
from scientistcloud.cli.home.place import in_home, opened, own_home
from scientistcloud.cli.terminal.arguments import (
    HomeOption,
    JsonOption,
    SettingsOption,
    command_app,
)
from scientistcloud.cli.terminal.console import FAILED, print_json, say, size_text, told_errors
from scientistcloud.database.connection import redact
from scientistcloud.errors import BadSettings
from scientistcloud.settings import VARIABLES, SettingInForce, Settings, load_settings

app = command_app()


@app.command(short_help="Find out why nothing happens.")
def doctor(
    home: HomeOption = None, settings_file: SettingsOption = None, as_json: JsonOption = False
) -> None:
    """Look at all that a conversion needs, and say what is wrong and what to do about it.

    Services alive (since when, on which host), datasets by status, the oldest queued one and why
    it waits, the last failures, MongoDB, variables in force and where each came from, folders.

    \b
    Examples:
      scientistcloud doctor
      scientistcloud doctor --json | jq '.findings[] | select(.level == "FAIL")'
      docker exec sclib_background_service scientistcloud doctor
    \b
    Exit status: 0 all is well (there may be warnings), 1 something is wrong.
    """
    with told_errors(as_json=as_json):
        rows, findings = diagnose(home, settings_file)
        well = all(each.level is not Level.FAIL for each in findings)
        if as_json:
            print_json(_as_dict(rows, findings, well=well))
        else:
            _tell(rows, findings, well=well)
        raise typer.Exit(0 if well else FAILED)


def diagnose(home: Path | None, file: Path | None) -> tuple[list[SettingInForce], list[Finding]]:
    """The settings in force (none if they cannot be used at all), and all findings."""
    try:
        settings = load_settings(file)
    except BadSettings as error:
        return [], [Finding(Level.FAIL, "settings", error.message, error.remedy)]
    used_home = own_home(settings, home)
    rows = [_with_server(row, settings) for row in settings.in_force()]
    if used_home is not None:
        of_home = in_home(settings, used_home)
        settings = load_settings(file, of_home)
        rows = [_in_home(row, used_home, set(of_home)) for row in settings.in_force()]
    findings = [Finding(Level.WARN, "settings", text) for text in settings.warnings()]

    def ask_database() -> Iterator[Finding]:
        with opened(home, file) as place:
            yield from examine(place)

    findings += attempt(ask_database)
    findings += check_folders(settings)
    return rows, findings


def _with_server(row: SettingInForce, settings: Settings) -> SettingInForce:
    """`row` with the URL in it but for its secrets, where it is the one of MONGO_URL."""
    if row.variable != "MONGO_URL" or settings.mongo_url is None:
        return row
    return SettingInForce(row.variable, redact(settings.mongo_url.get_secret_value()), row.origin)


def _in_home(row: SettingInForce, home: Path, of_home: set[str]) -> SettingInForce:
    """`row` as it is where this computer's own MongoDB and folders are used."""
    if row.variable == "MONGO_URL":
        return SettingInForce(row.variable, "(the embedded server)", f"home {home}")
    overridden = row.variable in {VARIABLES[name] for name in of_home}
    return SettingInForce(row.variable, row.value, f"home {home}") if overridden else row


def _tell(rows: list[SettingInForce], findings: list[Finding], *, well: bool) -> None:
    for each in findings:
        say(f"{each.level.value:4}  {each.subject + ':':10} {each.text}")
        if each.remedy:
            say(f"{'':17} -> {each.remedy}")
    if rows:
        say("\nSettings in force:")
        cells = [(row.variable, _value_text(row), f"({row.origin})") for row in rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for variable, value, origin in cells:
            say(f"  {variable:{widths[0]}}  {value:{widths[1]}}  {origin}")
    number = sum(each.level is Level.FAIL for each in findings)
    say("\nAll is well." if well else f"\n{number} thing(s) to put right: see FAIL above.")


def _value_text(row: SettingInForce) -> str:
    if row.variable == VARIABLES["memory_limit_bytes"]:
        return f"{row.value} ({size_text(int(row.value))})"
    return row.value or "(none)"


def _as_dict(rows: list[SettingInForce], findings: list[Finding], *, well: bool) -> dict[str, Any]:
    return {
        "healthy": well,
        "findings": [
            {
                "level": each.level.value,
                "subject": each.subject,
                "text": each.text,
                "remedy": each.remedy or None,
                "facts": each.facts,
            }
            for each in findings
        ],
        "settings": [
            {"variable": row.variable, "value": row.value, "origin": row.origin} for row in rows
        ],
    }
