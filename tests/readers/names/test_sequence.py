"""What names of files say: pure rules, without any file."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scientistcloud.errors import AmbiguousFormat, ConversionError, InvalidOptions, MissingMember
from scientistcloud.readers.names.columns import find_gaps
from scientistcloud.readers.names.natural import stem
from scientistcloud.readers.names.sequence import KINDS, arrange
from scientistcloud.readers.planes.mosaic import lay_out, parse_tile


def shape(names: list[str], wanted: object = None) -> tuple[int, int, int]:
    (arranged,) = arrange(names, wanted)
    return (len(arranged.fields), arranged.timesteps, arranged.depth)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.tif"], (1, 1, 1)),
        ([f"scan{i}.tif" for i in range(12)], (1, 1, 12)),
        ([f"2024-01-02_{i:04}.tif" for i in range(5)], (1, 1, 5)),
        ([f"t{i:03}.tif" for i in range(5)], (1, 5, 1)),
        ([f"c{i:04}.tif" for i in range(300)], (1, 1, 300)),
        ([f"cell_ch{i:02}.tif" for i in range(3)], (3, 1, 1)),
        ([f"C{i}-cell.tif" for i in range(3)], (3, 1, 1)),
        ([f"x_z{z}_ch{c}.tif" for z in range(4) for c in range(2)], (2, 1, 4)),
        ([f"x_t{t}_z{z}.tif" for z in range(4) for t in range(3)], (1, 3, 4)),
        ([f"T{t}_C{c}_Z{z}.tif" for z in range(4) for t in range(3) for c in range(2)], (2, 3, 4)),
        (["actin.tif", "mito.tif", "nuclei.tif"], (3, 1, 1)),
        ([f"{c}_{i}.tif" for c in ("red", "green") for i in range(4)], (2, 1, 4)),
        ([f"{c}/{i}.tif" for c in ("red", "green") for i in range(4)], (2, 1, 4)),
        ([f"s{i}.tif" for i in range(9)] + ["overview.tif"], (1, 1, 9)),
        ([f"img_{t:09}_{c}_{z:03}.tif" for t in range(2) for c in ("Cy3", "UV") for z in range(5)],
         (2, 2, 5)),
        ([f"img_{t:09}_Default_{z:03}.tif" for t in range(2) for z in range(5)], (1, 2, 5)),
    ],
)  # fmt: skip
def test_rules(names: list[str], expected: tuple[int, int, int]) -> None:
    assert shape(names) == expected
    assert arrange(names)[0].rule


def test_order_of_a_grid() -> None:
    names = [f"z{z}_ch{c}.tif" for z in (2, 10) for c in (0, 1)]
    (arranged,) = arrange(names)
    assert arranged.names == ("z2_ch0.tif", "z10_ch0.tif", "z2_ch1.tif", "z10_ch1.tif")
    assert arranged.fields == ("channel 0", "channel 1")


def test_channels_of_micro_manager_keep_their_names() -> None:
    names = [f"img_000000000_{c}_{z:03}.tif" for c in ("Cy3", "FITC") for z in range(2)]
    assert arrange(names)[0].fields == ("Cy3", "FITC")


def test_a_hole_in_a_huge_grid_is_found_at_once() -> None:
    names = [f"z{i}_t{i}.tif" for i in range(3000)]
    started = time.process_time()
    with pytest.raises(MissingMember, match="3000 x 3000"):
        arrange(names)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "names",
    [["a1.tif", "a2.tif", "b1.tif", "c1.tif"], ["a1.tif", "a2.tif", "a3.tif", "b1.tif", "b2.tif"]],
)
def test_wordings_of_unlike_number_are_ambiguous(names: list[str]) -> None:
    with pytest.raises(AmbiguousFormat) as caught:
        arrange(names)
    assert "arrangement" in caught.value.remedy
    assert shape(names, "depth") == (1, 1, len(names))


@pytest.mark.parametrize("wanted", ["nonsense", 3, ["depth"], "labels", "words"])
def test_wanted_arrangement_must_fit(wanted: object) -> None:
    with pytest.raises(InvalidOptions, match="arrangement"):
        arrange(["a1.tif", "a2.tif", "b1.tif"], wanted)


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [([1, 2, 3, 5, 6], "4"), ([1, 2, 3, 7, 8], "4 to 6"), ([10, 20, 30, 50], "40"), ([1, 2, 3], ""),
     ([2, 4, 6], "")],
)  # fmt: skip
def test_gaps(numbers: list[int], missing: str) -> None:
    found = find_gaps([f"s{n}.tif" for n in numbers])
    assert (f"number {missing} missing" in found[0]) if missing else not found


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.tif", "a"), ("d/a.ome.tif", "d/a"), ("RGB.byte.tif", "RGB.byte"), ("s.001", "s.001"),
     ("noext", "noext")],
)  # fmt: skip
def test_stem(name: str, expected: str) -> None:
    assert stem(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("case_1_3_4.tif", ("case_1", 3, 4)), ("d/p_0_12_out.tif", ("p", 0, 12)), ("a_1.tif", None),
     ("_1_2.tif", None), ("p_1_1234567.tif", None)],
)  # fmt: skip
def test_tile_names(name: str, expected: tuple[str, int, int] | None) -> None:
    tile = parse_tile(name)
    assert (tile and (tile.panel, tile.col, tile.row)) == expected


def test_tiles_counted_from_one() -> None:
    sizes = {f"p_{c}_{r}.tif": (10, 20) for c in (1, 2) for r in (1, 2, 3)}
    (mosaic,) = lay_out(sizes)
    assert (mosaic.height, mosaic.width, mosaic.missing) == (30, 40, ())


def test_tiles_far_apart_are_no_mosaic() -> None:
    with pytest.raises(AmbiguousFormat):
        lay_out({"p_0_0.tif": (10, 20), "p_99999_99999.tif": (10, 20)})


@given(
    st.lists(
        st.builds(
            "{}{}_{}{}.tif".format,
            st.sampled_from(["a", "b", "z", "t", "ch", "img_"]),
            st.integers(0, 12),
            st.sampled_from(["", "c", "z", "x_"]),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=14,
        unique=True,
    ),
    st.sampled_from([None, *KINDS]),
)
@settings(deadline=None)
def test_every_image_has_one_place(names: list[str], wanted: str | None) -> None:
    try:
        found = arrange(names, wanted)
    except ConversionError:
        return
    for each in found:
        placed = math.prod((len(each.fields), each.timesteps, each.depth))
        assert placed == len(each.names)
        assert len(set(each.fields)) == len(each.fields)
    used = [name for each in found for name in each.names + each.strays]
    assert sorted(used) == sorted(names)
