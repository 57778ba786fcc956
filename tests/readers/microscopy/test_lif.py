"""LIF files: a real one, and ones written here, as liffile reads them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import liffile
import numpy as np
import pytest

from scientistcloud.errors import ConversionError, CorruptSource, InvalidOptions
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import error_of, numbers, opened, whole

SAMPLE = "lif/LeicaLASX_wavelength-sweep_example.lif"
"""readlif's test data (Arcadia-Science/readlif, tests/artifacts)."""


def text(value: str) -> bytes:
    return struct.pack("<BI", 0x2A, len(value)) + value.encode("utf-16-le")


def part(value: bytes) -> bytes:
    return struct.pack("<II", 0x70, len(value)) + value


def dimension(kind: int, length: int, step: int, extent: float = 0, unit: str = "m") -> str:
    return (
        f'<DimensionDescription DimID="{kind}" NumberOfElements="{length}" Origin="0" '
        f'Length="{extent}" Unit="{unit}" BitInc="0" BytesInc="{step}"/>'
    )


def channel(offset: int, bits: int, tag: int = 0, lut: str = "Green", kind: int = 0) -> str:
    return (
        f'<ChannelDescription DataType="{kind}" ChannelTag="{tag}" Resolution="{bits}" Min="0" '
        f'NameOfMeasuredQuantity="" Max="1" Unit="" LUTName="{lut}" '
        f'IsLUTInverted="0" BytesInc="{offset}" BitInc="0"/>'
    )


def save(path: Path, images: dict[str, tuple[str, str, bytes]]) -> None:
    """Write images of (channels, dimensions, samples)."""
    elements, blocks = "", b""
    for i, (name, (channels, dimensions, data)) in enumerate(images.items()):
        elements += (
            f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{channels}</Channels>'
            f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{len(data)}" MemoryBlockID="MemBlock_{i}"/></Element>'
        )
        blocks += part(struct.pack("<BQ", 0x2A, len(data)) + text(f"MemBlock_{i}")) + data
    xml = (
        f'<LMSDataContainerHeader Version="2"><Element Name="project"><Memory Size="0" '
        f'MemoryBlockID="none"/><Children>{elements}</Children></Element></LMSDataContainerHeader>'
    )
    path.write_bytes(part(text(xml)) + blocks)
    with liffile.LifFile(path) as file:
        assert len(file.images) == len(images)


def make_stack(folder: Path) -> Case:
    values = numbers((2, 3, 2, 9, 13), "u2")  # T, Z, C, Y, X
    dimensions = (
        dimension(1, 13, 2, 12e-6) + dimension(2, 9, 26, 8e-6) + dimension(3, 3, 468, 4e-6)
        + dimension(4, 2, 1404, 5.0, "s")
    )  # fmt: skip
    channels = channel(0, 16, lut="Green") + channel(234, 12, lut="Red")
    save(folder / "a.lif", {"series": (channels, dimensions, values.tobytes())})
    with liffile.LifFile(folder / "a.lif") as file:
        image = file.images[0]
        theirs = image.asarray()
        order = [image.dims.index(d) for d in "CTZYX"]
        theirs = theirs.transpose(order)
    assert np.array_equal(theirs, values.transpose(2, 0, 1, 3, 4))
    return Case(folder, {"Green": np.array(theirs[0]), "Red": np.array(theirs[1])})


def make_rgb(folder: Path) -> Case:
    values = numbers((9, 13, 3), "u1")
    channels = "".join(channel(i, 8, i + 1, lut) for i, lut in enumerate(("Red", "Green", "Blue")))
    dimensions = dimension(1, 13, 3, 12e-6) + dimension(2, 9, 39, 8e-6)
    save(folder / "a.lif", {"photo": (channels, dimensions, values.tobytes())})
    return Case(folder, {"rgb": values})


def make_float(folder: Path) -> Case:
    values = numbers((9, 13), "f4")
    dimensions = dimension(1, 13, 4, 12e-6) + dimension(2, 9, 52, 8e-6)
    save(folder / "a.lif", {"flim": (channel(0, 32, kind=1), dimensions, values.tobytes())})
    return Case(folder, {"Green": values})


