"""IDX datasets of others as sources: OpenVisus's own output, and damaged uploads of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813
import pytest
from numpy.typing import NDArray

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    InvalidOptions,
    MissingMember,
    UnsafeLink,
    UnsafeSource,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.readers.base import Match, Selection, Sensor, Source
from scientistcloud.readers.idx import READER
from scientistcloud.readers.registry import READERS
from tests.readers.contract import Case, SourceContract

SHAPE = (25, 40, 50)


def make(folder: Path, *, arco: str = "", timesteps: int = 2) -> dict[str, NDArray[Any]]:
    """Let OpenVisus write two fields; returns them as (timesteps, z, y, x[, components])."""
    rng = np.random.default_rng(4)
    values = {
        "ct": rng.integers(0, 4000, (timesteps, *SHAPE)).astype(np.uint16),
        "rgb": rng.integers(0, 255, (timesteps, *SHAPE, 3)).astype(np.uint8),
    }
    dataset = ov.CreateIdx(
        url=str(folder / "visus.idx"),
        dims=list(reversed(SHAPE)),
        fields=[ov.Field("ct", "uint16"), ov.Field("rgb", "uint8[3]")],
        time=[0, timesteps - 1, "time_%02d/"],
        axis="X Y Z",
        physic_box=ov.BoxNd.fromString("0 100 10 50 0 5"),
        **({"arco": arco} if arco else {"arco": "", "bitsperblock": 10, "blocksperfile": 8}),
    )
    for name, data in values.items():
        for timestep in range(timesteps):
            dataset.write(data[timestep], field=name, time=timestep)
    return values


def open_all(root: Path, **parameters: Any) -> Source:
    found = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and READER.match(path, path.read_bytes()[:4096]) is Match.CERTAIN
    )
    return READER.open(found, Selection(root, Sensor.OTHER, parameters))


def assert_holds(source: Source, values: dict[str, NDArray[Any]], dataset: int = 0) -> None:
    spec = source.spec.datasets[dataset]
    assert [field.name for field in spec.fields] == list(values)
    for field in spec.fields:
        data = values[field.name]
        assert spec.timesteps == len(data)
        for timestep in range(len(data)):
            for box in (Box.of_shape(spec.shape), Box((3, 5, 7)[-len(spec.shape) :], spec.shape)):
                tail = (field.components,) if field.components > 1 else ()
                out = np.zeros(box.shape + tail, field.dtype)
                source.read(field, timestep, box, out)
                assert (out == data[timestep][box.slices]).all()


@pytest.mark.skipif("idx" not in dict(READERS), reason="the format is not in the table")
class TestContract(SourceContract):
    @pytest.fixture(params=["", "8kb"], ids=["blocks", "arco"])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return Case(tmp_path, make(tmp_path, arco=request.param))


def test_it_is_known_by_its_first_key() -> None:
    assert (
        READER.match(Path("a.txt"), b"\xef\xbb\xbf\r\n# made by X\n(version)\n6") is Match.CERTAIN
    )
    assert READER.match(Path("a.midx"), b"<dataset typename='IdxMultipleDataset'>") is Match.CERTAIN
    xml = b'<dataset url="x" typename="IdxDataset">\n\t<idxfile>\n'
    assert READER.match(Path("a.xml"), xml) is Match.CERTAIN
    assert READER.match(Path("a.xml"), b"<dataset><netcdf/>") is Match.NO
    assert READER.match(Path("a.idx"), b"ersion)\n6\n(box)\n") is Match.POSSIBLE
    assert READER.match(Path("a.idx"), b"\0\0\x08\x03") is Match.NO
    assert READER.match(Path("a.txt"), b"version 6") is Match.NO


@pytest.mark.parametrize("arco", ["", "8kb"])
def test_what_openvisus_wrote_is_read(tmp_path: Path, arco: str) -> None:
    values = make(tmp_path, arco=arco)
    with open_all(tmp_path) as source:
        assert_holds(source, values)
        dataset = source.spec.datasets[0]
        assert [(a.name, a.origin, a.spacing) for a in dataset.axes] == [
            ("Z", 0.0, 0.2),
            ("Y", 10.0, 1.0),
            ("X", 0.0, 2.0),
        ]


def test_times_are_kept_where_they_are_not_plain_numbers(tmp_path: Path) -> None:
    values = make(tmp_path)
    header = tmp_path / "visus.idx"
    header.write_text(header.read_text().replace("0 1 time_%02d/", "time_%02d/ (0,5,5)"))
    (tmp_path / "visus" / "time_01").rename(tmp_path / "visus" / "time_05")
    with open_all(tmp_path) as source:
        assert source.spec.datasets[0].times == (0.0, 5.0)
        assert_holds(source, values)


def test_old_files_in_hz_order(samples: Path) -> None:
    root = samples / "idx" / "ov_cat"
    with open_all(root) as source:
        assert [d.name for d in source.spec.datasets] == ["", "rgb"]
        for name, dataset in zip(("gray", "rgb"), source.spec.datasets, strict=True):
            (field,) = dataset.fields
            whole = Box.of_shape(dataset.shape)
            out = np.empty(dataset.shape + ((3,) if name == "rgb" else ()), np.uint8)
            source.read(field, 0, whole, out)
            assert (out == ov.LoadDataset(str(root / f"{name}.idx")).read(field="data")).all()
        (choice,) = source.spec.choices
        assert (choice.chosen, choice.alternatives) == ("gray.idx", ("rgb.idx",))
    with open_all(root, dataset="rgb.idx") as source:
        assert [d.fields[0].components for d in source.spec.datasets] == [3]
    with pytest.raises(InvalidOptions, match=r"gray\.idx"):
        open_all(root, dataset="blue.idx")


def test_a_header_without_its_blocks_is_refused(samples: Path, tmp_path: Path) -> None:
    shutil.copy(samples / "idx" / "ov_gauss_header.idx", tmp_path / "gauss.idx")
    with pytest.raises(MissingMember, match=r"'gauss1/time0/0000\.bin'"):
        open_all(tmp_path)


@pytest.mark.parametrize("arco", ["", "8kb"])
def test_a_missing_file_is_named(tmp_path: Path, arco: str) -> None:
    make(tmp_path, arco=arco)
    files = sorted((tmp_path / "visus").rglob("*.bin"))
    files[-1].unlink()
    name = files[-1].relative_to(tmp_path).as_posix()
    with pytest.raises(MissingMember, match=name):
        open_all(tmp_path)
    with open_all(tmp_path, missing="zeros") as source:
        assert source.spec.datasets[0].timesteps == 2
    with pytest.raises(InvalidOptions):
        open_all(tmp_path, missing="whatever")


def test_a_missing_timestep_is_named(tmp_path: Path) -> None:
    make(tmp_path)
    shutil.rmtree(tmp_path / "visus" / "time_01")
    with pytest.raises(MissingMember, match=r"time_01/0000\.bin.*and others"):
        open_all(tmp_path)


def test_a_billion_timesteps_are_refused_at_once(tmp_path: Path) -> None:
    make(tmp_path)
    header = tmp_path / "visus.idx"
    header.write_text(header.read_text().replace("0 1 time_%02d/", "0 1000000000 time_%02d/"))
    with pytest.raises(UnsupportedLayout, match="more files"):
        open_all(tmp_path)


def test_blocks_may_not_lie_behind_a_link_out(tmp_path: Path) -> None:
    make(tmp_path / "elsewhere")
    upload = tmp_path / "upload"
    upload.mkdir()
    shutil.copy(tmp_path / "elsewhere" / "visus.idx", upload)
    (upload / "visus").symlink_to(tmp_path / "elsewhere" / "visus")
    with pytest.raises(UnsafeLink):
        open_all(upload)


MIDX = """<dataset typename='IdxMultipleDataset'>
  <!-- two of them -->
  <dataset name='B' url='./b/visus.idx' />
  <dataset name='A' url="a/visus.idx" />
  <field name='f'><code><![CDATA[output = A.ct < 3]]></code></field>
