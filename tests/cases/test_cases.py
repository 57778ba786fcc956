"""Small inputs that other programs, or this one, once got wrong; what is right lies beside them.

They are made by the programs in ``shared/cases``, and skipped where these are not.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import scientistcloud
from scientistcloud import ConversionError

CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases"
_MOST_READ = 200


@dataclass(frozen=True)
class Outcome:
    """What came of a conversion; `code` is empty where it is a dataset."""

    code: str = ""
    dims: tuple[int, ...] = ()
    timesteps: int = 0
    fields: tuple[str, ...] = ()
    dtype: str = ""
    components: int = 1
    datasets: int = 1
    digests: tuple[str, ...] = ()
    spacing: tuple[float | None, ...] = ()
    text: str = ""


def _expectations(folder: str) -> dict[str, dict[str, Any]]:
    path = CASES / folder / "expect.json"
    found: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else {}
    return found


READ_SINCE = frozenset({"envi_pair"})
"""Formats that were to be refused by name, and are read now."""

PAIRS, REPORTS = _expectations("."), _expectations("reports")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folders = {}
    for name in (".", "reports"):
        out = tmp_path_factory.mktemp("cases")
        command = [sys.executable, "-W", "ignore", str(CASES / name / "build.py"), str(out)]
        subprocess.run(command, check=True, timeout=240, capture_output=True)
        folders[name] = out
    return folders


def _convert(source: Path, out: Path, parameters: Mapping[str, Any] | None) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scientistcloud.convert(source, out, parameters=parameters)
    except ConversionError as error:
        return Outcome(error.code, text=f"{error.message} {error.remedy}")
    dataset = scientistcloud.open(out)
    digests, sample = [], dataset.read(resolution=0)
    for field in dataset.fields:
        digest = hashlib.sha256()
        for timestep in range(min(dataset.timesteps, _MOST_READ)):
            samples = dataset.read(field, timestep)
            digest.update(np.ascontiguousarray(samples, samples.dtype.newbyteorder("<")).tobytes())
        digests.append(digest.hexdigest()[:24])
    texts = [(out / name).read_text() for name in ("metadata.json", "conversion.log")]
    record = json.loads(texts[0])
    axes = record["datasets"][0]["axes"] if "datasets" in record else []
    return Outcome(
        "",
        dataset.dims,
        dataset.timesteps,
        dataset.fields,
        str(dataset.dtype()),
        sample.shape[-1] if sample.ndim > len(dataset.dims) else 1,
        len(list(out.glob("*/visus.idx"))) + 1,
        tuple(digests),
        tuple(axis.get("spacing") for axis in axes),
        " ".join(texts),
    )


@pytest.mark.slow
@pytest.mark.skipif(not PAIRS, reason=f"the cases are not here ({CASES})")
@pytest.mark.parametrize("name", PAIRS or ["none"])
def test_pairs(name: str, built: Mapping[str, Path], tmp_path: Path) -> None:
    found = _convert(built["."] / name, tmp_path / "out", PAIRS[name].get("parameters"))
    assert any(_is_as(found, outcome) for outcome in PAIRS[name]["outcomes"]), found


def _is_as(found: Outcome, wanted: Mapping[str, Any]) -> bool:
    if "error" in wanted:
        return bool(found.code) and wanted["error"] in ("*", found.code)
    same = {
        "dims": lambda value: list(found.dims) == value,
        "dims_any_of": lambda value: list(found.dims) in value,
        "timesteps": lambda value: found.timesteps == value,
        "max_timesteps": lambda value: found.timesteps <= value,
        "n_fields": lambda value: len(found.fields) == value,
        "fields": lambda value: list(found.fields) == value,
        "components": lambda value: found.components == value,
        "datasets": lambda value: found.datasets == value,
        "told": lambda value: re.search(value, found.text) is not None,
    }
    return not found.code and all(same[key](wanted[key]) for key in same if key in wanted)


@pytest.mark.slow
@pytest.mark.skipif(not REPORTS, reason=f"the cases are not here ({CASES})")
@pytest.mark.parametrize("name", REPORTS or ["none"])
def test_reports(name: str, built: Mapping[str, Path], tmp_path: Path) -> None:
    wanted = REPORTS[name]
    found = _convert(built["reports"] / name, tmp_path / "out", wanted.get("parameters"))
    if found.code:
        assert wanted["outcome"] in ("refusal", "either"), found
        assert found.code in wanted.get("codes", [found.code]), found
    else:
        assert wanted["outcome"] in ("dataset", "either") or name in READ_SINCE, found
        assert list(found.dims) == wanted.get("dims", list(found.dims))
        counts = [wanted.get("timesteps", found.timesteps), *wanted.get("also_timesteps", [])]
        assert found.timesteps in counts
        components = [wanted.get("components", 1), wanted.get("also_components", 1)]
        assert found.components in components
        if "also_components" not in wanted:
            assert len(found.fields) == wanted.get("fields", len(found.fields))
        assert found.datasets >= wanted.get("datasets", 1)
        if not wanted.get("any_dtype"):
            assert found.dtype == wanted.get("dtype", found.dtype)
            if found.components == components[0]:
                right = {*wanted.get("sha256", found.digests), *wanted.get("also", [])}
                assert set(found.digests) <= right
    if "told" in wanted and name not in READ_SINCE:
        assert re.search(wanted["told"], found.text, re.IGNORECASE), found.text
