"""HDF5: written with h5py, read back value by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from scientistcloud.errors import CorruptSource
from scientistcloud.readers.base import Match
from scientistcloud.readers.hdf5 import READER
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import RNG, assert_choices_round_trip, error_of, numbers, opened

DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


def write(path: Path, arrays: Mapping[str, Any], **how: Any) -> None:
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, **how)


def main_first(fields: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """In the order of fields: the largest array, then the others as HDF5 lists them, by name."""
    main = max(sorted(fields), key=lambda name: fields[name].nbytes)
    return {main: fields[main]} | dict(sorted(fields.items()))


def _dtypes(root: Path) -> dict[str, np.ndarray]:
    fields = {f"a_{d}": numbers((5, 6, 7), d) for d in DTYPES}
    write(root / "a.h5", fields)
    return main_first(fields)


def _big_endian(root: Path) -> dict[str, np.ndarray]:
    fields = {f"a_{d}": numbers((6, 7), d) for d in ("i2", "u4", "i8", "f2", "f4", "f8")}
    write(root / "a.h5", {n: v.astype(v.dtype.newbyteorder(">")) for n, v in fields.items()})
    return main_first(fields)


def _gzip(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((33, 20, 17), "u2")}
    write(root / "a.h5", fields, chunks=(8, 7, 5), compression="gzip", shuffle=True)
    return fields


def _filters(root: Path) -> dict[str, np.ndarray]:
    fields = {}
    with h5py.File(root / "a.h5", "w") as file:
        for name, how in {
            "bitshuffle": hdf5plugin.Bitshuffle(),
            "blosc": hdf5plugin.Blosc(),
            "blosc2": hdf5plugin.Blosc2(),
            "lz4": hdf5plugin.LZ4(),
            "zstd": hdf5plugin.Zstd(),
            "bzip2": hdf5plugin.BZip2(),
        }.items():
            fields[name] = numbers((20, 11, 12), "i4")
            file.create_dataset(name, data=fields[name], chunks=(7, 11, 5), compression=how)
        fields["lzf"] = numbers((20, 11, 12), "i4")
        file.create_dataset("lzf", data=fields["lzf"], compression="lzf", fletcher32=True)
    return main_first(fields)


def _rank_1(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((100,), "f4")}
    write(root / "a.h5", fields)
    return fields


def _rank_2(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((10, 1), "f4"), "b": numbers((10, 1), "u1")}
    write(root / "a.h5", fields)
    return fields


def _rank_4(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((4, 5, 6, 7), "u1")}
    write(root / "a.h5", fields, chunks=(2, 3, 3, 7))
    return fields


def _rank_5(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((2, 3, 4, 5, 6), "i2")}
    write(root / "a.h5", fields)
    return fields


def _singles(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((1, 1, 12, 13), "i2")}
    write(root / "a.h5", fields)
    return fields


def _bool_and_enum(root: Path) -> dict[str, np.ndarray]:
    mask = RNG.integers(0, 2, (5, 6)).astype(bool)
    phase = RNG.integers(0, 3, (5, 6)).astype("i4")
    with h5py.File(root / "a.h5", "w") as file:
        file["mask"] = mask
        kind = h5py.enum_dtype({"solid": 0, "liquid": 1, "gas": 2}, basetype="i4")
        file.create_dataset("phase", data=phase, dtype=kind)
    return {"phase": phase, "mask": mask.astype("u1")}


def _compound(root: Path) -> dict[str, np.ndarray]:
    inner = np.dtype([("re", ">f4"), ("im", "<f8")])
    kind = np.dtype(
        [("t", "i2"), ("name", "S4"), ("z", inner), ("v", "f4", (3,)), ("m", "u1", (2, 3))]
    )
    values = np.zeros((9, 8), kind)
    for name in ("t",):
        values[name] = numbers((9, 8), "i2")
    values["z"]["re"] = numbers((9, 8), "f4")
    values["z"]["im"] = numbers((9, 8), "f8")
    values["v"] = numbers((9, 8, 3), "f4")
    values["m"] = numbers((9, 8, 2, 3), "u1")
    write(root / "a.h5", {"a": values}, chunks=(4, 3), compression="gzip")
    fields = {
        "t": values["t"],
        "z.re": values["z"]["re"].astype("f4"),
        "z.im": values["z"]["im"],
        "v": values["v"],
    }
    flat = values["m"].reshape(9, 8, 6)
    return fields | {f"m_{i}": flat[..., i] for i in range(6)}


def _array_type(root: Path) -> dict[str, np.ndarray]:
    values = numbers((6, 7, 3), "u2")
    with h5py.File(root / "a.h5", "w") as file:
        file.create_dataset("rgb", (6, 7), np.dtype(("<u2", (3,))))[...] = values
    return {"rgb": values}


def _colour_image(root: Path) -> dict[str, np.ndarray]:
    values = numbers((3, 9, 8), "u1")
    with h5py.File(root / "a.h5", "w") as file:
        image = file.create_dataset("image", data=values)
        image.attrs["CLASS"] = np.bytes_("IMAGE")
        image.attrs["IMAGE_SUBCLASS"] = np.bytes_("IMAGE_TRUECOLOR")
        image.attrs["INTERLACE_MODE"] = np.bytes_("INTERLACE_PLANE")
    return {"image": np.moveaxis(values, 0, -1)}


def _user_block(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((5, 6), "u1")}
    with h5py.File(root / "a.h5", "w", userblock_size=1024) as file:
        file["a"] = fields["a"]
    return fields


def _unwritten_parts(root: Path) -> dict[str, np.ndarray]:
    values = np.full((20, 20), 7, "u1")
    values[:5, :5] = 1
    with h5py.File(root / "a.h5", "w") as file:
        sparse = file.create_dataset("a", (20, 20), "u1", chunks=(5, 5), fillvalue=7)
        sparse[:5, :5] = 1
    return {"a": values}


def _virtual(root: Path) -> dict[str, np.ndarray]:
    values = numbers((3, 6, 7), "i2")
    layout = h5py.VirtualLayout((3, 6, 7), "i2")
    (root / "parts").mkdir()
    for i in range(3):
        write(root / "parts" / f"{i}.h5", {"data": values[i]}, compression="gzip")
        layout[i] = h5py.VirtualSource(f"parts/{i}.h5", "data", (6, 7))
    with h5py.File(root / "a.h5", "w") as file:
        file.create_virtual_dataset("whole", layout)
    return {"whole": values}


def _external_link(root: Path) -> dict[str, np.ndarray]:
    values = numbers((6, 7), "f4")
    (root / "raw").mkdir()
    write(root / "raw" / "b.h5", {"deep/down/data": values})
    with h5py.File(root / "raw" / "b.h5", "a") as file:
        file["again"] = h5py.SoftLink("deep/down")
    with h5py.File(root / "a.h5", "w") as file:
        # The absolute name of the machine that wrote it stands for the file of that name beside.
        file["entry"] = h5py.ExternalLink("raw/b.h5", "/again")
    return {"data": values}


def _external_storage(root: Path) -> dict[str, np.ndarray]:
    values = numbers((6, 7), "<f4")
    (root / "a.raw").write_bytes(b"skip" + values.tobytes())
    with h5py.File(root / "a.h5", "w") as file:
        file.create_dataset("a", (6, 7), "<f4", external=[("a.raw", 4, values.nbytes)])
    return {"a": values}


def _series(root: Path) -> dict[str, np.ndarray]:
    values = numbers((11, 5, 6), "u2")
    for i in range(11):
        write(root / f"scan_{i}.h5", {"entry/data": values[i]})
    return {"data": values}


CASES: tuple[Callable[[Path], dict[str, np.ndarray]], ...] = (
    _dtypes, _big_endian, _gzip, _filters, _rank_1, _rank_2, _rank_4, _rank_5, _singles,
    _bool_and_enum, _compound, _array_type, _colour_image, _user_block, _unwritten_parts,
    _virtual, _external_link, _external_storage, _series,
)  # fmt: skip


class TestHdf5(SourceContract):
    boxes = 12

    @pytest.fixture(params=CASES, ids=lambda make: make.__name__.strip("_"))
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        root = tmp_path / "upload"
        root.mkdir()
        return Case(root, request.param(root))

    def test_choices_can_be_passed_back(self, case: Case) -> None:
        assert_choices_round_trip(case.root, case.parameters, case.sensor)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


class TestMetadata:
    def test_attributes_become_json(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            image = file.create_dataset("a", data=np.ones((4, 5)))
            image.attrs["units"] = "counts"
            image.attrs["gain"] = np.float32(1.5)
            image.attrs["nan"] = np.nan
            image.attrs["raw"] = np.bytes_(b"caf\xe9")
            image.attrs["long"] = np.arange(1000)
            image.attrs["reference"] = image.ref
            image.attrs["empty"] = h5py.Empty("f4")
            file["scalar"] = 3
            file["title"] = "Sample 7"
        with opened(root) as source:
            field = source.spec.datasets[0].fields[0]
            assert field.units == "counts"
            assert field.attributes["gain"] == 1.5
            assert field.attributes["nan"] is None
            assert field.attributes["raw"] == "café"
            assert field.attributes["long"]["length"] == 1000
            values = source.spec.metadata["a.h5"]["values"]
            assert values == {"/scalar": 3, "/title": "Sample 7"}

    def test_dimension_scales_give_spacing(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            image = file.create_dataset("a", data=np.ones((4, 5)))
            file["depth"] = np.array([1.0, 3.0, 5.0, 7.0])
            file["depth"].make_scale("depth")
            file["depth"].attrs["units"] = "mm"
            image.dims[0].attach_scale(file["depth"])
            image.dims[1].label = "width"
        with opened(root) as source:
            first, second = source.spec.datasets[0].axes
            assert (first.name, first.spacing, first.origin, first.units) == ("depth", 2, 1, "mm")
            assert (second.name, second.spacing) == ("width", None)

    def test_element_size(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file.create_dataset("a", data=np.ones((4, 5, 6))).attrs["element_size_um"] = [2, 1, 0.5]
        with opened(root) as source:
            assert [a.spacing for a in source.spec.datasets[0].axes] == [2, 1, 0.5]


class TestMatch:
    def test_by_signature(self) -> None:
        mark = b"\x89HDF\r\n\x1a\n"
        assert READER.match(Path("x.bin"), mark + bytes(10)) is Match.CERTAIN
        assert READER.match(Path("x.bin"), bytes(512) + mark) is Match.CERTAIN
        assert READER.match(Path("x.h5"), b"") is Match.POSSIBLE
        assert READER.match(Path("x.bin"), bytes(8)) is Match.NO

    def test_named_like_it_only(self, root: Path) -> None:
        (root / "a.h5").write_bytes(b"no HDF5 at all" * 100)
        assert isinstance(error_of(root), CorruptSource)


def test_chunk_memory_is_told(root: Path) -> None:
    """The planner is told of decoded chunks, so that large ones do not surprise it."""
    with h5py.File(root / "a.h5", "w") as file:
        made = file.create_dataset(
            "a", (4, 2048, 2048), "u2", chunks=(1, 2048, 2048), **hdf5plugin.LZ4()
        )
        made[0] = 1
    with opened(root) as source:
        field = source.spec.datasets[0].fields[0]
        assert field.chunks == (1, 2048, 2048)
        assert field.working_bytes >= 2 * math.prod(field.chunks) * 2
