"""One attempt in a process of its own, heard over its channel."""

from __future__ import annotations

import json
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from scientistcloud.grid import Box
from scientistcloud.idx.reader import IdxReader
from scientistcloud.service.processes.attempt import shortened
from scientistcloud.service.processes.channel import Message
from scientistcloud.service.processes.children import Child, WarmProcess

MESSAGE_BYTES = 128 << 10
WAIT_SECONDS = 90.0


@pytest.fixture
def warm() -> Iterator[WarmProcess]:
    process = WarmProcess()
    yield process
    process.stop()


def order(root: Path, **parameters: object) -> dict[str, Any]:
    return {
        "source": str(root / "upload"),
        "target": str(root / "converted" / "d"),
        "staging_root": str(root / "converted" / ".staging"),
        "name": "d",
        "token": "0" * 32,
        "request": "r",
        "options": {"memory_limit_bytes": 1 << 30, "threads": 1, "parameters": parameters},
        "limits": {"memory_bytes": 1 << 30, "cpu_seconds": 60.0},
    }


def outcome(child: Child) -> tuple[dict[str, Message], Message]:
    """What the child told on its way, and its last word; it gets every yes that it asks for."""
    answers = {"plan": {"go": True}, "ready": {"commit": True}}
    heard: dict[str, Message] = {}
    deadline = time.monotonic() + WAIT_SECONDS
    try:
        while True:
            left = deadline - time.monotonic()
            assert select.select([child.channel], [], [], max(0.0, left))[0], "no word from it"
            message, _ = child.channel.receive()
            heard |= dict.fromkeys(message, message)
            for kind in answers.keys() & message.keys():
                child.channel.send(answers[kind])
            if message.keys() & {"done", "failed", "stopped"}:
                return heard, message
    finally:
        child.signal(signal.SIGKILL)
        child.wait(10)
        child.channel.close()


def test_a_thousand_fields_are_converted(tmp_path: Path, warm: WarmProcess) -> None:
    bands = np.arange(8 * 8 * 1200, dtype="u2").reshape(8, 8, 1200)
    (tmp_path / "upload").mkdir()
    tifffile.imwrite(
        tmp_path / "upload" / "a.tif", bands, photometric="minisblack", planarconfig="contig"
    )
    heard, last = outcome(warm.launch(order(tmp_path)))
    assert "done" in last, last
    assert heard["plan"]["plan"]["memory_bytes"] > 0
    with IdxReader(tmp_path / "converted" / "d" / "visus.idx") as reader:
        assert len(reader.header.fields) == 1200
        last_band = reader.read(1199, 0, Box((0, 0), (8, 8)))
    assert np.array_equal(last_band, bands[..., 1199])


def test_an_error_with_very_many_names_arrives(tmp_path: Path, warm: WarmProcess) -> None:
    (tmp_path / "upload").mkdir()
    parts = "".join(f'<dataset url="./part_{i:06}/visus.idx"/>' for i in range(20_000))
    text = f'<dataset typename="IdxMultipleDataset">{parts}</dataset>'
    (tmp_path / "upload" / "all.midx").write_text(text)
    _, last = outcome(warm.launch(order(tmp_path)))
    assert last["failed"]["code"] == "MissingMember"
    assert last["failed"]["message"].startswith("The .midx names parts that were not uploaded")


@pytest.mark.parametrize("datasets", [1, 64])
def test_shortened_keeps_the_first(datasets: int) -> None:
    fields = [{"name": f"field {i}", "dtype": "float32"} for i in range(4000)]
    told: dict[str, Any] = {
        "bytes_in": 7,
        "datasets": [{"path": f"{i}", "fields": fields} for i in range(datasets)],
    }
    short = shortened(told)
    assert len(json.dumps(short)) < MESSAGE_BYTES < len(json.dumps(told))
    assert short["bytes_in"] == 7
    assert short["datasets"][0]["path"] == "0"
    assert short["datasets"][0]["fields"][0] == fields[0]
    assert len(told["datasets"][0]["fields"]) == 4000


def test_what_is_short_stays_as_it_is() -> None:
    told = {"datasets": [{"path": "", "fields": [{"name": "a"}]}, {"path": "b", "fields": []}]}
    assert shortened(told) is told
