"""Colours: what is shown of palettes, CMYK, YCbCr, Lab and extra samples."""

from __future__ import annotations

import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import ConversionError, UnsupportedDtype
from tests.readers.tiff.test_samples import whole
from tests.readers.tiff.test_tiff import noise


def fields_of(path: Path, scratch: Path, **parameters: object) -> dict[str, np.ndarray]:
    """All fields of the main dataset."""
    with open_source(path, None, parameters, scratch) as source:
        names = [f.name for f in source.spec.datasets[0].fields]
        return {name: whole(source, i) for i, name in enumerate(names)}


@pytest.mark.parametrize("compression", [None, "lzw", "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_cmyk_is_what_pillow_makes_of_it(
    compression: str | None, planar: str, tmp_path: Path
) -> None:
    values = noise((50, 40, 4), "u1")
    stored = values if planar == "contig" else np.moveaxis(values, -1, 0)
    path = tmp_path / "cmyk.tif"
    tifffile.imwrite(path, stored, photometric="separated", planarconfig=planar,
                     compression=compression, rowsperstrip=8)  # fmt: skip
    expected = np.asarray(Image.fromarray(values, mode="CMYK").convert("RGB"))
    assert np.array_equal(fields_of(path, tmp_path)["data"], expected)


def test_cmyk_of_16_bits(tmp_path: Path) -> None:
    values = noise((20, 30, 4), "u2")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="separated", planarconfig="contig")
    ink = values.astype(float) / 65535
    expected = np.rint((1 - ink[..., :3]) * (1 - ink[..., 3:]) * 65535).astype(int)
    found = fields_of(tmp_path / "a.tif", tmp_path)["data"]
    assert found.dtype == "u2"
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("compression", [None, "lzw"])
def test_ycbcr_without_subsampling(compression: str | None, tmp_path: Path) -> None:
    values = noise((50, 40, 3), "u1")
    path = tmp_path / "ycbcr.tif"
    tifffile.imwrite(path, values, photometric="ycbcr", planarconfig="contig",
                     compression=compression, extratags=[(530, 3, 2, (1, 1), True)])  # fmt: skip
    expected = np.asarray(Image.fromarray(values, mode="YCbCr").convert("RGB"))
    found = fields_of(path, tmp_path)["data"]
    # Pillow works with tables of 6 binary places.
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


