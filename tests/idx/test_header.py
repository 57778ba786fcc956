"""Headers of OpenVisus's making and of others are understood; damaged and hostile ones refused."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import OpenVisus as ov  # noqa: N813
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    UnsafeSource,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.idx.headers.header import (
    HZ_ORDER,
    ROW_MAJOR,
    IdxField,
    IdxHeader,
    format_header,
    load_header,
    parse_header,
)

TEXT = """(version)
6
(box)
0 99 0 49 0 19
(axis)
X Y Z
(physic_box)
0 10 5 6 -1.5 1e3
(fields)
a uint16 default_compression(zip) default_layout() default_value(0) min(1) max(65535)
+ rgb uint8[3] default_layout() default_value(0) min(0 1 2) max(9)
(bits)
V0101201201201201201
(bitsperblock)
12
(blocksperfile)
8
(interleave block)
0
(time)
0 3 time_%04d/
(filename_template)
./visus/%04x.bin
(missing_blocks)
0
(arco)
0
(instrument)
a CT
"""


def changed(key: str, value: str) -> str:
    """`TEXT` with another value for `key`; without the key for an empty one."""
    head, rest = TEXT.split(f"({key})\n")
    _, _, tail = rest.partition("\n(")
    return head + (f"({key})\n{value}\n" if value else "") + "(" + tail


def test_every_part_is_read() -> None:
    header = parse_header(TEXT)
    assert header.box == Box((0, 0, 0), (20, 50, 100))
    assert header.axis_names == ("Z", "Y", "X")
    assert header.physic_box == ((-1.5, 1000.0), (5.0, 6.0), (0.0, 10.0))
    assert [f.name for f in header.fields] == ["a", "rgb"]
    assert header.fields[0].dtype == np.uint16
    assert header.fields[0].compression == "zip"
    assert (header.fields[0].minimum, header.fields[0].maximum) == ((1,), (65535,))
    assert header.fields[1].components == 3
    assert (header.fields[1].minimum, header.fields[1].maximum) == ((0, 1, 2), (9, 9, 9))
    assert (header.bits_per_block, header.blocks_per_file, header.arco) == (12, 8, 0)
    assert header.time_ranges == (range(0, 4),)
    assert header.metadata == {"instrument": "a CT"}
    assert header.block_count == 128


def test_what_is_written_is_read_again() -> None:
    header = parse_header(TEXT)
    assert parse_header(format_header(header)) == header


def test_openvisus_reads_what_is_written(tmp_path: Path) -> None:
    header = parse_header(TEXT)
    (tmp_path / "visus.idx").write_text(format_header(header))
    dataset = ov.LoadDataset(str(tmp_path / "visus.idx"))
    assert list(dataset.getLogicSize()) == [100, 50, 20]
    assert dataset.getFields() == ["a", "rgb"]
    assert dataset.getTimesteps() == [0, 1, 2, 3]
    body = dataset.getDatasetBody().toString()
    assert '<physic_box value="0 10 5 6 -1.5 1000" />' in body
    assert '<axis value="X Y Z" />' in body


def test_xml_means_what_openvisus_takes_it_for(tmp_path: Path) -> None:
    path = tmp_path / "visus.idx"
    path.write_text(TEXT.replace("(instrument)\na CT\n", ""))
    dataset = ov.LoadDataset(str(path))
    body = dataset.getDatasetBody()
    text = body.toString()
    assert "<idxfile>" in text
    path.write_text(text)
    assert ov.LoadDataset(str(path)).getTimesteps() == [0, 1, 2, 3]
    header, expected = load_header(path), parse_header(TEXT)
    assert header.box == expected.box
    assert header.physic_box == expected.physic_box
    assert header.axis_names == expected.axis_names
    assert [(f.name, f.dtype, f.components, f.compression) for f in header.fields] == [
        (f.name, f.dtype, f.components, f.compression) for f in expected.fields
    ]
    assert header.time_ranges == expected.time_ranges
    assert header.filename_template == expected.filename_template
    with pytest.raises(UnsafeSource):
        parse_header(text.replace("./visus/", "./../"))
    with pytest.raises(CorruptSource):
        parse_header(text.replace("</dataset>", ""))
    with pytest.raises(CorruptSource):
        parse_header("<dataset typename='GoogleMapsDataset'/>")
    with pytest.raises(CorruptSource):
        parse_header("<!DOCTYPE d [<!ENTITY a 'b'>]>" + text)


def test_a_descending_physic_box_is_not_written() -> None:
    header = parse_header(changed("physic_box", "0 10 6 5 0 1"))
    assert header.physic_box == ((0.0, 1.0), (6.0, 5.0), (0.0, 10.0))
    assert "physic_box" not in format_header(header)


@pytest.mark.parametrize("name", ["ov_cat/gray", "ov_cat/rgb", "ov_gauss_header"])
def test_real_headers(samples: Path, name: str) -> None:
    path = samples / "idx" / f"{name}.idx"
    header = load_header(path)
    dataset = ov.LoadDataset(str(path))
    assert list(reversed(header.shape)) == list(dataset.getLogicSize())
    assert [f.name for f in header.fields] == dataset.getFields()
    assert header.max_resolution == dataset.getMaxResolution()
    layout = HZ_ORDER if name.startswith("ov_cat") else ROW_MAJOR
    assert {f.layout for f in header.fields} == {layout}


@pytest.mark.parametrize(
    ("line", "compression", "layout"),
    [
        ("a float64", "", ROW_MAJOR),
        ("a float64 format(0)", "", HZ_ORDER),
        ("a float64 format(1)", "", ROW_MAJOR),
        ("a float64 default_layout(hzorder)", "", HZ_ORDER),
        ("a float64 default_layout(rowmajor)", "", ROW_MAJOR),
        ("a float64 compressed", "zip", ROW_MAJOR),
        ("a float64 compressed(lz4)", "lz4", ROW_MAJOR),
        ("a float64 compression(zip) default_layout(0)", "zip", HZ_ORDER),
        ("a float64 default_compression(lz4) default_value(0)", "lz4", ROW_MAJOR),
    ],
)
def test_old_spellings_of_fields_mean_what_openvisus_takes_them_for(
    tmp_path: Path, line: str, compression: str, layout: str
) -> None:
    text = changed("fields", line)
    field = parse_header(text).fields[0]
    (tmp_path / "old.idx").write_text(text)
    theirs = ov.LoadDataset(str(tmp_path / "old.idx")).getField("a")
    assert (field.compression, field.layout) == (compression, layout)
    assert (theirs.default_compression, theirs.default_layout) == (compression, layout)


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0 3 time_%04d/", [0, 1, 2, 3]),
        ("5 7 time%0000d/", [5, 6, 7]),
        ("time%d/ (0,4,2) (10,12,1)", [0, 2, 4, 10, 11, 12]),
        ("t%02d/ (3) (7,8)", [3, 7, 8]),
    ],
)
def test_forms_of_time_mean_what_openvisus_takes_them_for(
    tmp_path: Path, text: str, times: list[int]
) -> None:
    header = parse_header(changed("time", text))
    assert [header.time_value(t) for t in range(header.timesteps)] == times
    (tmp_path / "time.idx").write_text(changed("time", text))
    assert ov.LoadDataset(str(tmp_path / "time.idx")).getTimesteps() == times
    assert parse_header(format_header(header)).time_ranges == header.time_ranges
    with pytest.raises(IndexError):
        header.time_value(len(times))


def test_missing_parts_get_their_defaults() -> None:
    text = TEXT
    for key in ("time", "filename_template", "arco", "interleave block", "axis", "physic_box"):
        text = text.replace(
            TEXT[TEXT.index(f"({key})") : TEXT.index("\n(", TEXT.index(f"({key})")) + 1], ""
        )
    header = parse_header(text.replace("(bitsperblock)\n12\n", ""), name="gauss")
    assert header.filename_template == "./gauss/%04x.bin"
    assert (header.timesteps, header.time_template, header.arco) == (1, "", 0)
    assert header.bits_per_block == 16
    assert (header.axis_names, header.physic_box) == ((), ())


def test_comments_blank_lines_and_windows_ends_do_not_matter() -> None:
    text = "\ufeff# made by hand\r\n\r\n" + TEXT.replace("\n", " \r\n")
    assert parse_header(text) == parse_header(TEXT)


REFUSED = [
    (changed("version", "5"), UnsupportedLayout),
    (changed("version", "six"), CorruptSource),
    (changed("bits", ""), CorruptSource),
    (changed("bits", "V"), CorruptSource),
    (changed("bits", "V012x"), CorruptSource),
    (changed("bits", "V" + "0" * 100), UnsupportedLayout),
    (changed("box", "0 99 0 49"), CorruptSource),
    (changed("box", "0 999 0 49 0 19"), CorruptSource),
    (changed("box", "5 4 0 49 0 19"), CorruptSource),
    (changed("box", "-5 4 0 49 0 19"), CorruptSource),
    (changed("box", "0 9e9 0 49 0 19"), CorruptSource),
    (changed("fields", "a"), CorruptSource),
    (changed("fields", "a bool"), UnsupportedDtype),
    (changed("fields", "a uint\x116"), UnsupportedDtype),
    (changed("fields", "a uint8[999999]"), UnsupportedDtype),
    (changed("fields", "a uint8\n+ a uint8"), CorruptSource),
    (changed("fields", "../a uint8"), UnsafeSource),
    (changed("bitsperblock", "-3"), CorruptSource),
    (changed("blocksperfile", "1" * 5000), CorruptSource),
    (changed("time", "0 1e300 t%d/"), CorruptSource),
    (changed("time", "0 nan t%d/"), CorruptSource),
    (changed("time", "9 3 t%d/"), CorruptSource),
    (changed("time", "* * t%d/"), UnsupportedLayout),
    (changed("time", "0 3 t%d%d/"), CorruptSource),
    (changed("time", "0 3 t%s/"), CorruptSource),
    (changed("time", "0 3 ../%d/"), UnsafeSource),
    (changed("filename_template", "/etc/%04x.bin"), UnsafeSource),
    (changed("filename_template", "./../%04x.bin"), UnsafeSource),
    (changed("filename_template", "./a/..%04x/../b.bin"), UnsafeSource),
    (changed("filename_template", "C:\\data\\%04x.bin"), UnsafeSource),
    (changed("filename_template", "$(CurrentFileDirectory)/../%04x.bin"), UnsafeSource),
    (changed("filename_template", "./a/%n%04x.bin"), CorruptSource),
    (changed("filename_template", "./a/%99999999d.bin"), CorruptSource),
    ("", CorruptSource),
    ("PNG or so", CorruptSource),
    ('<dataset typename="IdxMultipleDataset"/>', CorruptSource),
]


@pytest.mark.parametrize(("text", "error"), REFUSED)
def test_what_cannot_be_used_is_refused(text: str, error: type[ConversionError]) -> None:
    with pytest.raises(error) as caught:
        parse_header(text)
    assert caught.value.message.isprintable()


def test_huge_numbers_cost_nothing() -> None:
    started = time.process_time()
    header = parse_header(changed("time", "0 1000000000 t%d/"))
    assert header.timesteps == 1_000_000_001
    assert header.time_value(1_000_000_000) == 1_000_000_000
    for text in (
        changed("bits", "V" + "012" * 300_000),
        changed("box", "0 " + "9" * 900_000),
        changed("fields", "a uint8 " + "(" * 900_000),
        changed("fields", " + ".join(f"f{i} uint8" for i in range(50_000))),
        changed("time", "t%d/ " + "(1," * 300_000),
        changed("filename_template", "%04x" * 200_000),
        "(" * 1_000_000,
    ):
        assert len(complaint(text)) < 300
    assert time.process_time() - started < 5


def complaint(text: str) -> str:
    try:
        parse_header(text)
    except ConversionError as error:
        return error.message
    return ""


def test_a_long_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.idx"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(CorruptSource, match="too long"):
        load_header(path)


@settings(max_examples=300, deadline=None)
@given(
    st.text(alphabet="()V012 \n%x./abdfn+,[]*#-e{}i~_\\\0é²", max_size=200),
    st.integers(0, len(TEXT)),
)
@example("%04x", TEXT.index("./visus") + 3)
def test_damage_raises_only_our_errors(piece: str, at: int) -> None:
    for text in (TEXT[:at] + piece + TEXT[at:], TEXT[:at] + piece + TEXT[at + len(piece) :], piece):
        try:
            header = parse_header(text)
        except ConversionError:
            continue
        assert ".." not in Path(header.filename_template).parts
        assert parse_header(format_header(header)).box == header.box


names = st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True).filter(
    lambda name: name not in (".", "..")
)


@settings(deadline=None)
@given(
    st.lists(names, min_size=1, max_size=5, unique=True),
    st.sampled_from(["u1", "i2", "u4", "i8", "u8", "f2", "f4", "f8"]),
    st.integers(1, 4),
    st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_field_survives(names: list[str], code: str, components: int, low: float) -> None:
    fields = tuple(
        IdxField(
            name, np.dtype(code), components, "lz4", "", 0, (low,) * components, (3,) * components
        )
        for name in names
    )
    header = IdxHeader(Box((0,), (5,)), fields, "V000", 3, 1, "./v/%04x.bin")
    assert parse_header(format_header(header)) == header