CASES: dict[str, Callable[[Path], Case]] = {
    "stack": make_stack,
    "rgb": make_rgb,
    "float": make_float,
}


class TestLif(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


@pytest.fixture
def sample() -> Path:
    path = Path(__file__).parents[4] / "shared/formats" / SAMPLE
    if not path.exists():
        pytest.skip("the sample is not here")
    return path


def test_a_real_file_has_the_values_and_axes_of_liffile(sample: Path) -> None:
    with liffile.LifFile(sample) as file, opened(sample) as source:
        assert len(source.spec.datasets) == len(file.images) == 3
        for number, dataset in enumerate(source.spec.datasets):
            theirs = next(i for i in file.images if i.name == dataset.metadata["image"])
            values = theirs.asarray()
            if values.ndim == 5:
                values = values.transpose(1, 0, 2, 3, 4)  # wavelengths are fields
                assert dataset.timesteps == 2
                assert dataset.times == pytest.approx(theirs.coords["T"])
            else:
                values = values[None, None]
            assert len(dataset.fields) == len(values)
            for field, each in enumerate(values):
                for step, volume in enumerate(each):
                    assert np.array_equal(whole(source, number, field, step), volume)
            for axis, letter in zip(dataset.axes[-2:], "YX", strict=True):
                steps = np.diff(theirs.coords[letter])
                assert axis.spacing == pytest.approx(steps[0])
                assert axis.units == "m"


def test_spacing_and_times_are_kept(tmp_path: Path) -> None:
    make_stack(tmp_path)
    with opened(tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert [(a.name, a.spacing) for a in dataset.axes] == [
            ("z", pytest.approx(2e-6)),
            ("y", pytest.approx(1e-6)),
            ("x", pytest.approx(1e-6)),
        ]
        assert dataset.times == (0.0, 5.0)
        assert dataset.time_units == "s"


def test_images_are_datasets_and_one_can_be_named(tmp_path: Path) -> None:
    plain = dimension(1, 13, 2, 12e-6) + dimension(2, 9, 26, 8e-6)
    first, second = numbers((9, 13), "u2"), numbers((9, 13), "u2")
    save(
        tmp_path / "a.lif",
        {
            "Series001": (channel(0, 16), plain, first.tobytes()),
            "Series002": (channel(0, 16), plain, second.tobytes()),
        },
    )
    with opened(tmp_path) as source:
        assert len(source.spec.datasets) == 2
        assert np.array_equal(whole(source, 1), second)
    with opened(tmp_path, {"image": "Series002"}) as source:
        assert len(source.spec.datasets) == 1
        assert np.array_equal(whole(source), second)
    assert isinstance(error_of(tmp_path, {"image": "Series003"}), InvalidOptions)


@pytest.mark.parametrize("keep", [5, 12, 200, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    make_stack(tmp_path)
    data = (tmp_path / "a.lif").read_bytes()
    (tmp_path / "a.lif").write_bytes(data[:keep])
    assert isinstance(error_of(tmp_path), CorruptSource)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('NumberOfElements="13"', 'NumberOfElements="93"'),
        ('NumberOfElements="13"', 'NumberOfElements="-3"'),
        ('Resolution="16"', 'Resolution="99"'),
        ('BytesInc="1404"', 'BytesInc="9404"'),
        ("MemBlock_0", "MemBlock_X"),
        ("<Channels>", "<!DOCTYPE>"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, old: str, new: str) -> None:
    make_stack(tmp_path)
    data = (tmp_path / "a.lif").read_bytes()
    assert old.encode("utf-16-le") in data
    # Of the same length, so that everything stays in its place.
    change = new.ljust(len(old)) if len(new) <= len(old) else new
    data = data.replace(old.encode("utf-16-le"), change.encode("utf-16-le"), 1)
    (tmp_path / "a.lif").write_bytes(data)
    assert isinstance(error_of(tmp_path), ConversionError)
