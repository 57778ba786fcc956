"""Operators, wrong types and monsters in the documents that ask for conversions."""

from __future__ import annotations

import uuid as uuids
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from bson import Decimal128, ObjectId, Regex

from tests.security.victim import Victim
from tests.site import DONE, FAILED, QUEUED, Site

PARAMETERS: list[dict[str, Any]] = [
    {"$where": "sleep(1000)"},
    {"$set": {"status": "done"}},
    {"a.b": 1, "$a.$b": {"$c": ["$$NOW", "$$ROOT"]}},
    {"dataset": {"$ne": None}},
    {"dataset": "$uuid", "file": "$$ROOT"},
    {"dataset": ["a"] * 1000},
    {"dataset": "x" * 1_000_000},
    {"format": "__import__('os').system('id')"},
    {"format": {"$function": {"body": "function() {}", "args": [], "lang": "js"}}},
    {"axes": "../../../etc/passwd"},
    {"channels": float("nan"), "times": float("inf"), "scale": -(10**18)},
    {"missing": None, "threads": 10**9, "memory_limit_bytes": 1 << 60, "verify": "off"},
    {"": "", " ": " ", "\n": "\x1b[2J"},
    {"dataset": "\x00", "file": "a\x00b"},
    {"shape": [10**9, 10**9, 10**9], "dtype": "O"},
    {"shape": [-1, 0], "dtype": "../../x"},
]
UUIDS: list[Any] = [
    "../x", "/etc", "..", ".", ".staging", ".staging/x", "", " ", "a b", "a/b", "a\\b", "a\x00b",
    "a\nb", "x" * 129, "x" * 100_000, "\u0430\u0431\u0432", "\uff0e\uff0e\uff0fx", "-rf", "$uuid",
    "$$ROOT", "a\u202eb", "%2e%2e%2f", "con\ud7ff", [], ["a"], {"$ne": None}, {"a": "b"}, 5, 5.5,
    True, None, float("nan"),
]  # fmt: skip


@pytest.mark.parametrize("parameters", PARAMETERS, ids=range(len(PARAMETERS)))
@pytest.mark.parametrize("name", ["a.tif", "a.raw"])
def test_parameters(name: str, parameters: dict[str, Any], victim: Victim) -> None:
    if name == "a.tif":
        tifffile.imwrite(victim.upload / name, np.arange(64, dtype="u2").reshape(8, 8))
    else:
        (victim.upload / name).write_bytes(bytes(4096))
    if len(str(parameters)) > 100_000:
        parameters = {key: str(value)[:50_000] for key, value in parameters.items()}
    last = victim.convert(**parameters)
    if "failed" in last:
        assert last["failed"]["code"] in {
            "InvalidOptions", "UnrecognizedFormat", "SensorMismatch", "UnsupportedDtype",
            "ResourceLimit", "CorruptSource",
        }, last  # fmt: skip
        assert last["failed"]["message"].isprintable()


def test_documents(site: Site) -> None:
    """Each fails with a code or is converted; no other document and no folder is touched."""
    good, samples = site.stack((2, 16, 16))
    bystander = {"uuid": "bystander", "status": "ready", "name": "untouched"}
    site.datasets.insert_one(dict(bystander))
    asked = []
    for parameters in PARAMETERS:
        name, _ = site.stack((2, 16, 16))
        asked.append(name)
        site.datasets.insert_one(
            {"uuid": name, "status": QUEUED, "conversion_parameters": parameters}
        )
    values = [ObjectId(), b"x", datetime(2026, 1, 1), Decimal128("1"), Regex("(a+)+$")]
    for odd in ("text", 5, [1], None, True, *({"a": value} for value in values)):
        name, _ = site.stack((2, 16, 16))
        asked.append(name)
        site.datasets.insert_one({"uuid": name, "status": QUEUED, "conversion_parameters": odd})
    site.datasets.insert_many([{"uuid": uuid, "status": QUEUED} for uuid in UUIDS])
    for sensor in ({"$ne": 1}, ["TIFF"], 5, "../x", "T" * 100_000, "\x00"):
        name, _ = site.stack((2, 16, 16))
        asked.append(name)
        site.datasets.insert_one({"uuid": name, "status": QUEUED, "sensor": sensor})
    site.queue(good)
    before = listing(site.root)
    site.start("--drain", LEASE_SECONDS="30").wait(200)
    assert site.find(good)["status"] == DONE
    assert np.array_equal(site.read(good), samples)
    assert site.datasets.find_one({"uuid": "bystander"}, {"_id": 0}) == bystander
    for document in site.datasets.find({"name": {"$ne": "untouched"}}):
        usable = isinstance(document["uuid"], str) and document["uuid"] in {*asked, good}
        assert document["status"] in ({DONE, FAILED} if usable else {FAILED}), document
        if document["status"] == FAILED:
            codes = {"InvalidOptions", "UnrecognizedFormat", "SensorMismatch", "ResourceLimit"}
            identity = {"UnusableUuid", "MissingUuid", "DuplicateUuid"}
            assert document["conversion"]["error"]["code"] in (codes if usable else identity)
    made = {path.parts[0] for path in listing(site.root / "converted")} - {".staging"}
    assert made <= {*asked, good}
    assert {path for path in listing(site.root) if path.parts[0] == "upload"} == {
        path for path in before if path.parts[0] == "upload"
    }
    assert "\x1b" not in site.log()


def listing(root: Path) -> set[Path]:
    return {path.relative_to(root) for path in root.rglob("*")} if root.exists() else set()


def test_the_uuid_of_another_dataset_reads_only_its_own(site: Site) -> None:
    first, samples = site.stack((2, 16, 16), seed=1)
    name = str(uuids.uuid4())
    (site.upload / name).symlink_to("/etc")
    site.queue(first, name)
    site.start("--drain").wait(60)
    assert site.find(first)["status"] == DONE
    assert np.array_equal(site.read(first), samples)
    assert site.find(name)["status"] == FAILED
