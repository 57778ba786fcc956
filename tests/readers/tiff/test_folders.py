"""What several TIFF files in a folder are to each other."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    AmbiguousFormat,
    CorruptSource,
    InvalidOptions,
    MissingMember,
    UnlikeSlices,
)
from scientistcloud.grid import Box
from tests.readers.contract import read_box
from tests.readers.tiff.test_samples import whole
from tests.readers.tiff.test_tiff import noise, write_stack


@pytest.fixture
def up(tmp_path: Path) -> Path:
    folder = tmp_path / "up"
    folder.mkdir()
    return folder


def write(
    folder: Path, names: str, shape: tuple[int, ...] = (20, 30), dtype: str = "u2"
) -> dict[str, np.ndarray]:
    """A TIFF for each of `names` (separated by spaces), with values of its own."""
    values = {}
    for seed, name in enumerate(names.split()):
        values[name] = noise(shape, dtype, seed)
        path = folder / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, values[name], photometric="minisblack")
    return values


def test_natural_order_not_that_of_the_alphabet(up: Path, tmp_path: Path) -> None:
    values = noise((25, 8, 9), "u2")
    write_stack(up, values)
    with open_source(up, "TIFF", {}, tmp_path) as source:
        assert np.array_equal(whole(source), values)
        assert [p.name for p in source.spec.inputs] == [f"slice_{i}.tif" for i in range(25)]


def test_folder_by_folder(up: Path, tmp_path: Path) -> None:
    """Numbers that go on from folder to folder are one stack."""
    order = ["part2/s1", "part2/s2", "part10/s3", "part10/s4"]
    values = write(up, " ".join(order))
    with open_source(up, "TIFF", {}, tmp_path) as source:
        assert np.array_equal(whole(source), np.stack([values[name] for name in order]))


def test_folders_with_the_same_names_are_never_one_stack(up: Path, tmp_path: Path) -> None:
    """What they are is not told here; each way out that is offered works."""
    values = write(up, "part2/s1 part2/s2 part10/s1 part10/s2")
    with pytest.raises(AmbiguousFormat) as caught:
        open_source(up, "TIFF", {}, tmp_path)
    ways = re.findall(r"arrangement=([\w,]+)", caught.value.remedy)
    assert {"time,depth", "fields,depth", "datasets,depth", "depth"} <= set(ways)
    for way in ways:
        with open_source(up, "TIFF", {"arrangement": way}, tmp_path) as source:
            spec = source.spec
            held = sum(
                d.timesteps * len(d.fields) * (d.shape[0] if len(d.shape) == 3 else 1)
                for d in spec.datasets
            )
            assert held == 4, way
    with open_source(up, "TIFF", {"arrangement": "time,depth"}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        found = read_box(source, dataset.fields[0], 1, Box.of_shape(dataset.shape))
        assert np.array_equal(found, np.stack([values["part10/s1"], values["part10/s2"]]))


@pytest.mark.parametrize(
    ("names", "timesteps", "fields", "depth"),
    [
        ("TL00/s_000 TL00/s_001 TL01/s_000 TL01/s_001 TL02/s_000 TL02/s_001", 3, 1, 2),
        ("DAPI/z000 DAPI/z001 DAPI/z002 GFP/z000 GFP/z001 GFP/z002", 1, 2, 3),
        ("run_time_07 run_time_08 run_time_09", 3, 1, 1),
        ("bone_z_07 bone_z_08 bone_z_09", 1, 1, 3),
    ],
)
def test_words_before_numbers(
    names: str, timesteps: int, fields: int, depth: int, up: Path, tmp_path: Path
) -> None:
    write(up, names)
    with open_source(up, None, {}, tmp_path) as source:
        (dataset,) = source.spec.datasets
        found = dataset.shape[0] if len(dataset.shape) == 3 else 1
        assert (dataset.timesteps, len(dataset.fields), found) == (timesteps, fields, depth)


def test_positions_are_datasets(up: Path, tmp_path: Path) -> None:
    names = [f"img_channel{c:03}_position{p:03}_time000000000_z{z:03}"
             for c in range(2) for p in range(2) for z in range(3)]  # fmt: skip
    values = write(up, " ".join(names))
    with open_source(up, None, {}, tmp_path) as source:
        first, second = source.spec.datasets
        assert (first.name, second.name) == ("", "position_001")
        assert (first.shape[0], len(first.fields)) == (3, 2)
        found = read_box(source, second.fields[1], 0, Box.of_shape(second.shape))
        order = [f"img_channel001_position001_time000000000_z{z:03}" for z in range(3)]
        assert np.array_equal(found, np.stack([values[name] for name in order]))


def test_gaps_are_closed_up_and_noted(up: Path, tmp_path: Path) -> None:
    values = write(up, "s1 s2 s3 s6 s7 s9")
    with open_source(up, None, {}, tmp_path) as source:
        assert np.array_equal(whole(source), np.stack(list(values.values())))
        assert any("4 to 5, 8" in note for note in source.spec.notes)


def test_every_second_slice_is_no_gap(up: Path, tmp_path: Path) -> None:
    write(up, "s2 s4 s6 s8")
    with open_source(up, None, {}, tmp_path) as source:
        assert not source.spec.notes


def test_labelled_numbers(up: Path, tmp_path: Path) -> None:
    names = [f"t{t}_z{z}_ch{c}" for t in range(2) for z in range(3) for c in range(2)]
    values = write(up, " ".join(names))
    with open_source(up, None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert (dataset.timesteps, dataset.shape) == (2, (3, 20, 30))
        assert [f.name for f in dataset.fields] == ["channel 0", "channel 1"]
        for t in range(2):
            for c, field in enumerate(dataset.fields):
                found = read_box(source, field, t, Box.of_shape(dataset.shape))
                expected = np.stack([values[f"t{t}_z{z}_ch{c}"] for z in range(3)])
                assert np.array_equal(found, expected)


def test_labelled_numbers_with_a_hole(up: Path, tmp_path: Path) -> None:
    write(up, "z0_ch0 z0_ch1 z1_ch0")
    with pytest.raises(MissingMember, match="c=1, z=1"):
        open_source(up, None, {}, tmp_path)


def test_channels_of_stacks(up: Path, tmp_path: Path) -> None:
    values = write(up, "actin_1 actin_2 actin_10 mito_1 mito_2 mito_10")
    with open_source(up, None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert [f.name for f in dataset.fields] == ["actin", "mito"]
        expected = np.stack([values[f"mito_{i}"] for i in (1, 2, 10)])
        assert np.array_equal(whole(source, 1), expected)


def test_channels_may_differ_in_type(up: Path, tmp_path: Path) -> None:
    write(up, "height", dtype="f4")
    write(up, "label", dtype="u1")
    with open_source(up, None, {}, tmp_path) as source:
        fields = source.spec.datasets[0].fields
        assert [(f.name, f.dtype) for f in fields] == [("height", "f4"), ("label", "u1")]


def test_unrelated_images(up: Path, tmp_path: Path) -> None:
    write(up, "map", (20, 30))
    values = write(up, "profile", (21, 30))
    with pytest.raises(AmbiguousFormat, match=r"map\.tif.*profile\.tif") as caught:
        open_source(up, None, {}, tmp_path)
    assert "files=" in caught.value.remedy
    with open_source(up, None, {"files": "profile.tif"}, tmp_path) as source:
        assert np.array_equal(whole(source), values["profile"])


@pytest.mark.parametrize(("shape", "dtype"), [((20, 31), "u2"), ((20, 30), "u1"), ((20, 30), "i2")])
def test_unlike_slices_name_the_odd_file(
    shape: tuple[int, int], dtype: str, up: Path, tmp_path: Path
) -> None:
    write(up, "s0 s1 s3 s4")
    write(up, "s2", shape, dtype)
    with pytest.raises(UnlikeSlices, match=r"^s2\.tif is"):
        open_source(up, None, {}, tmp_path)


def test_strays_are_left_out_and_noted(up: Path, tmp_path: Path) -> None:
    values = write(up, "s1 s2 s3 s4 s5 average")
    values.pop("average")
    (up / "notes.txt").write_text("about")
    (up / "empty.dat").touch()
    with open_source(up, None, {}, tmp_path) as source:
        assert np.array_equal(whole(source), np.stack(list(values.values())))
        notes = " ".join(source.spec.notes)
    assert "average.tif" in notes
    assert "notes.txt" in notes
    assert "empty.dat" in notes


def test_an_empty_member_of_a_series_is_an_error(up: Path, tmp_path: Path) -> None:
    write(up, "s1 s2 s3 s4 s5")
    (up / "s6.tif").touch()
    with pytest.raises(CorruptSource, match=r"1 of the 6 files are empty \(0 bytes\): s6\.tif"):
        open_source(up, None, {}, tmp_path)


def test_overviews_beside_a_file_are_left_out(up: Path, tmp_path: Path) -> None:
    values = write(up, "dem", (20, 30))
    write(up, "small", (10, 15))
    (up / "small.tif").rename(up / "dem.tif.ovr")
    with open_source(up, None, {}, tmp_path) as source:
        assert np.array_equal(whole(source), values["dem"])
        assert "dem.tif.ovr" in " ".join(source.spec.notes)


def test_multi_page_files_are_timesteps(up: Path, tmp_path: Path) -> None:
    values = write(up, "run1 run2 run10", (4, 20, 30))
    with open_source(up, "TIFF", {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert (dataset.timesteps, dataset.shape) == (3, (4, 20, 30))
        for t, name in enumerate(["run1", "run2", "run10"]):
            found = read_box(source, dataset.fields[0], t, Box.of_shape(dataset.shape))
            assert np.array_equal(found, values[name])


@pytest.mark.parametrize(
    ("arrangement", "timesteps", "fields", "depth"),
    [("depth", 1, 1, 12), ("fields", 1, 3, 4), ("time", 3, 1, 4)],
)
def test_multi_page_files_as_wanted(
    arrangement: str, timesteps: int, fields: int, depth: int, up: Path, tmp_path: Path
) -> None:
    values = write(up, "run1 run2 run3", (4, 20, 30))
    with open_source(up, "TIFF", {"arrangement": arrangement}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert (dataset.timesteps, len(dataset.fields), dataset.shape[0]) == (
            timesteps,
            fields,
            depth,
        )
        if arrangement == "depth":
            assert np.array_equal(whole(source), np.concatenate(list(values.values())))


def test_unlike_numbers_of_pages(up: Path, tmp_path: Path) -> None:
    write(up, "run1 run2", (4, 20, 30))
    write(up, "run3", (5, 20, 30))
    with pytest.raises(UnlikeSlices, match=r"run3\.tif has 5 pages"):
        open_source(up, None, {}, tmp_path)


def test_single_and_multi_page_files_are_ambiguous(up: Path, tmp_path: Path) -> None:
    write(up, "a1 a2 a3")
    write(up, "a4", (3, 20, 30))
    with pytest.raises(AmbiguousFormat, match=r"a1\.tif.*a4\.tif"):
        open_source(up, "TIFF", {}, tmp_path)


def test_garbage_slice_is_named(up: Path, tmp_path: Path) -> None:
    write(up, "deep/s1 deep/s2 deep/s3")
    (up / "deep" / "s4.tif").write_bytes(b"no TIFF at all, but some text")
    with pytest.raises(CorruptSource, match=r"deep/s4\.tif"):
        open_source(up, None, {}, tmp_path)


@pytest.mark.parametrize("parameters", [{"files": "x*"}, {"arrangement": "sideways"}, {"axes": 3}])
def test_parameters_that_do_not_fit(
    parameters: dict[str, object], up: Path, tmp_path: Path
) -> None:
    write(up, "s1 s2")
    with pytest.raises(InvalidOptions, match=next(iter(parameters))):
        open_source(up, None, parameters, tmp_path)


def test_choices_can_be_passed_back(up: Path, tmp_path: Path) -> None:
    write(up, "actin_1 actin_2 mito_1 mito_2", (3, 20, 30))
    with open_source(up, None, {}, tmp_path) as source:
        first = source.spec
    parameters = {c.parameter: c.chosen for c in first.choices}
    assert parameters
    with open_source(up, None, parameters, tmp_path) as source:
        assert source.spec.datasets == first.datasets


def test_rgb_is_flipped_so_that_y_points_up(tmp_path: Path) -> None:
    values = noise((40, 50, 3), "u1")
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, values, photometric="rgb", compression="lzw", rowsperstrip=7)
    for sensor in ("TIFF RGB", "tiff_rgb", "TIFFRGB"):
        with open_source(path, sensor, {}, tmp_path) as source:
            assert np.array_equal(whole(source), values[::-1])
            field = source.spec.datasets[0].fields[0]
            box = Box((3, 5), (17, 21))
            assert np.array_equal(read_box(source, field, 0, box), values[::-1][box.slices])
    with open_source(path, "TIFF", {}, tmp_path) as source:
        assert np.array_equal(whole(source), values)


@pytest.mark.parametrize("suffix", ["", "_out"])
def test_mosaic_of_tiles(suffix: str, up: Path, tmp_path: Path) -> None:
    """Its size is that of the tiles; those at the right and at the bottom are smaller."""
    mosaic = noise((50, 70, 3), "u1")
    for col, x in enumerate(range(0, 70, 8)):
        for row, y in enumerate(range(0, 50, 24)):
            path = up / f"case7_panel2_{col}_{row}{suffix}.tif"
            tifffile.imwrite(path, mosaic[y : y + 24, x : x + 8], photometric="rgb")
    with open_source(up, "TIFF RGB", {}, tmp_path) as source:
        assert np.array_equal(whole(source), mosaic[::-1])
        field = source.spec.datasets[0].fields[0]
        box = Box((20, 30), (33, 59))
        assert np.array_equal(read_box(source, field, 0, box), mosaic[::-1][box.slices])
    with open_source(up, "TIFF", {"arrangement": "mosaic"}, tmp_path) as source:
        assert np.array_equal(whole(source), mosaic)
    (up / f"case7_panel2_1_1{suffix}.tif").unlink()
    mosaic[24:48, 8:16] = 0
    with open_source(up, "TIFF RGB", {}, tmp_path) as source:
        assert np.array_equal(whole(source), mosaic[::-1])
        assert any("case7_panel2_1_1" in note for note in source.spec.notes)


def test_tiles_that_do_not_fit(up: Path, tmp_path: Path) -> None:
    write(up, "p_0_0 p_1_0 p_0_1", (20, 30), "u1")
    write(up, "p_1_1", (20, 31), "u1")
    with pytest.raises(UnlikeSlices, match=r"p_1_1\.tif is 31 pixels wide"):
        open_source(up, "TIFF RGB", {}, tmp_path)


def test_two_panels_are_two_outputs(up: Path, tmp_path: Path) -> None:
    values = write(up, "a_0_0 a_1_0 b_0_0", (20, 30), "u1")
    with open_source(up, "TIFF RGB", {}, tmp_path) as source:
        assert [d.name for d in source.spec.datasets] == ["", "b"]
        second = source.spec.datasets[1]
        found = read_box(source, second.fields[0], 0, Box.of_shape(second.shape))
    assert np.array_equal(found, values["b_0_0"][::-1])
