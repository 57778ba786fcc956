"""Images: what Pillow writes and reads, compared value by value; the sample photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    DronePhotos,
    ResourceLimit,
    UnlikeSlices,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from tests.readers.contract import Case, SourceContract, read_box
from tests.readers.tiff.test_tiff import noise


def smooth(shape: tuple[int, ...], seed: int = 1) -> np.ndarray:
    """A picture that lossy codecs keep a likeness of."""
    ramp = np.linspace(0, 200, shape[0] * shape[1]).reshape(shape[:2])
    spread = np.arange(shape[2]) * 20 if len(shape) == 3 else 0
    values = ramp[..., None] + spread if len(shape) == 3 else ramp
    return (values + np.random.default_rng(seed).integers(0, 9, shape)).astype("u1")


def pillow(path: Path, mode: str | None = None) -> np.ndarray:
    """The picture as Pillow reads it, upright."""
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image)
        return np.asarray(upright.convert(mode) if mode else upright)


def _png16(folder: Path) -> Case:
    values = noise((21, 34), "u2")
    Image.fromarray(values).save(folder / "a.png")
    return Case(folder / "a.png", {"data": values})


def _png_palette(folder: Path) -> Case:
    image = Image.fromarray(smooth((30, 20, 3))).convert("P", palette=Image.Palette.ADAPTIVE)
    image.save(folder / "p.png")
    return Case(folder / "p.png", {"data": np.asarray(image.convert("RGB"))})


def _png_gray_palette(folder: Path) -> Case:
    """A palette of nothing but grays is brightness."""
    values = noise((20, 30), "u1")
    image = Image.fromarray(values, "P")
    image.putpalette([255 - i // 3 for i in range(768)])
    image.save(folder / "p.png")
    return Case(folder / "p.png", {"data": 255 - values})


def _png_alpha(folder: Path) -> Case:
    values = noise((20, 30, 4), "u1")
    Image.fromarray(values).save(folder / "a.png")
    return Case(folder / "a.png", {"data": values})


def _png_gray_alpha(folder: Path) -> Case:
    values = noise((20, 30, 2), "u1")
    Image.fromarray(values, mode="LA").save(folder / "a.png")
    return Case(folder / "a.png", {"data": values[..., 0], "alpha": values[..., 1]})


def _png_stack(folder: Path) -> Case:
    up = folder / "up"
    up.mkdir()
    values = noise((12, 20, 31), "u1")
    for i, page in enumerate(values):
        Image.fromarray(page).save(up / f"scan{i}.png")
    return Case(up, {"data": values})


def _jpeg(folder: Path) -> Case:
    Image.fromarray(smooth((45, 67, 3))).save(folder / "a.jpg", quality=80)
    return Case(folder / "a.jpg", {"data": pillow(folder / "a.jpg")})


def _jpeg_turned(folder: Path) -> Case:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(smooth((45, 67, 3))).save(folder / "a.jpg", exif=exif)
    upright = pillow(folder / "a.jpg")
    assert upright.shape == (67, 45, 3)
    return Case(folder / "a.jpg", {"data": upright})


def _jpeg_cmyk(folder: Path) -> Case:
    Image.fromarray(smooth((33, 22, 4)), mode="CMYK").save(folder / "a.jpg")
    return Case(folder / "a.jpg", {"data": pillow(folder / "a.jpg", "RGB")})


def _jpeg2000(folder: Path) -> Case:
    values = noise((40, 50), "u2")
    Image.fromarray(values).save(folder / "a.jp2")
    return Case(folder / "a.jp2", {"data": values})


def _webp(folder: Path) -> Case:
    Image.fromarray(smooth((40, 50, 3))).save(folder / "a.webp", quality=70)
    return Case(folder / "a.webp", {"data": pillow(folder / "a.webp")})


def _mosaic(folder: Path) -> Case:
    up = folder / "up"
    up.mkdir()
    whole = noise((50, 70, 3), "u1")
    for col, x in enumerate(range(0, 70, 32)):
        for row, y in enumerate(range(0, 50, 24)):
            tile = whole[y : y + 24, x : x + 32]
            Image.fromarray(tile).save(up / f"case_1_{col}_{row}.png")
    return Case(up, {"data": whole[::-1]}, sensor="TIFF RGB")


MADE = {
    "png16": _png16,
    "palette": _png_palette,
    "gray_palette": _png_gray_palette,
    "alpha": _png_alpha,
    "gray alpha": _png_gray_alpha,
    "stack": _png_stack,
    "jpeg": _jpeg,
    "turned": _jpeg_turned,
    "cmyk": _jpeg_cmyk,
    "jpeg2000": _jpeg2000,
    "webp": _webp,
    "mosaic": _mosaic,
}


class TestImageContract(SourceContract):
    boxes = 12

    @pytest.fixture(params=MADE)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return MADE[request.param](tmp_path)


def whole(root: Path, scratch: Path, sensor: str | None = None, **parameters: object) -> np.ndarray:
    """All samples of the first field of the main dataset."""
    with open_source(root, sensor, parameters, scratch) as source:
        dataset = source.spec.datasets[0]
        if dataset.fields[0].working_bytes > 1 << 30:
            raise ResourceLimit("the plan refuses what needs this much")
        return read_box(source, dataset.fields[0], 0, Box.of_shape(dataset.shape))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    for suffix in ("jpg", "webp", "png"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(smooth((20, 30, 3))).save(path, exif=exif)
        expected = pillow(path)
        assert np.array_equal(whole(path, tmp_path), expected)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jp2", "webp"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.95])
def test_cut_short(suffix: str, part: float, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth((90, 120, 3))).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(CorruptSource, match=f"a.{suffix}"):
        whole(path, tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "jp2", "webp"])
def test_flipped_bytes_end_in_pixels_or_a_catalogued_error(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth((40, 50, 3))).save(path)
    data = path.read_bytes()
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        mutated = bytearray(data)
        for position in rng.integers(2, len(data), 3):
            mutated[position] = int(rng.integers(0, 256))
        path.write_bytes(mutated)
        try:
            assert whole(path, tmp_path).ndim >= 2
        except ConversionError:
            refused += 1
    assert refused


def test_bytes_between_segments_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth((40, 50, 3))).save(path)
    expected, data = pillow(path), path.read_bytes()
    size = int.from_bytes(data[4:6], "big")
    path.write_bytes(data[: 4 + size] + b"\0\0\0" + data[4 + size :])
    assert np.array_equal(whole(path, tmp_path), expected)


def test_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(smooth((20, 30, 3), seed)) for seed in range(3)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    with pytest.raises(UnsupportedLayout, match=r"a\.webp"):
        whole(tmp_path / "a.webp", tmp_path)


def test_unlike_images_of_a_series(tmp_path: Path) -> None:
    up = tmp_path / "up"
    up.mkdir()
    for i in range(4):
        Image.fromarray(smooth((20, 30 + (i == 2), 3))).save(up / f"s{i}.png")
    with pytest.raises(UnlikeSlices, match=r"s2\.png"):
        whole(up, tmp_path)


@pytest.mark.parametrize("sensor", ["RGB", "rgb drone", "MAPIR"])
def test_drone_photos_are_refused_with_a_way_out(
    sensor: str, samples: Path, tmp_path: Path
) -> None:
    with pytest.raises(DronePhotos) as caught:
        whole(samples / "drone" / "berlin", tmp_path, sensor)
    assert "OTHER" in caught.value.remedy


@pytest.mark.parametrize("name", ["flir_t640.jpg", "odm_tiny.jpg", "dji_m3t", "berlin"])
def test_sample_photos(name: str, samples: Path, tmp_path: Path) -> None:
    root = samples / "drone" / name
    paths = sorted(root.glob("*.[jJ]*")) if root.is_dir() else [root]
    with open_source(root, "OTHER", {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert source.spec.inputs == tuple(p.resolve() for p in paths)
        for z, path in enumerate(paths):
            expected = pillow(path)
            box = Box.of_shape(dataset.shape)
            if len(paths) > 1:
                box = Box((z, 0, 0), (z + 1, *dataset.shape[1:]))
            assert np.array_equal(
                read_box(source, dataset.fields[0], 0, box).reshape(expected.shape), expected
            )


def test_pngs_of_an_archive(samples: Path, tmp_path: Path) -> None:
    with open_source(samples / "archive" / "ts_pngs_in_folder.zip", None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        unpacked = {path.stem: pillow(path) for path in source.spec.inputs}
        for spec in dataset.fields:
            values = read_box(source, spec, 0, Box.of_shape(dataset.shape))
            assert np.array_equal(values, unpacked[spec.name])
    assert not list(tmp_path.iterdir())
