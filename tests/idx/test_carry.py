"""Somebody else's dataset is carried over as it is, and only if every block of it is sound."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813
import pytest
from numpy.typing import NDArray

from scientistcloud.errors import CorruptSource, MissingMember, Stopped
from scientistcloud.idx.carry import carry_over
from scientistcloud.idx.check import verify_path
from scientistcloud.idx.reader import IdxReader

SHAPE = (25, 40, 50)
GENERATION = "./visus/0123abcd"


def make(folder: Path, *, arco: bool = False, name: str = "mine", codec: str = "") -> NDArray[Any]:
    values = np.random.default_rng(4).integers(1, 4000, (2, *SHAPE)).astype(np.uint16)
    sizes: dict[str, Any] = {"arco": "8kb"} if arco else {"arco": ""}
    if not arco:
        sizes |= {"bitsperblock": 10, "blocksperfile": 8}
    field = ov.Field("ct", "uint16")
    field.default_compression = codec
    dataset = ov.CreateIdx(
        url=str(folder / f"{name}.idx"),
        dims=list(reversed(SHAPE)),
        fields=[field],
        time=[0, 1, "time_%02d/"],
        **sizes,
    )
    for timestep in range(2):
        dataset.write(values[timestep], time=timestep)
    return values


def carry(source: Path, target: Path, base: str = GENERATION, **options: Any) -> None:
    (target / base).mkdir(parents=True)
    carry_over(source, target / "visus.idx", target / base, base, **options)


def read(path: Path, timestep: int, field: str = "") -> NDArray[Any]:
    return ov.LoadDataset(str(path)).read(time=timestep, **({"field": field} if field else {}))


@pytest.mark.parametrize("arco", [False, True])
def test_openvisus_reads_the_same_from_the_new_place(tmp_path: Path, arco: bool) -> None:
    values = make(tmp_path / "upload" / "a" / "b", arco=arco)
    source, target = tmp_path / "upload" / "a" / "b" / "mine.idx", tmp_path / "converted"
    told: list[int] = []
    carry(source, target, "./visus" if arco else GENERATION, progress=told.append)
    shutil.rmtree(tmp_path / "upload")
    for timestep in range(2):
        assert (read(target / "visus.idx", timestep) == values[timestep]).all()
    assert list(verify_path(target)) == []
    assert sum(told) == sum(
        f.stat().st_size - (0 if arco else 40 + 40 * 8) for f in target.rglob("*.bin")
    )


def test_an_upload_on_another_file_system_is_carried_over(tmp_path: Path) -> None:
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=shared) as folder:
        values = make(Path(folder))
        carry(Path(folder) / "mine.idx", tmp_path / "converted")
    for timestep in range(2):
        assert (read(tmp_path / "converted" / "visus.idx", timestep) == values[timestep]).all()
    assert list(verify_path(tmp_path / "converted")) == []


def test_names_and_unknown_keys_are_kept(tmp_path: Path) -> None:
    make(tmp_path / "upload")
    source, target = tmp_path / "upload" / "mine.idx", tmp_path / "converted"
    text = source.read_text().replace("(arco)", "# by hand\n(beamline)\nP05  at  PETRA\n(arco)")
    source.write_text(text)
    carry(source, target)
    assert (target / "visus/0123abcd/mine/time_00/0000.bin").is_file()
    carried = (target / "visus.idx").read_text()
    assert carried == text.replace("./mine/%04x.bin", "./visus/0123abcd/mine/%04x.bin")


def test_old_files_stay_in_hz_order(samples: Path, tmp_path: Path) -> None:
    source = samples / "idx" / "ov_cat" / "rgb.idx"
    carry(source, tmp_path)
    blocks = tmp_path / "visus/0123abcd/rgb/0.bin"
    assert blocks.read_bytes() == (source.parent / "rgb" / "0.bin").read_bytes()
    assert (read(tmp_path / "visus.idx", 0) == read(source, 0)).all()
    assert list(verify_path(tmp_path)) == []
    blocks.write_bytes(blocks.read_bytes()[:-1] + b"\x55")
    (damage,) = verify_path(tmp_path)
    assert "field 'data', timestep 0, x 0..255, y 0..255" in damage.message


def test_a_template_in_an_odd_place_is_moved_too(tmp_path: Path) -> None:
    values = make(tmp_path / "upload")
    source, target = tmp_path / "upload" / "mine.idx", tmp_path / "converted"
    text = source.read_text()
    source.write_text(text.replace("(filename_template)\n", "(filename_template)\n# here\n\n"))
    carry(source, target)
    assert (read(target / "visus.idx", 1) == values[1]).all()
    (target / "visus.idx").unlink()
    shutil.rmtree(target)
    source.write_text(text.replace("(filename_template)\n./mine/%04x.bin\n", ""))
    carry(source, target)
    assert (read(target / "visus.idx", 1) == values[1]).all()


def test_a_header_in_xml_becomes_text(tmp_path: Path) -> None:
    values = make(tmp_path / "upload")
    source, target = tmp_path / "upload" / "mine.idx", tmp_path / "converted"
    dataset = ov.LoadDataset(str(source))
    body = dataset.getDatasetBody()
    source.write_text(body.toString())
    carry(source, target)
    assert (target / "visus.idx").read_text().startswith("(version)")
    assert (read(target / "visus.idx", 1) == values[1]).all()


def test_a_damaged_block_stops_it(tmp_path: Path) -> None:
    make(tmp_path / "upload", codec="zip")
    source = tmp_path / "upload" / "mine.idx"
    reader = IdxReader(source)
    file = source.parent / reader.stored.file_name(1, 0, 9)
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)
    with pytest.raises(CorruptSource, match=r"Block \d+ of field 'ct' at timestep 1"):
        carry(source, tmp_path / "converted")
    assert not (tmp_path / "converted" / "visus.idx").exists()


def test_a_missing_file_stops_it_unless_zeros_are_meant(tmp_path: Path) -> None:
    values = make(tmp_path / "upload")
    source = tmp_path / "upload" / "mine.idx"
    (tmp_path / "upload/mine/time_01/0020.bin").unlink()
    with pytest.raises(MissingMember, match=r"mine/time_01/0020\.bin"):
        carry(source, tmp_path / "first")
    carry(source, tmp_path / "second", accept_missing=True)
    found = read(tmp_path / "second" / "visus.idx", 1)
    assert 0 < (found == 0).sum() < found.size
    assert (found[found != 0] == values[1][found != 0]).all()
    assert list(verify_path(tmp_path / "second")) == []


def test_it_can_be_stopped(tmp_path: Path) -> None:
    make(tmp_path / "upload")
    with pytest.raises(Stopped):
        carry(tmp_path / "upload" / "mine.idx", tmp_path / "converted", stop=lambda: True)
    assert not (tmp_path / "converted" / "visus.idx").exists()


MIDX = """<dataset typename='IdxMultipleDataset'>
  <dataset name='A' url='./a/one.idx' />
  <dataset name='B' url='./b/two.idx' />
  <field name='difference'><code><![CDATA[output = input.A.ct - input.B.ct]]></code></field>
