"""Every type of sample, compression and layout that tifffile writes, read back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import ConversionError, CorruptSource
from scientistcloud.grid import Box
from tests.readers.contract import random_boxes, read_box
from tests.readers.tiff.test_samples import whole
from tests.readers.tiff.test_tiff import noise

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


def check(path: Path, expected: np.ndarray, scratch: Path, boxes: int = 4) -> None:
    """The only field is `expected`, whole and in parts."""
    with open_source(path, "TIFF", {}, scratch) as source:
        (dataset,) = source.spec.datasets
        (field,) = dataset.fields
        found = whole(source)
        assert found.dtype == expected.dtype
        assert np.array_equal(found, expected, equal_nan=expected.dtype.kind == "f")
        for box in random_boxes(dataset.shape, boxes):
            part = read_box(source, field, 0, box)
            assert np.array_equal(part, expected[box.slices], equal_nan=part.dtype.kind == "f")


@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", DTYPES)
def test_types_orders_and_offsets(dtype: str, order: str, bigtiff: bool, tmp_path: Path) -> None:
    values = noise((3, 37, 53), dtype)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, byteorder=order, bigtiff=bigtiff, photometric="minisblack")
    check(path, values, tmp_path)


@pytest.mark.parametrize("order", "<>")
def test_narrow_boxes_of_long_rows(order: str, tmp_path: Path) -> None:
    values = noise((5, 50_000), "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="minisblack", byteorder=order)
    with open_source(path, None, {}, tmp_path) as source:
        (field,) = source.spec.datasets[0].fields
        for lo, hi in ((0, 3), (25_000, 25_100), (49_999, 50_000), (100, 20_000)):
            box = Box((1, lo), (5, hi))
            assert np.array_equal(read_box(source, field, 0, box), values[box.slices])


@pytest.mark.parametrize("tile", [None, (32, 16)])
@pytest.mark.parametrize(
    ("compression", "dtype", "order", "predictor"),
    [
        ("zlib", "u2", ">", True), ("zlib", "f4", ">", True), ("zlib", "i8", ">", False),
        ("lzw", "u1", ">", True), ("lzw", "u2", ">", False), ("packbits", "u1", ">", False),
        ("lzma", "f8", ">", True), ("zstd", "u4", ">", True), ("zstd", "f4", "<", True),
        ("png", "u2", "<", False), ("jpeg2000", "u2", "<", False), ("jpeg", "u1", ">", False),
        ("lerc", "f4", "<", False), ("jpegxl", "u1", "<", False), ("jpegxr", "f4", "<", False),
        (None, "u2", ">", False),
    ],
)  # fmt: skip
def test_compressions(
    compression: str | None, dtype: str, order: str, predictor: bool, tile: Any, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((2, 70, 90), dtype), compression=compression, tile=tile,
                     rowsperstrip=None if tile else 7, predictor=predictor,
                     photometric="minisblack", byteorder=order)  # fmt: skip
    check(path, tifffile.imread(path), tmp_path)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
def test_packed_bits(bits: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**bits, (40, 51))
    stored = values.astype(bool if bits == 1 else "u1" if bits <= 8 else "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, bitspersample=bits, photometric="minisblack", rowsperstrip=11)
    check(path, values.astype("u1" if bits <= 8 else "u2"), tmp_path)


def test_deep_tiles(tmp_path: Path) -> None:
    values = noise((40, 70, 64), "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, volumetric=True, tile=(16, 32, 32), photometric="minisblack",
                     compression="zlib")  # fmt: skip
    check(path, values, tmp_path)


@pytest.mark.parametrize("flagged", [True, False])
def test_overviews_are_not_slices(flagged: bool, tmp_path: Path) -> None:
    values = noise((64, 96), "u2")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for step in (1, 2, 4):
            kind = 1 if flagged and step > 1 else 0
            tif.write(values[::step, ::step], tile=(16, 16), subfiletype=kind, metadata=None)
    check(path, values, tmp_path)


def test_pyramids_in_sub_directories(tmp_path: Path) -> None:
    values = noise((3, 64, 96), "u2")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(values, subifds=1, tile=(16, 16), photometric="minisblack")
        tif.write(values[:, ::2, ::2], subfiletype=1, tile=(16, 16), photometric="minisblack")
    check(path, values, tmp_path)


def test_pages_written_one_by_one(tmp_path: Path) -> None:
    values = noise((9, 30, 40), "u2")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for page in values:
            tif.write(page, metadata=None, contiguous=False, photometric="minisblack")
    check(path, values, tmp_path)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_slices_written_in_a_loop_are_a_stack(compression: str | None, tmp_path: Path) -> None:
    """tifffile describes each as an image of its own."""
    values = noise((6, 30, 40), "u2")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        for page in values:
            tif.write(page, photometric="minisblack", compression=compression)
    check(path, values, tmp_path)
    with open_source(path, None, {"series": 4}, tmp_path) as source:
        assert np.array_equal(whole(source), values[4])


def test_unlike_images_in_a_file_are_several_outputs(tmp_path: Path) -> None:
    large, small = noise((3, 30, 40), "u2"), noise((20, 25), "f4")
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(large, photometric="minisblack")
        tif.write(small, photometric="minisblack")
    with open_source(path, None, {}, tmp_path) as source:
        first, second = source.spec.datasets
        assert np.array_equal(whole(source), large)
        box = Box.of_shape(second.shape)
        assert np.array_equal(read_box(source, second.fields[0], 0, box), small)
        assert (first.name, bool(second.name)) == ("", True)


def test_slide_gives_its_largest_image(tmp_path: Path) -> None:
    """Thumbnail, label and macro picture of an Aperio slide are no slices."""
    values = noise((256, 320, 3), "u1")
    path = tmp_path / "a.svs"
    text = "Aperio Image Library v10.0.51\n320x256 [0,0 320x256] (240x240)|AppMag = 20|MPP = 0.5"
    options = {"photometric": "rgb", "metadata": None}
    with tifffile.TiffWriter(path) as tif:
        tif.write(values, tile=(64, 64), description=text, **options)
        tif.write(values[::8, ::8], description=text.replace("240x240", "thumb"), **options)
        tif.write(values[::2, ::2], tile=(64, 64), description=text, subfiletype=0, **options)
        tif.write(values[:30, :40], description="Aperio label 40x30", subfiletype=1, **options)
        tif.write(values[:50, :60], description="Aperio macro 60x50", subfiletype=9, **options)
    with open_source(path, None, {}, tmp_path) as source:
        assert np.array_equal(whole(source), values)
        assert len(source.spec.datasets) == 1
        assert any("not read" in note.lower() for note in source.spec.notes)


def test_tiles_that_are_not_stored_are_fill(tmp_path: Path) -> None:
    values = noise((64, 64), "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, tile=(32, 32), compression="zlib", metadata=None,
                     extratags=[(42113, 2, 3, "7\0", True)])  # fmt: skip
    with tifffile.TiffFile(path, mode="r+") as tif:
        tags = tif.pages.first.tags
        for name in ("TileOffsets", "TileByteCounts"):
            kept = list(tags[name].value)
            kept[2] = 0
            tags[name].overwrite(kept)
    values[32:, :32] = 7
    assert np.array_equal(tifffile.imread(path), values)
    check(path, values, tmp_path)


def test_imagej_beyond_4_gib(tmp_path: Path) -> None:
    """ImageJ writes one directory only; the pages follow one another."""
    path = tmp_path / "a.tif"
    pages, height, width = 4200, 1024, 512
    tifffile.imwrite(path, np.zeros((1, height, width), "u2"), imagej=True, byteorder=">")
    with tifffile.TiffFile(path, mode="r+") as tif:
        page = tif.pages.first
        text = f"ImageJ=1.53\nimages={pages}\nslices={pages}\n"
        page.tags["ImageDescription"].overwrite(text)
        start = page.dataoffsets[0]
    page_bytes = height * width * 2
    with path.open("r+b") as file:
        file.truncate(start + pages * page_bytes)
        file.seek(start + (pages - 2) * page_bytes)
        file.write(noise((height, width), "u2").astype(">u2").tobytes())
    with open_source(path, None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert dataset.shape == (pages, height, width)
        box = Box((pages - 3, 100, 50), (pages - 1, 200, 90))
        found = read_box(source, dataset.fields[0], 0, box)
    assert not found[0].any()
    assert np.array_equal(found[1], noise((height, width), "u2")[100:200, 50:90])


@pytest.mark.parametrize("imagej", [True, False])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("ZYX", (5, 20, 30)), ("TYX", (4, 20, 30)), ("CYX", (3, 20, 30)), ("TZYX", (4, 2, 20, 30)),
     ("TCYX", (2, 3, 20, 30)), ("ZCYX", (5, 2, 20, 30)), ("TZCYX", (2, 3, 4, 20, 30))],
)  # fmt: skip
def test_axes_that_the_file_names(
    axes: str, shape: tuple[int, ...], imagej: bool, tmp_path: Path
) -> None:
    values = noise(shape, "u2")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, imagej=imagej, metadata={"axes": axes},
                     photometric="minisblack")  # fmt: skip
    full = values
    for i, axis in enumerate("TZC"):
        if axis not in axes:
            full = np.expand_dims(full, i)
    with open_source(path, None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert dataset.timesteps == full.shape[0]
        assert len(dataset.fields) == full.shape[2]
        for t in range(full.shape[0]):
            for c, field in enumerate(dataset.fields):
                found = read_box(source, field, t, Box.of_shape(dataset.shape))
                assert np.array_equal(
                    found, np.squeeze(full[t, :, c], axis=()).reshape(found.shape)
                )


@pytest.mark.parametrize(
    ("parameter", "timesteps", "fields", "depth"),
    [("TYX", 4, 1, 0), ("C", 1, 4, 0), ("z", 1, 1, 4)],
)
def test_pages_of_no_said_meaning_can_be_renamed(
    parameter: str, timesteps: int, fields: int, depth: int, tmp_path: Path
) -> None:
    values = noise((4, 20, 30), "u2")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    with open_source(tmp_path / "a.tif", None, {"axes": parameter}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert (dataset.timesteps, len(dataset.fields)) == (timesteps, fields)
        assert dataset.shape == ((depth, 20, 30) if depth else (20, 30))
    with open_source(tmp_path / "a.tif", None, {}, tmp_path) as source:
        (choice,) = source.spec.choices
        assert choice.parameter == "axes"
        assert "depth" in choice.rule
        assert set(choice.alternatives) >= {"T", "C"}


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "jpeg"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
def test_cut_short(compression: str | None, part: float, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((5, 64, 64), "u1"), compression=compression, metadata=None,
                     photometric="minisblack", contiguous=False)  # fmt: skip
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(CorruptSource, match=r"a\.tif"):
        check(path, np.empty(0), tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_end_in_pixels_or_a_catalogued_error(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    path = tmp_path / "a.tif"
    kinds: list[dict[str, Any]] = [{}, {"compression": "lzw"}, {"tile": (16, 16)}, {"imagej": True}]
    tifffile.imwrite(path, noise((4, 40, 40), "u1"), photometric="minisblack", **kinds[seed])
    data = path.read_bytes()
    refused = 0
    for _ in range(60):
        mutated = bytearray(data)
        for position in rng.integers(0, min(len(data), 400), 3):
            mutated[position] = int(rng.integers(0, 256))
        path.write_bytes(mutated)
        try:
            with open_source(path, None, {}, tmp_path) as source:
                dataset = source.spec.datasets[0]
                box = Box((0,) * len(dataset.shape), tuple(min(n, 30) for n in dataset.shape))
                if dataset.fields[0].working_bytes < 1 << 28:
                    read_box(source, dataset.fields[0], 0, box)
        except ConversionError:
            refused += 1
    assert refused


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 4), st.integers(1, 60), st.integers(1, 60)),
    rows=st.integers(1, 70),
    compression=st.sampled_from([None, "zlib", "lzw"]),
    order=st.sampled_from("<>"),
    dtype=st.sampled_from(["u1", "i2", "f4"]),
    data=st.data(),
)
def test_any_box_of_any_strips(
    tmp_path_factory: pytest.TempPathFactory,
    shape: tuple[int, int, int],
    rows: int,
    compression: str | None,
    order: str,
    dtype: str,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("strips")
    values = noise(shape, dtype)
    tifffile.imwrite(folder / "a.tif", values, rowsperstrip=rows, compression=compression,
                     byteorder=order, photometric="minisblack", metadata=None)  # fmt: skip
    with open_source(folder / "a.tif", None, {}, folder) as source:
        dataset = source.spec.datasets[0]
        lo = tuple(data.draw(st.integers(0, n - 1)) for n in dataset.shape)
        hi = tuple(data.draw(st.integers(l + 1, n)) for l, n in zip(lo, dataset.shape, strict=True))
        box = Box(lo, hi)
        found = read_box(source, dataset.fields[0], 0, box)
        assert np.array_equal(found, values.reshape(dataset.shape)[box.slices])
