"""HDF5: written with h5py, read back value by value; links that lead out, damage, choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    InvalidOptions,
    MissingMember,
    UnsafeLink,
    UnsupportedDtype,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.readers.base import Match
from scientistcloud.readers.hdf5 import READER
from tests.readers.contract import Case, SourceContract, read_box, same

RNG = np.random.default_rng(4)
DTYPES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8")


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return RNG.normal(size=shape).astype(kind)
    limits = np.iinfo(kind)
    return RNG.integers(limits.min, limits.max, shape, dtype=kind.newbyteorder("="), endpoint=True)


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


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def opened(
    root: Path, parameters: Mapping[str, Any] | None = None, sensor: str | None = None
) -> Any:
    return open_source(root, sensor, parameters or {}, root.parent / "scratch")


def whole(source: Any, dataset: int = 0, field: int = 0, timestep: int = 0) -> np.ndarray:
    spec = source.spec.datasets[dataset]
    return read_box(source, spec.fields[field], timestep, Box.of_shape(spec.shape))


def error_of(root: Path, parameters: Mapping[str, Any] | None = None) -> ConversionError:
    with pytest.raises(ConversionError) as caught, opened(root, parameters):
        pass
    return caught.value


def chosen(source: Any, parameter: str) -> str:
    return next(c.chosen for c in source.spec.choices if c.parameter == parameter)


class TestChoice:
    def test_largest_with_two_axes(self, root: Path) -> None:
        image = numbers((20, 30), "u1")
        write(root / "a.h5", {"x/image": image, "small": np.zeros((3, 3)), "line": np.zeros(5000)})
        with opened(root, sensor="HDF5") as source:
            assert same(whole(source), image)
            choice = source.spec.choices[0]
            assert (choice.parameter, choice.chosen) == ("dataset", "/x/image")
            assert "largest" in choice.rule
            assert set(choice.alternatives) == {"/small", "/line"}

    def test_parameter_picks_by_path_and_by_end_of_it(self, root: Path) -> None:
        small = numbers((3, 4), "i2")
        write(root / "a.h5", {"big": np.zeros((50, 50)), "x/y/small": small})
        for name in ("/x/y/small", "x/y/small", "small"):
            with opened(root, {"dataset": name}) as source:
                assert same(whole(source), small)

    def test_parameter_with_equal_shapes_makes_fields(self, root: Path) -> None:
        arrays = {f"{k}/data": numbers((3, 4), "i2") for k in "abc"} | {"d": numbers((5, 6), "u1")}
        write(root / "a.h5", arrays)
        with opened(root, {"dataset": "a/data, c/data, d"}) as source:
            main, other = source.spec.datasets
            assert [f.name for f in main.fields] == ["a/data", "c/data"]
            assert same(whole(source, 0, 1), arrays["c/data"])
            assert same(whole(source, 1), arrays["d"])
            assert other.name == "d"

    def test_unknown_name_lists_what_is_there(self, root: Path) -> None:
        write(root / "a.h5", {"there": np.zeros((4, 4))})
        error = error_of(root, {"dataset": "nowhere"})
        assert isinstance(error, InvalidOptions)
        assert "/there" in error.remedy

    def test_time_axis_and_split_axis(self, root: Path) -> None:
        values = numbers((4, 5, 3), "u1")
        write(root / "a.h5", {"a": values})
        with opened(root, {"time_axis": 2}) as source:
            assert source.spec.datasets[0].timesteps == 3
            assert same(whole(source, timestep=1), values[..., 1])
        with opened(root, {"split_axis": "axis2"}) as source:
            assert [d.name for d in source.spec.datasets] == ["", "a_axis2_1", "a_axis2_2"]
            assert same(whole(source, 2), values[..., 2])
        for bad in ("axis9", -1, "x"):
            assert isinstance(error_of(root, {"time_axis": bad}), InvalidOptions)

    def test_four_axes_say_what_became_time(self, root: Path) -> None:
        write(root / "a.h5", {"a": np.ones((2, 3, 4, 5))})
        with opened(root) as source:
            choice = next(c for c in source.spec.choices if c.parameter == "time_axis")
            assert choice.chosen == "axis0"
            assert choice.alternatives == ("axis1", "axis2", "axis3")

    def test_unlike_files_are_datasets_of_their_own(self, root: Path) -> None:
        dark = numbers((5, 6), "u2")
        scan = numbers((9, 5, 6), "u2")
        write(root / "dark.h5", {"data": dark})
        write(root / "scan.h5", {"data": scan})
        with opened(root) as source:
            assert [d.name for d in source.spec.datasets] == ["", "dark"]
            assert same(whole(source), scan)
            assert same(whole(source, 1), dark)
        with opened(root, {"file": "dark.h5"}) as source:
            assert same(whole(source), dark)


class TestRefusals:
    def test_complex_says_what_else_there_is(self, root: Path) -> None:
        write(root / "a.h5", {"wave": np.zeros((20, 20), "c16"), "other": np.zeros((4, 4))})
        error = error_of(root)
        assert isinstance(error, UnsupportedDtype)
        assert "complex128" in error.message
        assert "/other" in error.remedy

    def test_long_double(self, root: Path) -> None:
        write(root / "a.h5", {"a": np.zeros((20, 20), np.longdouble)})
        assert isinstance(error_of(root), UnsupportedDtype)

    def test_text_only(self, root: Path) -> None:
        write(root / "a.h5", {"a": np.array([b"x", b"y"]), "single": 3.0})
        error = error_of(root)
        assert isinstance(error, UnsupportedDtype)
        assert "no array of numbers" in error.message

    def test_no_arrays(self, root: Path) -> None:
        write(root / "a.h5", {})
        assert isinstance(error_of(root), UnsupportedLayout)

    def test_declared_but_never_written(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file.create_dataset("a", (10**6, 10**6, 10**6), "f8", chunks=(64, 64, 64))
        error = error_of(root)
        assert isinstance(error, UnsupportedLayout)
        assert "ever written" in error.message

    def test_hdf4_by_name(self, root: Path) -> None:
        (root / "a.hdf").write_bytes(b"\x0e\x03\x13\x01" + bytes(1000))
        error = error_of(root)
        assert isinstance(error, UnsupportedLayout)
        assert "HDF4" in error.message

    def test_unknown_filter_by_number(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            plist.set_chunk((4, 4))
            plist.set_filter(305, h5py.h5z.FLAG_OPTIONAL, ())
            space = h5py.h5s.create_simple((8, 8))
            made = h5py.h5d.create(file.id, b"a", h5py.h5t.STD_U8LE, space, plist)
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones((8, 8), "u1"))
        error = error_of(root)
        assert isinstance(error, UnsupportedLayout)
        assert "305" in error.message


class TestLinks:
    """Nothing outside the upload is read, and what is missing is named."""

    @pytest.fixture
    def secret(self, root: Path) -> Path:
        path = root.parent / "secret.h5"
        write(path, {"data": np.ones((30, 30))})
        return path

    def test_external_link_out(self, root: Path, secret: Path) -> None:
        for target in (str(secret), "../secret.h5"):
            with h5py.File(root / "a.h5", "w") as file:
                file["data"] = h5py.ExternalLink(target, "data")
            error = error_of(root)
            assert isinstance(error, UnsafeLink), target
            assert "secret.h5" in error.message

    def test_virtual_source_out(self, root: Path, secret: Path) -> None:
        for target in (str(secret), "../secret.h5"):
            layout = h5py.VirtualLayout((30, 30), "f8")
            layout[...] = h5py.VirtualSource(target, "data", (30, 30))
            with h5py.File(root / "a.h5", "w") as file:
                file.create_virtual_dataset("data", layout)
            assert isinstance(error_of(root), UnsafeLink), target

    def test_virtual_source_out_by_a_second_file(self, root: Path, secret: Path) -> None:
        layout = h5py.VirtualLayout((30, 30), "f8")
        layout[...] = h5py.VirtualSource("b.h5", "data", (30, 30))
        with h5py.File(root / "a.h5", "w") as file:
            file.create_virtual_dataset("data", layout)
        with h5py.File(root / "b.h5", "w") as file:
            file["data"] = h5py.ExternalLink(str(secret), "data")
        assert isinstance(error_of(root), UnsafeLink)

    def test_external_storage_out(self, root: Path) -> None:
        raw = root.parent / "secret.raw"
        raw.write_bytes(bytes(100))
        for target in (str(raw), "../secret.raw"):
            with h5py.File(root / "a.h5", "w") as file:
                file.create_dataset("a", (10, 10), "u1", external=[(target, 0, 100)])
            assert isinstance(error_of(root), UnsafeLink), target

    def test_not_from_the_working_directory(
        self, root: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(root.parent)
        with h5py.File(root / "a.h5", "w") as file:
            file["data"] = h5py.ExternalLink("secret.h5", "data")
        assert isinstance(error_of(root), MissingMember)

    def test_symlink_out(self, root: Path, secret: Path) -> None:
        (root / "b.h5").symlink_to(secret)
        with h5py.File(root / "a.h5", "w") as file:
            file["data"] = h5py.ExternalLink("b.h5", "data")
        assert isinstance(error_of(root), UnsafeLink)

    def test_missing_target_is_named(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["line"] = np.arange(10)
            file["data"] = h5py.ExternalLink("frames/b.h5", "data")
        error = error_of(root)
        assert isinstance(error, MissingMember)
        assert "frames/b.h5" in error.message

    def test_missing_target_beside_an_image_is_noted(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["image"] = np.ones((4, 5))
            file["data"] = h5py.ExternalLink("b.h5", "data")
        with opened(root) as source:
            assert chosen(source, "dataset") == "/image"
            assert any("b.h5" in note for note in source.spec.notes)
        assert isinstance(error_of(root, {"dataset": "data"}), MissingMember)

    def test_missing_source_of_virtual_dataset(self, root: Path) -> None:
        layout = h5py.VirtualLayout((2, 5), "f8")
        for i in range(2):
            layout[i] = h5py.VirtualSource(f"{i}.h5", "data", (5,))
        write(root / "0.h5", {"data": np.ones(5)})
        with h5py.File(root / "a.h5", "w") as file:
            file.create_virtual_dataset("data", layout)
        error = error_of(root)
        assert isinstance(error, MissingMember)
        assert "1.h5" in error.message

    def test_short_external_storage(self, root: Path) -> None:
        (root / "a.raw").write_bytes(bytes(50))
        with h5py.File(root / "a.h5", "w") as file:
            file.create_dataset("a", (10, 10), "u1", external=[("a.raw", 0, 100)])
        error = error_of(root)
        assert isinstance(error, CorruptSource)
        assert "cut short" in error.message

    def test_circles(self, root: Path) -> None:
        with h5py.File(root / "a.h5", "w") as file:
            file["data"] = np.ones((4, 4))
            file["group/up"] = h5py.SoftLink("/group")
            file["group/self"] = h5py.SoftLink("/group/self")
            file["group/hard"] = file["group"]
            file["loop"] = h5py.ExternalLink("a.h5", "/loop")
        with opened(root) as source:
            assert same(whole(source), np.ones((4, 4)))


class TestDamage:
    def test_cut_anywhere(self, root: Path) -> None:
        path = root / "a.h5"
        write(path, {"g/a": numbers((40, 40), "f8")}, chunks=(10, 10), compression="gzip")
        good = path.read_bytes()
        for size in np.linspace(1, len(good) - 1, 40, dtype=int):
            path.write_bytes(good[:size])
            assert isinstance(error_of(root), ConversionError)

    def test_flipped_bytes_never_escape_as_foreign_errors(self, root: Path) -> None:
        path = root / "a.h5"
        write(path, {"g/a": numbers((40, 40), "f8"), "b": np.ones(7)}, chunks=True, fletcher32=True)
        good = bytearray(path.read_bytes())
        rng = np.random.default_rng(1)
        outcomes = set()
        for _ in range(150):
            bad = bytearray(good)
            for at in rng.integers(0, 3000, 3):
                bad[at] ^= int(rng.integers(1, 256))
            path.write_bytes(bad)
            try:
                with opened(root) as source:
                    spec = source.spec.datasets[0]
                    box = Box((0,) * len(spec.shape), tuple(min(n, 16) for n in spec.shape))
                    read_box(source, spec.fields[0], 0, box)
                outcomes.add("done")
            except ConversionError as error:
                outcomes.add(error.code)
        assert "done" in outcomes
        assert "CorruptSource" in outcomes

    def test_damaged_chunk(self, root: Path) -> None:
        path = root / "a.h5"
        write(path, {"a": numbers((64, 64), "u2")}, chunks=(64, 64), compression="gzip")
        raw = bytearray(path.read_bytes())
        raw[-2000:-1900] = bytes(100)
        path.write_bytes(raw)
        with opened(root) as source, pytest.raises(CorruptSource, match=r"a\.h5"):
            whole(source)


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
