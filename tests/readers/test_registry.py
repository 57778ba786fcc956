"""Which reader gets an upload: by content, by sensor, and what is said when there is none."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from scientistcloud.conversion.inspect import inspect_source, open_source
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.errors import (
    AmbiguousFormat,
    DronePhotos,
    InvalidOptions,
    MissingLibrary,
    ResourceLimit,
    SensorMismatch,
    UnrecognizedFormat,
)
from scientistcloud.readers import registry
from scientistcloud.readers.base import Match, Selection, Sensor, Source
from scientistcloud.readers.files.listing import scan
from scientistcloud.readers.registry import READERS, detect, load_reader
from tests.readers.tiff.test_tiff import noise, write_stack


@pytest.fixture
def up(tmp_path: Path) -> Path:
    folder = tmp_path / "up"
    folder.mkdir()
    return folder


def tiff(path: Path) -> Path:
    tifffile.imwrite(path, noise((20, 30), "u1"))
    return path


def png(path: Path) -> Path:
    Image.fromarray(noise((20, 30), "u1")).save(path, format="PNG")
    return path


def test_every_format_of_the_table_has_a_reader() -> None:
    for name, _ in READERS:
        reader = load_reader(name)
        assert reader.match(Path("x.unknown"), b"nothing known") is Match.NO
        assert reader.match(Path("x.unknown"), b"") is Match.NO
    assert len(dict(READERS)) == len(READERS)


def test_sensors_stand_for_formats_of_the_table() -> None:
    for sensor in Sensor:
        assert set(registry.CAN_DO.get(sensor, ())) <= set(dict(READERS))
    assert set(registry.MEANT) == set(Sensor)


def test_detection_imports_no_library() -> None:
    """A service looks at thousands of files before it opens one."""
    script = (
        "import sys; from pathlib import Path\n"
        "from scientistcloud.readers.registry import READERS, load_reader\n"
        "for name, _ in READERS: load_reader(name).match(Path('a.tif'), b'II*\\0')\n"
        "print([m for m in ('tifffile', 'imagecodecs', 'h5py', 'netCDF4', 'zarr', 'pydicom')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_content_goes_before_suffix(up: Path) -> None:
    png(up / "picture.tif")
    assert detect(scan(up)).name == "image"
    tiff(up / "picture.tif")
    assert detect(scan(up)).name == "tiff"
    tiff(up / "picture.tif").rename(up / "no_suffix")
    assert detect(scan(up)).name == "tiff"


def test_suffix_is_enough_for_a_damaged_file(up: Path) -> None:
    (up / "a.tif").write_bytes(b"damaged")
    assert detect(scan(up)).name == "tiff"


@pytest.mark.parametrize("content", [b"some text", b"\0" * 5000, bytes(range(256)) * 20])
def test_nothing_known(content: bytes, up: Path) -> None:
    (up / "a.unknown").write_bytes(content)
    with pytest.raises(UnrecognizedFormat, match=r"a\.unknown") as caught:
        detect(scan(up))
    assert not isinstance(caught.value, SensorMismatch)


def test_only_sidecars(up: Path) -> None:
    for name in ("readme.txt", "table.csv", "settings.json", "README"):
        (up / name).write_text("{}")
    with pytest.raises(UnrecognizedFormat):
        detect(scan(up))


def test_sidecars_are_passed_over_and_noted(up: Path) -> None:
    write_stack(up, noise((3, 20, 30), "u1"))
    for name in ("scan.txt", "scan.xml", "scan.json", "table.csv", "run.log", "paper.pdf", "a.md"):
        (up / name).write_text("<xml/>")
    found = detect(scan(up))
    assert [e.name for e in found.files] == [f"slice_{i}.tif" for i in range(3)]
    assert any("scan.txt" in note for note in found.notes)


def test_two_formats_are_ambiguous(up: Path) -> None:
    tiff(up / "a.tif")
    png(up / "b.png")
    with pytest.raises(AmbiguousFormat, match=r"tiff \(a\.tif\), image \(b\.png\)") as caught:
        detect(scan(up))
    assert "format" in caught.value.remedy
    assert detect(scan(up), wanted="image").name == "image"
    chosen = detect(scan(up), Sensor.TIFF)
    assert chosen.name == "tiff"
    assert any("b.png" in note for note in chosen.notes)


@pytest.mark.parametrize("wanted", ["nonsense", 3, "numpy"])
def test_wanted_format_must_fit(wanted: object, up: Path) -> None:
    tiff(up / "a.tif")
    with pytest.raises(InvalidOptions, match="format"):
        detect(scan(up), wanted=wanted)


@pytest.mark.parametrize("sensor", [Sensor.NETCDF, Sensor.HDF5, Sensor.IDX, Sensor.NEXUS_4D])
def test_sensor_that_contradicts_the_content(sensor: Sensor, up: Path) -> None:
    tiff(up / "a.tif")
    with pytest.raises(SensorMismatch, match=rf"{sensor.value}.*tiff \(a\.tif\)"):
        detect(scan(up), sensor)


def test_sensor_that_another_reader_can_serve(up: Path) -> None:
    for i in range(3):
        png(up / f"s{i}.png")
    found = detect(scan(up), Sensor.TIFF)
    assert found.name == "image"
    assert any("TIFF" in note and "image" in note for note in found.notes)


def test_unknown_sensor_is_noted(up: Path, tmp_path: Path) -> None:
    tiff(up / "a.tif")
    with open_source(up, "Some Microscope", {}, tmp_path) as source:
        assert any("Some Microscope" in note for note in source.spec.notes)


@pytest.mark.parametrize("sensor", [Sensor.RGB, Sensor.MAPIR])
def test_drone_sensors(sensor: Sensor, up: Path) -> None:
    tiff(up / "a.tif")
    with pytest.raises(DronePhotos):
        detect(scan(up), sensor)


class _Folder:
    """A format whose files lie in a folder of its own."""

    name = "folder"
    owns_folder = True

    def match(self, path: Path, head: bytes) -> Match:
        if path.name != "index":
            return Match.NO
        return Match.CERTAIN if head else Match.POSSIBLE

    def open(self, files: Sequence[Path], selection: Selection) -> Source:
        raise AssertionError


READER = _Folder()


def test_reader_of_folders_owns_what_lies_below(up: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        registry, "READERS", (("tiff", dict(READERS)["tiff"]), ("folder", __name__))
    )
    load_reader.cache_clear()
    (up / "store" / "deep").mkdir(parents=True)
    (up / "store" / "index").write_text("x")
    tiff(up / "store" / "deep" / "chunk")
    with zipfile.ZipFile(up / "store" / "0.0", "w") as chunk:
        chunk.writestr("x", "y")
    found = detect(scan(up))
    assert (found.name, [e.name for e in found.files]) == ("folder", ["store/index"])
    tiff(up / "store" / "picture.tif")
    with pytest.raises(AmbiguousFormat):
        detect(scan(up))
    assert [e.name for e in detect(scan(up), Sensor.TIFF).files] == ["store/picture.tif"]
    load_reader.cache_clear()


def test_missing_library_is_not_an_unknown_format(
    up: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "READERS", (("exotic", "no_such_library.reader"),))
    load_reader.cache_clear()
    tiff(up / "a.tif")
    with pytest.raises(MissingLibrary, match="no_such_library"):
        detect(scan(up))
    load_reader.cache_clear()


def test_archive_beside_data_is_ambiguous(up: Path, tmp_path: Path) -> None:
    tiff(up / "a.tif")
    with zipfile.ZipFile(up / "b.zip", "w") as archive:
        archive.write(up / "a.tif", "a.tif")
    with pytest.raises(AmbiguousFormat, match=r"b\.zip.*a\.tif"):
        open_source(up, None, {}, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["up"]


class TestInspect:
    OPTIONS = ConversionOptions(memory_limit_bytes=1 << 30, threads=2)

    def test_says_what_would_be_made(self, up: Path, tmp_path: Path) -> None:
        write_stack(up, noise((12, 20, 30), "u2"))
        (up / "notes.txt").write_text("x")
        said = inspect_source(up, "TIFF", {}, tmp_path, self.OPTIONS)
        json.dumps(said, allow_nan=False)
        assert said["format"] == "TIFF stack"
        assert said["inputs"] == [f"slice_{i}.tif" for i in range(12)]
        (dataset,) = said["datasets"]
        assert (dataset["dims"], dataset["timesteps"]) == ([30, 20, 12], 1)
        assert dataset["fields"][0]["dtype"] == "uint16"
        assert dataset["samples_bytes"] == 12 * 20 * 30 * 2
        assert [c["parameter"] for c in said["choices"]] == ["arrangement"]
        assert said["plan"]["memory_bytes"] > 0
        assert said["estimated_seconds"] > 0
        assert any("notes.txt" in note for note in said["notes"])

    def test_its_parameters_can_be_edited_and_passed_back(self, up: Path, tmp_path: Path) -> None:
        write_stack(up, noise((12, 20, 30), "u2"))
        said = inspect_source(up, None, {}, tmp_path, self.OPTIONS)
        again = inspect_source(up, None, said["parameters"], tmp_path, self.OPTIONS)
        assert again["datasets"] == said["datasets"]
        edited = json.loads(json.dumps(said["parameters"])) | {"arrangement": "time"}
        other = inspect_source(up, None, edited, tmp_path, self.OPTIONS)
        assert (other["datasets"][0]["dims"], other["datasets"][0]["timesteps"]) == ([30, 20], 12)

    def test_too_little_memory_is_said_before_anything_is_read(
        self, up: Path, tmp_path: Path
    ) -> None:
        tiff(up / "a.tif")
        options = ConversionOptions(memory_limit_bytes=1 << 20, threads=1)
        with pytest.raises(ResourceLimit):
            inspect_source(up, None, {}, tmp_path, options)

    def test_unpacked_files_are_taken_away(self, up: Path, tmp_path: Path) -> None:
        tiff(up / "a.tif")
        with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
            archive.write(up / "a.tif", "a.tif")
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        said = inspect_source(tmp_path / "b.zip", None, {}, scratch, self.OPTIONS)
        assert said["datasets"][0]["dims"] == [30, 20]
        assert not list(scratch.iterdir())


def test_values_of_an_archive(up: Path, tmp_path: Path) -> None:
    values = noise((3, 20, 30), "u2")
    write_stack(up, values)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for path in up.iterdir():
            archive.write(path, f"inner/{path.name}")
    from tests.readers.tiff.test_samples import whole

    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with open_source(tmp_path / "b.zip", "TIFF", {}, scratch) as source:
        assert np.array_equal(whole(source), values)
    assert not list(scratch.iterdir())
