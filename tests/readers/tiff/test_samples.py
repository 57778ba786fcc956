"""Every sample TIFF against tifffile: value by value, or the error that it deserves."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import tifffile

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import CorruptSource, InvalidOptions, UnlikeSlices
from scientistcloud.grid import Box
from scientistcloud.readers.base import Source
from tests.readers.contract import read_box

# name: (dims with x first, dtype, components, fields)
FACTS = {
    "bio_blobs_lut.tif": ((256, 254), "u1", 1, 1),
    "bio_hela_rgbstack.tif": ((672, 512), "u2", 3, 1),
    "cog_pyramid.tif": ((2658, 2667), "u2", 1, 1),
    "geo_gfw_azores.tif": ((125, 40), "f4", 1, 1),
    "geo_lisbon_dem.tif": ((547, 421), "f4", 1, 1),
    "geo_rgb_byte.tif": ((791, 718), "u1", 3, 1),
    "geo_umbra_sar.tif": ((2000, 2000), "u1", 1, 1),
    "geo_world_palette.tif": ((2880, 1200), "u1", 1, 1),
    "ic_gray_bigendian_u16.tif": ((111, 83, 2), "u2", 1, 1),
    "ic_gray_bool1bit.tif": ((111, 83, 2), "u1", 1, 1),
    "ic_gray_stack_u8.tif": ((111, 83, 13), "u1", 1, 1),
    "ic_gray_tiled_f32.tif": ((111, 83, 2), "f4", 1, 1),
    "ic_rgb_separate_tiled_u8.tif": ((111, 83, 2), "u1", 3, 1),
    "ij_stack.tif": ((68, 68, 2), "f4", 1, 1),
    "it_bigtiff.tif": ((64, 64), "u1", 3, 1),
    "it_int16_signed.tif": ((157, 151), "i2", 1, 1),
    "it_palette16.tif": ((73, 43), "u1", 3, 1),
    "li_grey10kx5k.tif": ((10000, 5000), "u1", 1, 1),
    "ome_multichannel_zseries.ome.tif": ((439, 167, 5), "i1", 1, 3),
    "ome_single_channel.ome.tiff": ((439, 167), "i1", 1, 1),
    "openvisus_noise_u16.tif": ((1024, 1024, 1000), "u2", 1, 2),
    "pil_16bit_MM_deflate.tif": ((64, 64), "u2", 1, 1),
    "pims_stuck.tif": ((512, 512, 5), "u2", 1, 1),
    "ski_fiji_blobs3d.tif": ((32, 32, 30), "u1", 1, 1),
    "ski_multipage.tif": ((10, 15, 2), "u1", 1, 1),
    "stack_leica": ((256, 256, 3), "u1", 3, 1),
    "bio_channels_in_files": ((1100, 680), "f4", 1, 3),
}


def whole(source: Source, field: int = 0) -> np.ndarray:
    """All samples of a field of the main dataset at the first timestep."""
    dataset = source.spec.datasets[0]
    return read_box(source, dataset.fields[field], 0, Box.of_shape(dataset.shape))


def palette(path: Path) -> np.ndarray:
    """The RGB that a palette page stands for."""
    with tifffile.TiffFile(path) as tif:
        page = tif.pages.first
        assert page.photometric == tifffile.PHOTOMETRIC.PALETTE
        return (page.colormap >> 8).astype("u1").T[page.asarray()]


@pytest.mark.parametrize("name", FACTS)
def test_dims_and_fields(name: str, samples: Path, tmp_path: Path) -> None:
    dims, dtype, components, fields = FACTS[name]
    with open_source(samples / "tiff" / name, None, {}, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert dataset.shape == dims[::-1]
        assert dataset.timesteps == 1
        assert [(f.dtype, f.components) for f in dataset.fields] == [(dtype, components)] * fields


@pytest.mark.parametrize(
    "name", [n for n, (_, _, _, fields) in FACTS.items() if fields == 1 and "." in n]
)
def test_values(name: str, samples: Path, tmp_path: Path) -> None:
    path = samples / "tiff" / name
    expected = palette(path) if name == "it_palette16.tif" else tifffile.imread(path)
    if name == "ic_rgb_separate_tiled_u8.tif":
        expected = np.moveaxis(expected, 1, -1)
    with open_source(path, "TIFF", {}, tmp_path) as source:
        assert np.array_equal(whole(source), expected)


def test_channels_of_ome(samples: Path, tmp_path: Path) -> None:
    path = samples / "tiff" / "ome_multichannel_zseries.ome.tif"
    with open_source(path, None, {}, tmp_path) as source:
        channels = np.stack([whole(source, i) for i in range(3)])
    assert np.array_equal(channels, tifffile.imread(path))


def test_missing_members_of_ome_read_as_zeros(samples: Path, tmp_path: Path) -> None:
    path = samples / "tiff" / "openvisus_noise_u16.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = tifffile.imread(path, key=0)
    with open_source(path, None, {}, tmp_path) as source:
        assert any("1999 of 2000" in note for note in source.spec.notes)
        first, second = source.spec.datasets[0].fields
        plane = Box((0, 0, 0), (1, 1024, 1024))
        assert np.array_equal(read_box(source, first, 0, plane)[0], page)
        assert not read_box(source, second, 0, plane).any()
        deep = Box((1, 500, 500), (1000, 520, 540))
        assert not read_box(source, first, 0, deep).any()
        z = source.spec.datasets[0].axes[0]
        assert (z.name, z.spacing, z.units) == ("z", 1.0, "µm")


def test_stack_of_palette_slices(samples: Path, tmp_path: Path) -> None:
    root = samples / "tiff" / "stack_leica"
    expected = np.stack([palette(p) for p in sorted(root.iterdir())])
    with open_source(root, "TIFF", {}, tmp_path) as source:
        assert np.array_equal(whole(source), expected)


def test_channels_in_files_are_fields(samples: Path, tmp_path: Path) -> None:
    root = samples / "tiff" / "bio_channels_in_files"
    with open_source(root, "TIFF", {}, tmp_path) as source:
        assert [f.name for f in source.spec.datasets[0].fields] == ["actin", "mito", "nuclei"]
        for i, path in enumerate(sorted(root.iterdir())):
            assert np.array_equal(whole(source, i), tifffile.imread(path))


def test_truncated_file(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptSource, match=r"pil_crash_trunc\.tif"):
        open_source(samples / "tiff" / "pil_crash_trunc.tif", None, {}, tmp_path)


def test_pages_of_unlike_size(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(UnlikeSlices, match=r"pil_multipage_sizes\.tif.*10 x 10.*20 x 20"):
        open_source(samples / "tiff" / "pil_multipage_sizes.tif", None, {}, tmp_path)


def test_pages_of_one_size_can_be_picked(samples: Path, tmp_path: Path) -> None:
    path = samples / "tiff" / "pil_multipage_sizes.tif"
    with open_source(path, None, {"series": "1"}, tmp_path) as source:
        assert source.spec.datasets[0].shape == (20, 20)
        with tifffile.TiffFile(path) as tif:
            page = tif.series[1].pages[0]
            expected = (page.colormap >> 8).astype("u1").T[page.asarray().astype(int)]
        assert np.array_equal(whole(source), expected)
    for wrong in (2, -1, "x"):
        with pytest.raises(InvalidOptions, match="series"):
            open_source(path, None, {"series": wrong}, tmp_path)


def test_georeference(samples: Path, tmp_path: Path) -> None:
    with open_source(samples / "tiff" / "geo_rgb_byte.tif", None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        y, x = dataset.axes
        geo = source.spec.metadata["geo"]
        assert geo["crs"] == "EPSG:32618"
        # As GDAL gives it: the outer corner of the first pixel.
        assert geo["geotransform"][0] == 101985.0
        assert geo["geotransform"][3] == 2826915.0
        assert x.origin == pytest.approx(101985.0 + 300.0379266750948 / 2)
        assert y.spacing == pytest.approx(-300.041782729805)
        assert (x.units, y.units) == ("m", "m")
        assert dataset.fields[0].fill_value == 0


def test_imagej_scale(samples: Path, tmp_path: Path) -> None:
    with open_source(samples / "tiff" / "ij_stack.tif", None, {}, tmp_path) as source:
        z, _, x = source.spec.datasets[0].axes
        assert (z.spacing, z.units) == (2.5, "µm")
        assert x.spacing == pytest.approx(1 / 5.928571)
    with open_source(samples / "tiff" / "bio_hela_rgbstack.tif", None, {}, tmp_path) as source:
        assert source.spec.datasets[0].axes[1].units == "µm"


@pytest.mark.parametrize(
    ("archive", "fields", "shape"),
    [
        ("made_leica.tar.gz", 1, (3, 256, 256)),
        ("made_nested.zip", 1, (3, 256, 256)),
        ("hamamatsu.zip", 3, (508, 672)),
        ("spam_wheat.tiff.zip", 1, (1853, 4320)),
        ("ras_ak_compdcs.zip", 1, (2440, 2607)),
    ],
)
def test_archives_of_tiffs(
    archive: str, fields: int, shape: tuple[int, ...], samples: Path, tmp_path: Path
) -> None:
    with open_source(samples / "archive" / archive, None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert (len(dataset.fields), dataset.shape) == (fields, shape)
        if fields > 1:
            for i, path in enumerate(source.spec.inputs):
                assert np.array_equal(whole(source, i), tifffile.imread(path))
        elif len(shape) == 2:
            assert np.array_equal(whole(source), tifffile.imread(source.spec.inputs[0]))
    assert not list(tmp_path.iterdir())
