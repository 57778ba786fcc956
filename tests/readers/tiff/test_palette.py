"""Palettes of grays, of labels and of pictures; what GDAL says of bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.readers.opening import assert_choices_round_trip, opened, whole

RAMP = np.repeat((np.arange(256, dtype="u2") * 257)[None], 3, 0)
RANDOM = np.random.default_rng(5).integers(0, 65536, (3, 256), "u2")
BLOBS = np.repeat(np.repeat(np.arange(20, dtype="u1").reshape(4, 5) * 7, 8, 0), 8, 1)
NOISE = np.random.default_rng(6).integers(0, 256, (32, 40), "u1")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def write(root: Path, values: np.ndarray, colours: np.ndarray, **more: object) -> None:
    tifffile.imwrite(root / "a.tif", values, photometric="palette", colormap=colours, **more)


class TestPalette:
    @pytest.mark.parametrize("colours", [RAMP, RAMP[:, ::-1]])
    def test_ramp_of_grays_is_gray(self, root: Path, colours: np.ndarray) -> None:
        write(root, NOISE, np.ascontiguousarray(colours))
        with opened(root) as source:
            assert source.spec.datasets[0].fields[0].components == 1
            assert (whole(source) == NOISE).all()
        assert_choices_round_trip(root, {}, None)

    def test_labels_keep_their_numbers(self, root: Path) -> None:
        write(root, BLOBS, RANDOM)
        with opened(root) as source:
            assert (whole(source) == BLOBS).all()
            assert source.spec.metadata["palette"][7] == [int(c) >> 8 for c in RANDOM[:, 7]]
        with opened(root, {"samples": "colours"}) as source:
            assert (whole(source) == (RANDOM >> 8).T[BLOBS]).all()

    def test_few_classes(self, root: Path) -> None:
        colours = np.zeros((3, 256), "u2")
        colours[:, 1:5] = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]).T * 257
        write(root, (BLOBS > 60).astype("u1") + 2, colours)
        with opened(root) as source:
            assert source.spec.datasets[0].fields[0].components == 1
            assert source.spec.metadata["palette"] == [
                [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]
            ]  # fmt: skip

    def test_classes_of_a_geotiff(self, root: Path) -> None:
        write(root, NOISE, RANDOM, extratags=[(33550, "d", 3, (1.0, 1.0, 0.0), True),
              (33922, "d", 6, (0.0, 0.0, 0.0, 5.0, 9.0, 0.0), True),
              (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True)])  # fmt: skip
        with opened(root) as source:
            assert (whole(source) == NOISE).all()

    def test_picture_becomes_colours(self, root: Path) -> None:
        write(root, NOISE, RANDOM)
        with opened(root) as source:
            assert (whole(source) == (RANDOM >> 8).T[NOISE]).all()
        with opened(root, {"samples": "indices"}) as source:
            assert (whole(source) == NOISE).all()
        assert_choices_round_trip(root, {}, None)

    def test_one_hue_becomes_colours(self, root: Path) -> None:
        """A microscope's green: nothing but red, green, blue says that it is not gray."""
        green = RAMP * np.array([[0], [1], [0]], "u2")
        write(root, BLOBS, green)
        with opened(root) as source:
            assert source.spec.datasets[0].fields[0].components == 3


def gdal(root: Path, items: str, bands: int = 3) -> None:
    values = np.arange(20 * 30 * bands, dtype="i2").reshape(20, 30, bands)
    xml = f"<GDALMetadata>{items}</GDALMetadata>"
    tifffile.imwrite(
        root / "a.tif", values if bands > 1 else values[..., 0], photometric="minisblack",
        metadata=None, extratags=[(42112, "s", 0, xml, True)],
        **({"planarconfig": "contig"} if bands > 1 else {}),
    )  # fmt: skip


def item(sample: int, role: str, value: str) -> str:
    return f'<Item name="{role.upper()}" sample="{sample}" role="{role}">{value}</Item>'


class TestGdal:
    def test_descriptions_are_names(self, root: Path) -> None:
        words = ("NDVI", "slope", "aspect")
        gdal(root, "".join(item(i, "description", w) for i, w in enumerate(words)))
        with opened(root) as source:
            assert tuple(f.name for f in source.spec.datasets[0].fields) == words

    def test_some_descriptions(self, root: Path) -> None:
        gdal(root, item(1, "description", "slope"))
        with opened(root) as source:
            names = [f.name for f in source.spec.datasets[0].fields]
            assert names == ["band 1", "slope", "band 3"]

    def test_scale_goes_with_the_field(self, root: Path) -> None:
        gdal(
            root, item(0, "scale", "0.001") + item(0, "offset", "-5") + item(0, "unittype", "m"), 1
        )
        with opened(root) as source:
            (field,) = source.spec.datasets[0].fields
            assert (field.attributes["scale_factor"], field.attributes["add_offset"]) == (0.001, -5)
            assert field.units == "m"
            assert field.dtype == np.int16
            assert any("0.001" in note for note in source.spec.notes)

    @pytest.mark.parametrize("items", ["<broken", item(9, "description", "x"), "", "<!-- -->"])
    def test_nothing_usable(self, root: Path, items: str) -> None:
        gdal(root, items)
        with opened(root) as source:
            names = [f.name for f in source.spec.datasets[0].fields]
            assert names == ["band 1", "band 2", "band 3"]
            assert not any("scale" in note for note in source.spec.notes)
