"""Lock files pin everything, and the audit finds what is known of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.security.audit import LOCKS, ROOT, judge, main, read_lock

HASH = "--hash=sha256:" + "0" * 64


@pytest.mark.parametrize("name", LOCKS)
def test_everything_is_pinned_with_hashes(name: str) -> None:
    pins = read_lock(ROOT / name)
    assert len(pins) > 30
    assert [pin.name for pin in pins if not pin.hashes] == []


def advisory(name: str, **affected: Any) -> dict[str, Any]:
    package = {"ecosystem": "PyPI", "name": name}
    return {"id": "PYSEC-1", "summary": "A hole.", "affected": [{"package": package, **affected}]}


def spans(*events: dict[str, str]) -> list[dict[str, Any]]:
    return [{"type": "ECOSYSTEM", "events": list(events)}]


@pytest.mark.parametrize(
    ("found", "concerned"),
    [
        (advisory("Some.Lib", versions=["1.2.3"]), True),
        (advisory("some-lib", versions=["1.2.4"]), False),
        (advisory("some_lib", ranges=spans({"introduced": "0"}, {"fixed": "2"})), True),
        (advisory("some_lib", ranges=spans({"introduced": "0"}, {"fixed": "1.2.3"})), False),
        (advisory("some_lib", ranges=spans({"introduced": "1.10"})), False),
        (advisory("some_lib", ranges=spans({"introduced": "0"}, {"last_affected": "1.2.3"})), True),
        (
            advisory(
                "some_lib",
                ranges=spans({"introduced": "0"}, {"fixed": "1"}, {"introduced": "1.2"}),
            ),
            True,
        ),
        (advisory("other", versions=["1.2.3"]), False),
        (advisory("some-lib", versions=["1.2.3"]) | {"withdrawn": "2026"}, False),
    ],
    ids=range(9),
)
def test_what_is_known_is_found(
    found: dict[str, Any], concerned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.lock").write_text(f"some-lib==1.2.3 ; python_version > '3' \\\n    {HASH}\n")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("PYSEC-1.json", json.dumps(found))
    assert main(["--osv", str(tmp_path / "all.zip"), str(tmp_path / "a.lock")]) == int(concerned)
    assert ("PYSEC-1 A hole." in capsys.readouterr().out) == concerned


def test_a_pin_without_hash_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("some-lib==1.2.3\n")
    with zipfile.ZipFile(tmp_path / "all.zip", "w"):
        pass
    assert main(["--osv", str(tmp_path / "all.zip"), str(tmp_path / "a.lock")]) == 1


def test_what_is_not_pinned_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lock").write_text("some-lib>=1.2.3\n")
    with pytest.raises(ValueError, match="some-lib"):
        read_lock(tmp_path / "a.lock")


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], 0),
        ([{"name": "a", "version": "1", "vulns": [{"id": "X", "fix_versions": ["2"]}]}], 1),
        ([{"name": "a", "skip_reason": "not found on PyPI"}], 2),
        ([], 2),
    ],
)
def test_what_could_not_be_asked_about_is_not_taken_for_good(
    asked: list[dict[str, Any]], status: int
) -> None:
    assert judge("a.lock", asked) == status
