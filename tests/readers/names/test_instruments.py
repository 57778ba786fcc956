"""Folders as instruments leave them: what varies is an axis, whatever the order of the files."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.errors import AmbiguousFormat, ConversionError, MissingMember
from scientistcloud.readers.names.columns import find_gaps
from scientistcloud.readers.names.sequence import arrange

Point = tuple[int, int, int, int]
Writer = Callable[[int, int, int, int], str]

CHANNELS = ("Cy5", "DAPI", "GFP")
CONVENTIONS: dict[str, Writer] = {
    "Micro-Manager 1": lambda d, c, t, z: f"Pos{d}/img_{t:09}_{CHANNELS[c]}_{z:03}.tif",
    "Micro-Manager 2": lambda d, c, t, z: (
        f"img_channel{c:03}_position{d:03}_time{t:09}_z{z:03}.tif"
    ),
    "Opera Phenix": lambda d, c, t, z: f"Images/r02c03f{d:02}p{z:02}-ch{c}sk{t}fk1fl1.tiff",
    "CellVoyager": lambda d, c, t, z: (
        f"AssayPlate_Greiner_A0{d}_T{t:04}F001L01A01Z{z:02}C{c:02}.tif"
    ),
    "IN Cell": lambda d, c, t, z: f"A - 01(fld {d} wv {CHANNELS[c]} - X z {z} time {t} - 0ms).tif",
    "MetaXpress": lambda d, c, t, z: (
        f"TimePoint_{t}/ZStep_{z}/plate_B03_s{d}_w{c}0A1B2C3D-0011-2233-4455-66778899AABB.tif"
    ),
    "Leica": lambda d, c, t, z: f"Project_Series{d:03}_t{t:02}_z{z:02}_ch{c:02}.tif",
    "words": lambda d, c, t, z: f"pos{d}/time_{t}/plane_{z}_channel_{c}.tif",
}


@pytest.mark.parametrize("name", CONVENTIONS)
@given(
    sizes=st.tuples(*[st.integers(1, 3) for _ in range(4)]).filter(
        lambda sizes: sum(n > 1 for n in sizes) > 1
    ),
    seed=st.randoms(use_true_random=False),
)
@settings(deadline=None, max_examples=40)
def test_a_shuffled_grid_comes_back_whole(
    name: str, sizes: tuple[int, int, int, int], seed: random.Random
) -> None:
    write = CONVENTIONS[name]
    points = list(itertools.product(*map(range, sizes)))
    names = [write(*point) for point in points]
    shuffled = list(names)
    seed.shuffle(shuffled)
    found = arrange(shuffled)
    assert [len(found), len(found[0].fields), found[0].timesteps, found[0].depth] == list(sizes)
    assert [each for dataset in found for each in dataset.names] == names


@given(st.data())
@settings(deadline=None)
def test_the_order_of_the_files_changes_nothing(data: st.DataObject) -> None:
    words = st.sampled_from(["a", "z", "t_", "ch", "CD", "pos", "x1/", "x2/", "frame"])
    names = data.draw(
        st.lists(
            st.builds("{}{}_{}.tif".format, words, st.integers(0, 12), st.integers(0, 3)),
            min_size=1, max_size=12, unique=True,
        )
    )  # fmt: skip
    shuffled = data.draw(st.permutations(names))
    assert _outcome(names) == _outcome(shuffled)


def _outcome(names: list[str]) -> object:
    try:
        return arrange(names)
    except ConversionError as error:
        return str(error)


def _shape(names: list[str], *, deep: bool = False) -> tuple[int, int, int, int]:
    found = arrange(names, deep=deep)
    return len(found), len(found[0].fields), found[0].timesteps, found[0].depth


@pytest.mark.parametrize(
    ("names", "order"),
    [
        ("Fe_7.105eV Fe_7.112eV Fe_7.11eV Fe_7.12eV Fe_7.1eV Fe_7.2eV",
         "Fe_7.1eV Fe_7.105eV Fe_7.11eV Fe_7.112eV Fe_7.12eV Fe_7.2eV"),
        ("tilt_-2 tilt_-6 tilt_0 tilt_4", "tilt_-6 tilt_-2 tilt_0 tilt_4"),
        ("tilt-2 tilt-6 tilt0 tilt4", "tilt-6 tilt-2 tilt0 tilt4"),
        ("tilt_n02 tilt_n06 tilt_p00 tilt_p04", "tilt_n06 tilt_n02 tilt_p00 tilt_p04"),
        ("a-1 a-2 a-10", "a-1 a-2 a-10"),
    ],
)  # fmt: skip
def test_numbers_are_numbers(names: str, order: str) -> None:
    (found,) = arrange([f"{name}.tif" for name in names.split()])
    assert found.names == tuple(f"{name}.tif" for name in order.split())


def test_copies_as_windows_names_them() -> None:
    names = ["scan.tif", *(f"scan ({n}).tif" for n in range(1, 12))]
    (found,) = arrange(sorted(names))
    assert found.names == tuple(names)


@pytest.mark.parametrize(
    ("names", "deep", "shape"),
    [
        (["f_ch00.tif", "f_ch01.tif", "f_ch02.tif"], True, (1, 3, 1, 1)),
        (["f_ch00.tif", "f_ch01.tif", "f_ch02.tif"], False, (1, 3, 1, 1)),
        (["GFP.tif", "DAPI.tif"], True, (1, 2, 1, 1)),
        (["run1.tif", "run2.tif", "run3.tif"], True, (1, 1, 3, 1)),
        (["flow_time_07.tif", "flow_time_08.tif"], False, (1, 1, 2, 1)),
        (["bone_z_07.tif", "bone_z_08.tif"], False, (1, 1, 1, 2)),
        (["fov01.tif", "fov02.tif"], False, (2, 1, 1, 1)),
        ([f"scan_A1_1_00d{h:02}h00m.tif" for h in (0, 4, 8)], False, (1, 1, 3, 1)),
        ([f"s_{n:04}.tif" for n in (0, 10, 20, 30)], False, (1, 1, 1, 4)),
        (["x_1.tif", "x_2.tif", "x_3.tif", "x_macro.tif", "x_label.tif"], False, (1, 1, 1, 3)),
        (["cells.tif", "label.tif"], False, (1, 2, 1, 1)),
        (["e_0h.tif", "e_6h.tif", "e_24h.tif"], False, (1, 1, 3, 1)),
        (["488nm.tif", "561nm.tif", "640nm.tif"], False, (1, 3, 1, 1)),
        (["scan1.tif", "scan2.tif", "scan4.tif"], False, (1, 1, 1, 3)),
        (["IMG0.tif", "IMG10.tif", "IMG20.tif"], False, (1, 1, 1, 3)),
        (
            [f"{r}0{n}_s1_w{c}.tif" for r in "AB" for n in (1, 2) for c in (1, 2)],
            False,
            (4, 2, 1, 1),
        ),
        (
            [f"LC08_2020_B{b}.tif" for b in range(1, 12)] + ["LC08_2020_BQA.tif"],
            False,
            (1, 12, 1, 1),
        ),
        ([f"T32_{b}.tif" for b in ("B02", "B03", "B04", "B08", "B8A")], False, (1, 5, 1, 1)),
        (
            [
                f"cell_{w}_s{s}_t{t}.tif"
                for w in ("w1DAPI", "w2GFP")
                for s in (1, 2)
                for t in (1, 2, 3)
            ],
            False,
            (2, 2, 3, 1),
        ),
        (
            [f"{c}_B2_1_00d{h:02}h00m.tif" for c in ("Phase", "Green") for h in (0, 2, 4)],
            False,
            (1, 2, 3, 1),
        ),
        (["s_1.tif", "s_2.tif", "s_1.tiff", "s_2.tiff"], False, (1, 1, 1, 2)),
    ],
)
def test_what_the_names_say(names: list[str], deep: bool, shape: tuple[int, ...]) -> None:
    assert _shape(names, deep=deep) == shape


def test_an_image_under_two_suffixes_is_used_once_and_named() -> None:
    (found,) = arrange(["s_1.tif", "s_2.tif", "s_2.tiff", "s_3.tif"])
    assert found.names == ("s_1.tif", "s_2.tif", "s_3.tif")
    assert found.strays == ("s_2.tiff",)
    assert "s_2.tiff" in " ".join(found.notes)


@pytest.mark.parametrize(
    "names",
    [
        ["CD3.tif", "CD4.tif", "CD8.tif", "CD20.tif"],
        [f"run{r}_{i}.tif" for r in (1, 2) for i in range(3)],
        [f"scan{r}/s_{i}.tif" for r in (1, 2) for i in range(3)],
        [f"a{r}_c{c}_{i}.tif" for r in (1, 2) for c in (0, 1) for i in range(3)],
        ["t_0s.tif", "t_0.5s.tif", "t_1s.tif"],
        [f"pos{n:03}.tif" for n in range(300)],
        ["CD4.tif", "CD8.tif"],
        ["s_IL2.tif", "s_IL6.tif", "s_IL10.tif"],
        [f"x_ch{n:02}.tif" for n in range(40)],
    ],
)
def test_what_cannot_be_told_is_ambiguous_and_each_way_out_works(names: list[str]) -> None:
    with pytest.raises(AmbiguousFormat) as caught:
        arrange(names)
    ways = re.findall(r"arrangement=([\w,]+)", caught.value.remedy)
    assert len(ways) >= 2
    for way in ways:
        found = arrange(names, way)
        assert sorted(n for each in found for n in each.names) == sorted(names), way
        again = arrange(names, found[0].kind)
        assert [each.names for each in again] == [each.names for each in found], way


@pytest.mark.parametrize(
    "names", [["CD3", "CD4", "CD8", "DAPI"], ["CD3", "CD4", "CD5", "DAPI"], ["CD4", "CD8", "DAPI"]]
)
def test_no_marker_is_left_out_beside_others(names: list[str]) -> None:
    files = [f"{name}.tif" for name in names]
    with pytest.raises(AmbiguousFormat, match="DAPI"):
        arrange(files)
    (found,) = arrange(files, "fields")
    assert found.fields == tuple(names)


def test_names_of_markers_keep_their_digits() -> None:
    (found,) = arrange(["B7H3.tif", "CD4.tif", "Ki67.tif"])
    assert set(found.fields) == {"B7H3", "CD4", "Ki67"}


def test_a_hole_in_a_grid_is_an_error_that_names_it() -> None:
    names = [f"x_t{t}_z{z}.tif" for t in range(3) for z in range(4)]
    with pytest.raises(MissingMember, match="t=1, z=2"):
        arrange([name for name in names if name != "x_t1_z2.tif"])


def test_gaps_are_those_of_the_step() -> None:
    assert "7.14" in find_gaps([f"e_{n}.tif" for n in ("7.10", "7.12", "7.16", "7.18")])[0]
    assert "-2" in find_gaps([f"a_{n}.tif" for n in (-6, -4, 0, 2)])[0]
    assert not find_gaps([f"a_{n}.tif" for n in (-6, -4, -2, 0, 2)])
    assert "not alike" in find_gaps([f"a_{n}.tif" for n in (488, 561, 640)])[0]


def test_a_thousand_mixed_names_are_judged_at_once() -> None:
    names = [f"img_channel{c:03}_position{p:03}_time{t:09}_z{z:03}.tif"
             for c in range(2) for p in range(5) for t in range(10) for z in range(10)]  # fmt: skip
    started = time.process_time()
    assert len(arrange(names)) == 5
    assert time.process_time() - started < 1
