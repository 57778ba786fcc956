"""Which conversions a host lets in."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scientistcloud.errors import ResourceLimit
from scientistcloud.service.admission import (
    Admission,
    Needs,
    Room,
    look_at_host,
    refuse,
    require_possible,
)

SIZES = st.integers(0, 1 << 40)
NEEDS = st.builds(Needs, memory_bytes=SIZES, disk_bytes=SIZES)
ROOMS = st.builds(Room, usable_memory_bytes=SIZES, free_memory_bytes=SIZES, free_disk_bytes=SIZES,
                  disk_bytes=SIZES)  # fmt: skip


@given(NEEDS, st.lists(NEEDS, max_size=5), ROOMS)
def test_what_is_let_in_fits_beside_what_runs(
    needs: Needs, running: list[Needs], room: Room
) -> None:
    fits = (
        sum(each.memory_bytes for each in [needs, *running]) <= room.usable_memory_bytes
        and needs.memory_bytes <= room.free_memory_bytes
        and sum(each.disk_bytes for each in [needs, *running]) <= room.free_disk_bytes
    )
    assert (refuse(needs, running, room) is None) == fits


def test_the_reason_has_figures() -> None:
    room = Room(8_000_000_000, 8_000_000_000, 10_000_000, 100_000_000)
    assert "500 MB of memory" not in (refuse(Needs(500_000_000, 0), [], room) or "")
    reason = refuse(Needs(500_000_000, 90_000_000), [], room)
    assert reason is not None
    assert "90 MB of disk" in reason
    assert "10 MB are free" in reason


def test_what_the_empty_disk_could_not_hold_is_refused_for_good(tmp_path: Path) -> None:
    room = look_at_host(tmp_path)
    require_possible(Needs(0, room.disk_bytes), room)
    with pytest.raises(ResourceLimit, match="whole disk"):
        Admission(tmp_path).enter("a", Needs(0, room.disk_bytes + 1))


def test_an_attempt_that_left_makes_room(tmp_path: Path) -> None:
    admission = Admission(tmp_path)
    much = Needs(memory_bytes=1 << 60, disk_bytes=0)
    assert admission.enter("a", much) is not None
    assert admission.enter("a", Needs(1, 1)) is None
    admission.leave("a")
    assert admission.enter("b", Needs(1, 1)) is None


def test_a_full_disk_pauses_claiming_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admission = Admission(tmp_path)
    free_bytes = look_at_host(tmp_path).free_disk_bytes
    assert admission.pause_reason(free_bytes) is None
    admission.note_full_disk()
    reason = admission.pause_reason(0)
    assert reason is not None
    assert "is full" in reason
    for patience in ("_RESUME_SECONDS", "_DOUBT_SECONDS"):  # whatever this disk has
        monkeypatch.setattr(f"scientistcloud.service.admission.{patience}", 0.0)
    assert admission.pause_reason(0) is None


@pytest.mark.parametrize(("free_bytes", "waits"), [(0, True), (1 << 30, False)])
def test_a_disk_that_has_room_again_is_tried_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_bytes: int, waits: bool
) -> None:
    admission = Admission(tmp_path)
    room = Room(0, 0, free_disk_bytes=free_bytes, disk_bytes=free_bytes)
    monkeypatch.setattr("scientistcloud.service.admission.look_at_host", lambda _: room)
    monkeypatch.setattr("scientistcloud.service.admission._DOUBT_SECONDS", 0.0)
    admission.note_full_disk()
    assert (admission.pause_reason(free_bytes) is not None) == waits
