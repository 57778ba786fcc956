"""A conversion as a whole, without database or service."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813
import pytest
import tifffile

from scientistcloud.conversion.options import ConversionOptions, Progress
from scientistcloud.conversion.publishing.publish import Publication, close_staging, open_staging
from scientistcloud.conversion.result import ConversionResult
from scientistcloud.conversion.run import Request, convert
from scientistcloud.errors import (
    CorruptSource,
    MissingMember,
    SourceChanged,
    Stopped,
    VerificationFailed,
)
from scientistcloud.idx.check import verify_path


def run(source: Path, target: Path, **more: Any) -> ConversionResult:
    publication = Publication(target, target / ".staging", target.name, uuid.uuid4().hex)
    options = ConversionOptions(memory_limit_bytes=1 << 30, threads=2, **more.pop("options", {}))
    open_staging(publication)
    try:
        return convert(source, publication, options, **more)
    finally:
        close_staging(publication)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    for number in range(12):
        page = np.full((40, 50), 100 + number, np.uint16)
        tifffile.imwrite(folder / f"slice_{number}.tif", page)
    return folder


def read(target: Path, **query: Any) -> Any:
    return ov.LoadDataset(str(target / "visus.idx")).read(**query)


def openvisus_dataset(path: Path, values: Any, *, arco: bool = False) -> None:
    field = ov.Field("ct", str(values.dtype))
    field.default_compression = "" if arco else "zip"  # it writes ARCO uncompressed at first
    dataset = ov.CreateIdx(
        url=str(path),
        dims=list(values.shape[::-1]),
        fields=[field],
        arco="64kb" if arco else "",
    )
    dataset.write(values)


@pytest.mark.parametrize("layout", ["blocks", "arco"])
@pytest.mark.parametrize("codec", ["isal-1", "raw"])
def test_every_published_byte_is_covered(
    stack: Path, tmp_path: Path, layout: str, codec: str
) -> None:
    target = tmp_path / "out"
    run(stack, target, options={"layout": layout, "codec": codec})
    assert list(verify_path(target)) == []
    assert (read(target)[7] == 107).all()
    for path in [each for each in target.rglob("*") if each.is_file()]:
        if ".staging" in path.parts or path.name == "conversion.log":
            continue
        before = path.read_bytes()
        for place in {0, len(before) // 2, len(before) - 1}:
            damaged = bytearray(before)
            damaged[place] ^= 4
            path.write_bytes(damaged)
            assert list(verify_path(target)), f"{path} at {place}"
        path.write_bytes(before)
    assert list(verify_path(target)) == []


@pytest.mark.parametrize("arco", [False, True])
def test_a_buried_dataset_of_openvisus_is_carried_over(tmp_path: Path, arco: bool) -> None:
    values = np.random.default_rng(1).integers(1, 999, (20, 30, 40)).astype(np.uint16)
    inner = tmp_path / "upload" / "deep" / "down"
    inner.mkdir(parents=True)
    openvisus_dataset(inner / "mine.idx", values, arco=arco)
    (tmp_path / "upload" / "preview.txt").write_text("a note")
    target = tmp_path / "out"
    result = run(tmp_path / "upload", target)
    shutil.rmtree(tmp_path / "upload")
    assert result.datasets[0]["dims"] == [40, 30, 20]
    assert (read(target) == values).all()
    assert list(verify_path(target)) == []


def test_several_datasets_of_openvisus_are_carried_over(tmp_path: Path) -> None:
    values = {
        name: np.full((8, 9, 10), number, np.uint8) for number, name in enumerate(("a", "b"), 1)
    }
    for name, samples in values.items():
        (tmp_path / "upload" / name).mkdir(parents=True)
        openvisus_dataset(tmp_path / "upload" / name / f"{name}.idx", samples)
    target = tmp_path / "out"
    paths = [each["path"] for each in run(tmp_path / "upload", target).datasets]
    assert paths[0] == "visus.idx"
    found = [np.unique(ov.LoadDataset(str(target / path)).read()).tolist() for path in paths]
    assert found == [[1], [2]]
    assert list(verify_path(target)) == []


def test_a_midx_becomes_the_entry_with_its_parts(tmp_path: Path) -> None:
    values = np.random.default_rng(1).integers(1, 99, (8, 16, 16)).astype(np.uint8)
    upload = tmp_path / "upload"
    (upload / "parts").mkdir(parents=True)
    openvisus_dataset(upload / "parts" / "left.idx", values)
    (upload / "both.midx").write_text(
        "<dataset typename='IdxMultipleDataset' logic_box='0 16 0 16 0 8'>\n"
        "  <field name='voronoi'><code>output=voronoi()</code></field>\n"
        "  <dataset name='left' url='./parts/left.idx' />\n</dataset>\n"
    )
    target = tmp_path / "out"
    run(upload, target)
    shutil.rmtree(upload)
    assert "IdxMultipleDataset" in (target / "visus.idx").read_text()
    assert list(verify_path(target)) == []
    assert ov.LoadDataset(str(target / "visus.idx")) is not None


def test_a_damaged_dataset_of_openvisus_is_refused(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    openvisus_dataset(upload / "mine.idx", np.ones((32, 64, 64), np.uint16))
    blocks = next((upload / "mine").rglob("*.bin"))
    blocks.write_bytes(blocks.read_bytes()[:-50])
    with pytest.raises(CorruptSource):
        run(upload, tmp_path / "out")
    blocks.unlink()
    with pytest.raises(MissingMember):
        run(upload, tmp_path / "out")
    assert not (tmp_path / "out" / "visus.idx").exists()


def test_a_change_during_the_conversion_is_noticed(stack: Path, tmp_path: Path) -> None:
    def change(_: dict[str, Any]) -> None:
        (stack / "slice_99.tif").write_bytes((stack / "slice_1.tif").read_bytes())

    with pytest.raises(SourceChanged):
        run(stack, tmp_path / "out", plan=change)
    assert not (tmp_path / "out" / "visus.idx").exists()


def test_a_file_that_changes_between_copy_and_comparison_is_a_change(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    np.save(upload / "volume.npy", np.full((16, 64, 64), 1, np.uint16))

    def change(progress: Progress) -> None:
        if progress.phase == "copying" and progress.done_bytes == progress.total_bytes:
            np.save(upload / "volume.npy", np.full((16, 64, 64), 2, np.uint16))

    with pytest.raises(SourceChanged) as raised:
        run(upload, tmp_path / "out", progress=change)
    assert isinstance(raised.value.__cause__, VerificationFailed)
    assert not (tmp_path / "out" / "visus.idx").exists()


def test_what_is_not_wanted_any_more_is_not_published(stack: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(stack, tmp_path / "out", confirm=lambda: False)
    assert not (tmp_path / "out" / "visus.idx").exists()
    assert not (tmp_path / "out" / "visus").exists()


def test_the_same_request_is_answered_once(stack: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    first = run(stack, target, request=Request("r1"))
    header = (target / "visus.idx").read_bytes()
    again = run(stack, target, request=Request("r1"))
    assert (first.adopted, again.adopted) == (False, True)
    assert again.datasets == first.datasets
    assert (target / "visus.idx").read_bytes() == header
    assert not run(stack, target, request=Request("r2")).adopted
    assert (target / "visus.idx").read_bytes() != header


def test_a_damaged_result_is_not_adopted(stack: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    run(stack, target, request=Request("r1"))
    block = next(target.rglob("0000.bin"))
    content = bytearray(block.read_bytes())
    content[-1] ^= 1
    block.write_bytes(content)
    assert not run(stack, target, request=Request("r1")).adopted
    assert list(verify_path(target)) == []


def test_progress_ends_at_the_total(stack: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    run(stack, tmp_path / "out", progress=told.append)
    copying = [each for each in told if each.phase == "copying"]
    assert copying[-1].done_bytes == copying[-1].total_bytes == 12 * 40 * 50 * 2
    assert [each.phase for each in told][-1] == "publishing"


def test_the_record_tells_what_was_read(stack: Path, tmp_path: Path) -> None:
    run(stack, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert record["source"]["files"][2]["name"] == "slice_2.tif"
    assert len(record["source"]["files"][2]["sha256"]) == 64
    assert record["datasets"][0]["fields"][0]["min"] == [100]
    kinds = {each["@type"] for each in record["provenance"]["@graph"]}
    assert {"Dataset", "CreateAction", "File", "SoftwareApplication"} <= kinds


def test_a_dataset_whose_box_does_not_begin_at_the_origin_is_carried_over(tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.mkdir()
    values = np.random.default_rng(1).integers(1, 99, (32, 64)).astype(np.uint8)
    openvisus_dataset(upload / "mine.idx", values)
    header = upload / "mine.idx"
    header.write_text(header.read_text().replace("0 63 0 31", "1 63 2 31"))
    result = run(upload, tmp_path / "out")
    assert result.datasets[0]["dims"] == [63, 30]
    assert (read(tmp_path / "out") == values[2:, 1:]).all()
