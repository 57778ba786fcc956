"""Whatever happens to a published byte, `verify_path` names the file and the data that are lost."""

from __future__ import annotations

import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from scientistcloud.errors import Stopped
from scientistcloud.grid import Box
from scientistcloud.idx.check import verify_path
from scientistcloud.idx.files.damage import Damage
from scientistcloud.idx.files.manifest import amend_manifest, sum_file
from scientistcloud.idx.reader import IdxReader
from tests.idx.written import write_idx

SHAPE = (40, 70, 90)
DAMAGES = int(os.environ.get("SCIENTISTCLOUD_TEST_DAMAGES", "200"))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two datasets: block files with holes, and ARCO; with metadata.json and a log."""
    rng = np.random.default_rng(3)
    volume = rng.integers(0, 500, (2, *SHAPE)).astype(np.uint16)
    volume[:, :, 35:] = 0
    other = rng.random((2, *SHAPE)).astype(np.float32)
    folder = tmp_path_factory.mktemp("published")
    write_idx(folder, {"ct": volume, "other": other}, 3, base="visus/0123456789abcdef")
    image = rng.integers(0, 9, (3, 900, 1300)).astype(np.uint8)
    image[1, :, 1::2] = 0  # all of block 1
    write_idx(folder / "image", {"gray": image}, 2, arco=True)
    (folder / "metadata.json").write_text(
        '{"datasets": [{"path": "visus.idx"}, {"path": "image/visus.idx"}]}'
    )
    amend_manifest(
        folder / "visus/0123456789abcdef/manifest",
        {"metadata.json": sum_file(folder / "metadata.json")},
    )
    (folder / "conversion.log").write_text("fine")
    return folder


def test_an_intact_dataset_has_no_damage(published: Path) -> None:
    read: list[int] = []
    assert list(verify_path(published, progress=read.append)) == []
    assert list(verify_path(published / "visus.idx")) == []
    sizes = {f: f.stat().st_size for f in files(published)}
    manifests = sum(size for f, size in sizes.items() if f.name == "manifest")
    assert sum(read) == sum(sizes.values()) - manifests


def files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.rglob("*") if f.is_file() and f.name != "conversion.log")


@dataclass(frozen=True)
class Harm:
    """What is done to a file; `place` is the byte, or the size that is left."""

    kind: str
    file: Path
    place: int
    bit: int = 0

    def do(self) -> None:
        if self.kind == "delete":
            self.file.unlink()
        elif self.kind == "cut":
            os.truncate(self.file, self.place)
        elif self.kind == "extend":
            with self.file.open("ab") as file:
                file.write(bytes(self.place))
        else:
            with self.file.open("r+b") as file:
                file.seek(self.place)
                byte = file.read(1)[0]
                file.seek(self.place)
                file.write(bytes([byte ^ 1 << self.bit]))


def draw(rng: random.Random, folder: Path, *, over_bytes: bool) -> Harm:
    """Half of the damages fall on any byte alike, half on any file alike."""
    all_files = files(folder)
    if over_bytes:
        sizes = [f.stat().st_size for f in all_files]
        file = rng.choices(all_files, sizes)[0]
        kind = "flip"
    else:
        file = rng.choice(all_files)
        kind = rng.choice(["flip", "cut", "delete", "extend"])
    size = file.stat().st_size
    place = rng.randrange(1, 100) if kind == "extend" else rng.randrange(size)
    return Harm(kind, file, place, rng.randrange(8))


def test_every_random_damage_is_named(published: Path) -> None:
    rng = random.Random(2024)
    original = {f: f.read_bytes() for f in files(published)}
    for index in range(DAMAGES):
        harm = draw(rng, published, over_bytes=index % 2 == 0)
        harm.do()
        damages = list(verify_path(published))
        name = harm.file.relative_to(published).as_posix()
        hit = [damage for damage in damages if name in (damage.path, *damage.message.split("'"))]
        assert hit, (harm, damages)
        if harm.file.suffix == ".bin":
            assert_region(hit, name)
        harm.file.write_bytes(original[harm.file])
    assert list(verify_path(published)) == []


def assert_region(damages: list[Damage], name: str) -> None:
    for damage in damages:
        assert damage.timestep is not None
        assert damage.box is not None
        assert not damage.box.is_empty
        assert f"timestep {damage.timestep}" in damage.message
        assert f"x {damage.box.lo[-1]}..{damage.box.hi[-1] - 1}" in damage.message
        if name.startswith("image/"):
            assert damage.field == "gray"


def test_the_region_that_is_named_is_the_one_that_is_lost(published: Path, tmp_path: Path) -> None:
    """With a payload zeroed, all samples that changed lie in the box, and some do."""
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    reader = IdxReader(folder / "visus.idx")
    whole = reader.header.box
    before = reader.read("other", 1, whole)
    for number in (0, 1, 5):
        file = folder / reader.stored.file_name(1, 1, number)
        data = bytearray(file.read_bytes())
        entry = 40 + 40 * (reader.header.blocks_per_file + number)
        offset, size = (int.from_bytes(data[entry + i : entry + i + 4], "big") for i in (8, 16))
        good = bytes(data[offset : offset + size])
        data[offset + size // 2] ^= 4
        file.write_bytes(data)
        (damage,) = verify_path(folder)
        assert (damage.field, damage.timestep) == ("other", 1)
        assert damage.box is not None
        data[entry + 16 : entry + 20] = bytes(4)  # a missing block: zeros
        file.write_bytes(data)
        changed = np.argwhere(reader.read("other", 1, whole) != before)
        assert len(changed) > 1000
        lost = Box(tuple(changed.min(axis=0).tolist()), tuple((changed.max(axis=0) + 1).tolist()))
        assert damage.box.lo == lost.lo
        assert damage.box.contains(lost)
        assert damage.box.size < 1.3 * lost.size
        data[offset : offset + size] = good
        data[entry + 16 : entry + 20] = size.to_bytes(4, "big")
        file.write_bytes(data)
    assert list(verify_path(folder)) == []


def test_a_damage_is_told_in_a_sentence(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    (folder / "image/visus/2/gray/0000/0000/0000/0001.bin").unlink()
    (damage,) = verify_path(folder)
    assert damage.message == (
        "'image/visus/2/gray/0000/0000/0000/0001.bin' is missing: "
        "field 'gray', timestep 2, x 1..1299, y 0..899."
    )
    assert damage.to_dict() == {
        "path": "image/visus/2/gray/0000/0000/0000/0001.bin",
        "message": damage.message,
        "field": "gray",
        "timestep": 2,
        "box": [[1, 1300], [0, 900]],
    }


@pytest.mark.parametrize("name", ["visus.idx", "image/visus.idx", "visus", "image", "image/visus"])
def test_whole_parts_may_be_missing(published: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    if (folder / name).is_dir():
        shutil.rmtree(folder / name)
    else:
        (folder / name).unlink()
    assert list(verify_path(folder))


def test_a_conversion_that_goes_on_is_no_damage(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    (folder / "further" / "visus" / "fedcba9876543210").mkdir(parents=True)
    assert list(verify_path(folder)) == []


def test_blocks_of_somebody_else_are_named(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    stray = folder / "image/visus/1/gray/0000/0000/0000/0001.bin"
    assert not stray.exists()
    stray.write_bytes(b"x")
    (damage,) = verify_path(folder)
    assert "no part of the dataset" in damage.message


def test_a_pipe_is_not_waited_for(published: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(published, folder)
    file = next((folder / "visus").rglob("*.bin"))
    file.unlink()
    os.mkfifo(file)
    (damage,) = verify_path(folder)
    assert "no plain file" in damage.message


def test_it_can_be_stopped(published: Path) -> None:
    with pytest.raises(Stopped):
        list(verify_path(published, stop=lambda: True))


def test_a_dataset_without_checksums_cannot_be_checked(samples: Path) -> None:
    (damage,) = verify_path(samples / "idx" / "ov_cat" / "gray.idx")
    assert "manifest" in damage.message