</dataset>
"""


def test_a_midx_goes_with_its_parts(tmp_path: Path) -> None:
    upload, target = tmp_path / "upload", tmp_path / "converted"
    values = make(upload / "a", name="one")
    make(upload / "b", name="two", arco=True)
    (upload / "all.midx").write_text(MIDX)
    expected = read(upload / "all.midx", 1, "output=input.A.ct")
    assert (expected == values[1]).all()
    carry(upload / "all.midx", target)
    shutil.rmtree(upload)
    assert (read(target / "visus.idx", 1, "output=input.A.ct") == expected).all()
    assert (read(target / "visus.idx", 1, "output=input.B.ct") == expected).all()
    assert list(verify_path(target)) == []
    for name in ("visus.idx", "visus/0123abcd/a/one.idx", "visus/0123abcd/a/one/time_01/0008.bin"):
        good = (target / name).read_bytes()
        (target / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert any(d.path == name for d in verify_path(target)), name
        (target / name).write_bytes(good)
    (target / "visus/0123abcd/b/two.idx").unlink()
    assert [d.path for d in verify_path(target)] == ["visus/0123abcd/b/two.idx"]


def test_a_midx_without_a_part_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "a", name="one")
    (tmp_path / "all.midx").write_text(MIDX)
    with pytest.raises(MissingMember, match=r"b/two\.idx"):
        carry(tmp_path / "all.midx", tmp_path / "converted")
    assert not (tmp_path / "converted" / "visus.idx").exists()
