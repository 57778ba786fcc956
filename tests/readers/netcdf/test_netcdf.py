"""NetCDF of all formats and dtypes, written with netCDF4 and compared with what it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from scientistcloud.readers.base import Match
from scientistcloud.readers.netcdf import READER
from tests.readers.contract import Case, SourceContract, same
from tests.readers.opening import assert_choices_round_trip, error_of, numbers, opened, whole

CLASSIC = ("i1", "i2", "i4", "f4", "f8")
EVERY = (*CLASSIC, "u1", "u2", "u4", "i8", "u8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def create(path: Path, model: str = "NETCDF4", **dims: int | None) -> Any:
    file = netCDF4.Dataset(path, "w", format=model)
    for name, length in dims.items():
        file.createDimension(name, length)
    return file


def _plain(model: str, dtypes: tuple[str, ...]) -> Callable[[Path], dict[str, np.ndarray]]:
    def make(root: Path) -> dict[str, np.ndarray]:
        fields = {f"v_{d}": numbers((3, 4, 5), d) for d in dtypes}
        with create(root / "a.nc", model, depth=3, y=4, x=5) as file:
            for name, values in fields.items():
                file.createVariable(name, values.dtype, ("depth", "y", "x"))[:] = values
        return fields

    make.__name__ = model.lower()
    return make


def big_endian(root: Path) -> dict[str, np.ndarray]:
    fields = {f"v_{d}": numbers((4, 5), d) for d in ("i2", "u4", "i8", "f4", "f8")}
    with create(root / "a.nc", y=4, x=5) as file:
        for name, values in fields.items():
            kind = values.dtype.newbyteorder(">")
            file.createVariable(name, kind, ("y", "x"), endian="big", zlib=True)[:] = values
    return fields


def compressed(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((17, 33, 20), "i4")}
    with create(root / "a.nc", z=17, y=33, x=20) as file:
        file.createVariable(
            "a", "i4", ("z", "y", "x"), zlib=True, shuffle=True, chunksizes=(4, 16, 7)
        )[:] = fields["a"]
    return fields


def filters(root: Path) -> dict[str, np.ndarray]:
    fields = {
        k: np.arange(7200, dtype="i2").reshape(80, 90) for k in ("zstd", "bzip2", "blosc_lz4")
    }
    with create(root / "a.nc", y=80, x=90) as file:
        for name, values in fields.items():
            file.createVariable(name, "i2", ("y", "x"), compression=name)[:] = values
    return fields


def records(root: Path) -> dict[str, np.ndarray]:
    """Two record variables of odd sizes: they are padded and interleaved in the classic format."""
    fields = {"a": numbers((4, 3, 5), "i1"), "b": numbers((4, 3, 5), "i2")}
    with create(root / "a.nc", "NETCDF3_CLASSIC", time=None, y=3, x=5) as file:
        for name, values in fields.items():
            file.createVariable(name, values.dtype, ("time", "y", "x"))[:] = values
    return fields


def time_last(root: Path) -> dict[str, np.ndarray]:
    values = numbers((4, 5, 3), "i2")
    with create(root / "a.nc", y=4, x=5, time=3) as file:
        file.createVariable("a", "i2", ("y", "x", "time"))[:] = values
    return {"a": np.moveaxis(values, -1, 0)}


def four_axes(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((2, 3, 4, 5), "i2")}
    with create(root / "a.nc", a=2, b=3, c=4, d=5) as file:
        file.createVariable("a", "i2", ("a", "b", "c", "d"))[:] = fields["a"]
    return fields


def six_axes(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((2, 2, 3, 3, 4, 5), "i2")}
    with create(root / "a.nc", time=2, run=2, lead=3, lev=3, y=4, x=5) as file:
        dims = ("time", "run", "lead", "lev", "y", "x")
        file.createVariable("a", "i2", dims)[:] = fields["a"]
    return fields


def one_axis(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((50,), "f8")}
    with create(root / "a.nc", "NETCDF3_64BIT_DATA", x=50) as file:
        file.createVariable("a", "f8", ("x",))[:] = fields["a"]
    return fields


def series_over_time_alone(root: Path) -> dict[str, np.ndarray]:
    fields = {"a": numbers((50,), "f8")}
    with create(root / "a.nc", time=50) as file:
        file.createVariable("a", "f8", ("time",))[:] = fields["a"]
    return fields


def groups(root: Path) -> dict[str, np.ndarray]:
    inner = numbers((4, 5), "f4")
    with create(root / "a.nc", y=4, x=5) as file:
        group = file.createGroup("model").createGroup("winds")
        group.createVariable("u", "f4", ("y", "x"))[:] = inner
        group.createVariable("v", "f4", ("y", "x"))[:] = inner + 1
    return {"u": inner, "v": inner + 1}


def same_names_in_groups(root: Path) -> dict[str, np.ndarray]:
    fields = {f"{k}/u": numbers((4, 5), "f4") for k in "ab"}
    with create(root / "a.nc", y=4, x=5) as file:
        for name, values in fields.items():
            file.createGroup(name[0]).createVariable("u", "f4", ("y", "x"))[:] = values
    return fields


def enumeration(root: Path) -> dict[str, np.ndarray]:
    values = numbers((4, 5), "u1") % 3
    with create(root / "a.nc", y=4, x=5) as file:
        kind = file.createEnumType(np.uint8, "phase_t", {"solid": 0, "liquid": 1, "gas": 2})
        file.createVariable("phase", kind, ("y", "x"))[:] = values
        file.createVariable("name", str, ("y",))[0] = "text is no field"
        file.createVariable("letters", "S1", ("y", "x"))
    return {"phase": values}


def yearly_files(root: Path) -> dict[str, np.ndarray]:
    """Files of unlike numbers of timesteps, named against their order in time."""
    parts = [numbers((n, 4, 5), "f4") for n in (2, 3, 1)]
    for i, values in enumerate(parts):
        with create(root / f"{'cab'[i]}.nc", time=None, y=4, x=5) as file:
            time = file.createVariable("time", "f8", ("time",))
            time.units = "days since 2000-01-01"
            time[:] = 100 * i + np.arange(len(values))
            file.createVariable("a", "f4", ("time", "y", "x"))[:] = values
    return {"a": np.concatenate(parts)}


CASES = (
    _plain("NETCDF3_CLASSIC", CLASSIC), _plain("NETCDF3_64BIT_OFFSET", CLASSIC),
    _plain("NETCDF3_64BIT_DATA", EVERY), _plain("NETCDF4_CLASSIC", CLASSIC),
    _plain("NETCDF4", EVERY), big_endian, compressed, filters, records, time_last, four_axes,
    six_axes, one_axis, series_over_time_alone, groups, same_names_in_groups, enumeration,
    yearly_files,
)  # fmt: skip


class TestNetcdf(SourceContract):
    boxes = 8

    @pytest.fixture(params=CASES, ids=lambda make: make.__name__)
    def case(self, request: pytest.FixtureRequest, root: Path) -> Case:
        return Case(root, request.param(root), sensor="NETCDF")

    def test_choices_can_be_passed_back(self, case: Case) -> None:
        assert_choices_round_trip(case.root, case.parameters, case.sensor)


class TestMatch:
    def test_by_magic(self) -> None:
        for magic in (b"CDF\x01", b"CDF\x02", b"CDF\x05"):
            assert READER.match(Path("x"), magic) is Match.CERTAIN
        hdf5 = b"\x89HDF\r\n\x1a\n"
        assert READER.match(Path("x.nc"), hdf5) is Match.CERTAIN
        assert READER.match(Path("x.h5"), hdf5 + b"..._NCProperties...") is Match.CERTAIN
        assert READER.match(Path("x.h5"), hdf5) is Match.NO
        assert READER.match(Path("x.nc"), b"text") is Match.POSSIBLE

    def test_gzipped(self, root: Path) -> None:
        import gzip

        fields = compressed(root)
        (root / "a.nc.gz").write_bytes(gzip.compress((root / "a.nc").read_bytes()))
        (root / "a.nc").unlink()
        with opened(root) as source:
            assert same(whole(source), fields["a"])


class TestDamage:
    @pytest.mark.parametrize("model", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA", "NETCDF4"])
    def test_cut_anywhere(self, root: Path, model: str) -> None:
        path = root / "a.nc"
        with create(path, model, time=None, y=4, x=5) as file:
            file.createVariable("fixed", "i2", ("y", "x"))[:] = np.ones((4, 5))
            file.createVariable("a", "f4", ("time", "y", "x"))[:] = np.ones((6, 4, 5))
        good = path.read_bytes()
        for size in [*np.linspace(1, len(good) - 1, 20, dtype=int), len(good) - 1]:
            path.write_bytes(good[:size])
            assert error_of(root).code == "CorruptSource", size

    def test_padding_at_the_end_may_be_missing(self, root: Path) -> None:
        path = root / "a.nc"
        with create(path, "NETCDF3_CLASSIC", y=3, x=5) as file:
            file.createVariable("a", "i1", ("y", "x"))[:] = np.ones((3, 5))
        path.write_bytes(path.read_bytes()[:-1])
        with opened(root) as source:
            assert same(whole(source), np.ones((3, 5), "i1"))

    def test_flipped_bytes_never_escape_as_foreign_errors(self, root: Path) -> None:
        from scientistcloud.errors import ConversionError
        from scientistcloud.grid import Box
        from tests.readers.contract import read_box

        path = root / "a.nc"
        with create(path, "NETCDF3_CLASSIC", y=4, x=5) as file:
            file.createVariable("a", "f4", ("y", "x"))[:] = np.ones((4, 5))
        good = path.read_bytes()
        rng = np.random.default_rng(2)
        outcomes = set()
        for _ in range(100):
            bad = bytearray(good)
            for at in rng.integers(4, len(bad), 2):
                bad[at] ^= int(rng.integers(1, 256))
            path.write_bytes(bad)
            try:
                with opened(root) as source:
                    spec = source.spec.datasets[0]
                    box = Box((0,) * len(spec.shape), tuple(min(n, 8) for n in spec.shape))
                    read_box(source, spec.fields[0], 0, box)
                outcomes.add("done")
            except ConversionError as error:
                outcomes.add(error.code)
        assert {"done", "CorruptSource"} <= outcomes

    def test_links_out_of_the_upload(self, root: Path) -> None:
        import h5py

        with h5py.File(root.parent / "secret.h5", "w") as file:
            file["data"] = np.ones((4, 4))
        with create(root / "a.nc", y=4, x=5) as file:
            file.createVariable("a", "f4", ("y", "x"))[:] = np.ones((4, 5))
        with h5py.File(root / "a.nc", "a") as file:
            file["b"] = h5py.ExternalLink(str(root.parent / "secret.h5"), "data")
        assert error_of(root).code == "UnsafeLink"

    def test_named_like_it_only(self, root: Path) -> None:
        (root / "a.nc").write_bytes(b"no NetCDF at all" * 50)
        assert error_of(root).code == "CorruptSource"