def write_subsampled(
    path: Path, across: int, down: int, size: tuple[int, int], rows: int, compress: bool
) -> None:
    """A TIFF of YCbCr blocks, as TIFF 6.0 (section 21) lays them out, with noise in them."""
    height, width = size
    strips = []
    for first in range(0, height, rows):
        blocks = -(-min(rows, height - first) // down) * -(-width // across)
        strip = noise((blocks * (across * down + 2),), "u1", first).tobytes()
        strips.append(imagecodecs.lzw_encode(strip) if compress else strip)
    offsets, position = [], 8
    for strip in strips:
        offsets.append(position)
        position += len(strip)
    counts = [len(strip) for strip in strips]
    entries = [
        (256, 3, [width]), (257, 3, [height]), (258, 3, [8, 8, 8]),
        (259, 3, [5 if compress else 1]), (262, 3, [6]), (273, 4, offsets), (277, 3, [3]),
        (278, 3, [rows]), (279, 4, counts), (530, 3, [across, down]),
    ]  # fmt: skip
    directory, extra = b"", b""
    start = position + 2 + 12 * len(entries) + 4
    for code, kind, values in entries:
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            place = struct.pack("<I", start + len(extra))
            extra, packed = extra + packed, place
        directory += struct.pack("<HHI", code, kind, len(values)) + packed.ljust(4, b"\0")
    head = struct.pack("<2sHI", b"II", 42, position)
    count = struct.pack("<H", len(entries))
    path.write_bytes(head + b"".join(strips) + count + directory + bytes(4) + extra)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("size", [(24, 40), (21, 37)])
@pytest.mark.parametrize(("across", "down"), [(2, 1), (2, 2), (4, 2), (1, 2)])
def test_subsampled_ycbcr_is_what_libtiff_makes_of_it(
    across: int, down: int, size: tuple[int, int], compress: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.tif"
    write_subsampled(path, across, down, size, 8, compress)
    expected = imagecodecs.tiff_decode(path.read_bytes(), asrgb=True)[..., :3]
    found = fields_of(path, tmp_path)["data"]
    # libtiff works with tables of whole numbers.
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 1), (2, 2)])
def test_jpeg_in_tiff_is_what_tifffile_makes_of_it(
    subsampling: tuple[int, int], tmp_path: Path
) -> None:
    ramp = np.add.outer(np.arange(64), np.arange(96)).astype("u1")
    values = np.stack([ramp, 255 - ramp, ramp // 2], axis=-1)
    path = tmp_path / "jpeg.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression="jpeg", tile=(32, 32),
                     subsampling=subsampling)  # fmt: skip
    assert np.array_equal(fields_of(path, tmp_path)["data"], tifffile.imread(path))


@pytest.mark.parametrize(
    ("lab", "rgb"),
    [
        ((100, 0, 0), (255, 255, 255)),
        ((0, 0, 0), (0, 0, 0)),
        ((53.585, 0, 0), (128, 128, 128)),
        # sRGB primaries under D50, as colour management systems give them.
        ((54.29, 80.81, 69.89), (255, 0, 0)),
        ((87.82, -79.29, 80.99), (0, 255, 0)),
        ((29.57, 68.30, -112.03), (0, 0, 255)),
    ],
)
@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
def test_lab_becomes_srgb(
    lab: tuple[float, ...], rgb: tuple[int, ...], photometric: str, tmp_path: Path
) -> None:
    offset = 128 if photometric == "icclab" else 0
    stored = [round(lab[0] * 2.55), round(lab[1]) + offset, round(lab[2]) + offset]
    pixels = np.tile(np.array(stored, "i2").astype("u1"), (8, 9, 1))
    path = tmp_path / "lab.tif"
    tifffile.imwrite(path, pixels, photometric=photometric, planarconfig="contig")
    found = fields_of(path, tmp_path)["data"]
    # Whole numbers of a* and b* are coarse, and near black the gamma is steep.
    assert np.abs(found.astype(int) - np.array(rgb)).max() <= 12


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_palette_of_any_depth(bits: int, tmp_path: Path) -> None:
    dtype = "u2" if bits == 16 else "u1"
    indices = np.random.default_rng(0).integers(0, 2**bits, (20, 31)).astype(dtype)
    colormap = noise((3, 2**bits), "u2")
    path = tmp_path / "p.tif"
    if bits in (8, 16):
        tifffile.imwrite(path, indices, photometric="palette", colormap=colormap)
    else:
        tags = [(320, 3, colormap.size, colormap.ravel(), True)]
        values = indices.astype(bool) if bits == 1 else indices
        tifffile.imwrite(path, values, bitspersample=bits, photometric="palette", extratags=tags)
    expected = (colormap >> 8).astype("u1").T[indices]
    assert np.array_equal(fields_of(path, tmp_path)["data"], expected)


def test_palette_written_with_8_bits_by_mistake(tmp_path: Path) -> None:
    indices, colormap = noise((20, 31), "u1"), noise((3, 256), "u1").astype("u2")
    tifffile.imwrite(tmp_path / "p.tif", indices, photometric="palette", colormap=colormap)
    expected = colormap.astype("u1").T[indices]
    assert np.array_equal(fields_of(tmp_path / "p.tif", tmp_path)["data"], expected)


def test_alpha_stays_a_component(tmp_path: Path) -> None:
    values = noise((20, 30, 4), "u2")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(fields_of(tmp_path / "a.tif", tmp_path)["data"], values)


def test_gray_with_alpha(tmp_path: Path) -> None:
    values = noise((20, 30, 2), "u1")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack", planarconfig="contig",
                     extrasamples=["unassalpha"])  # fmt: skip
    found = fields_of(tmp_path / "a.tif", tmp_path)
    assert list(found) == ["data", "alpha"]
    assert np.array_equal(np.stack(list(found.values()), axis=-1), values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_bands_are_fields_or_components(planar: str, tmp_path: Path) -> None:
    values = noise((20, 30, 6), "f4")
    stored = values if planar == "contig" else np.moveaxis(values, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="minisblack", planarconfig=planar)
    bands = fields_of(path, tmp_path)
    assert list(bands) == [f"band {i}" for i in range(1, 7)]
    assert np.array_equal(np.stack(list(bands.values()), axis=-1), values)
    together = fields_of(path, tmp_path, samples="components")
    assert np.array_equal(together["data"], values)


def test_white_is_zero_is_kept(tmp_path: Path) -> None:
    values = noise((20, 30), "u1")
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    with open_source(tmp_path / "a.tif", None, {}, tmp_path) as source:
        assert np.array_equal(whole(source), values)
        assert any("0 is white" in note for note in source.spec.notes)


@pytest.mark.parametrize("dtype", ["c8", "c16"])
def test_complex_is_refused_with_a_way_out(dtype: str, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 30), dtype))
    with pytest.raises(UnsupportedDtype, match=r"a\.tif") as caught:
        open_source(tmp_path / "a.tif", None, {}, tmp_path)
    assert "magnitude" in caught.value.remedy


def test_samples_of_unlike_bits(tmp_path: Path) -> None:
    """RGB 5-6-5 packs unlike samples; a page that says so must not come out wrong."""
    values = noise((20, 30, 3), "u1")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages.first.tags["BitsPerSample"].overwrite((8, 8, 16))
    try:
        found = fields_of(path, tmp_path)
    except ConversionError:
        return
    assert np.array_equal(found["data"], values)