</dataset>
"""


def test_of_a_midx_the_parts_are_read(tmp_path: Path) -> None:
    values = make(tmp_path / "a", timesteps=1)
    make(tmp_path / "b", timesteps=2)
    (tmp_path / "all.midx").write_text(MIDX)
    with open_all(tmp_path) as source:
        assert [d.timesteps for d in source.spec.datasets] == [2, 1]
        assert [d.name for d in source.spec.datasets] == ["", "a"]
        assert_holds(source, values, dataset=1)
        assert any("all.midx" in note for note in source.spec.notes)
        assert source.spec.carried == {"": tmp_path / "all.midx"}
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(MissingMember, match=r"visus\.idx"):
        open_all(tmp_path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (MIDX.replace("a/visus.idx", "../visus.idx"), UnsafeSource),
        (MIDX.replace("a/visus.idx", "/etc/visus.idx"), UnsafeSource),
        (MIDX.replace("a/visus.idx", "file:///etc/visus.idx"), UnsafeSource),
        (MIDX.replace("a/visus.idx", "http://host/mod_visus?dataset=a"), UnsupportedLayout),
        (MIDX.replace("</dataset>", ""), CorruptSource),
        ("<dataset typename='IdxMultipleDataset'></dataset>", CorruptSource),
        (f"<!DOCTYPE d [<!ENTITY a 'b'>]>\n{MIDX}", UnsafeSource),
    ],
)
def test_a_bad_midx_is_refused(tmp_path: Path, text: str, error: type[ConversionError]) -> None:
    make(tmp_path / "b", timesteps=1)
    (tmp_path / "all.midx").write_text(text)
    with pytest.raises(error):
        open_all(tmp_path)
