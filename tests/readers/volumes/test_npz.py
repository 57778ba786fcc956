"""NumPy archives as ``numpy.savez`` writes them, compressed and not."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    InvalidOptions,
    SourceEmpty,
    UnsafeArchive,
    UnsupportedDtype,
)
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract
from tests.readers.opening import assert_choices_round_trip, error_of, opened, whole

RNG = np.random.default_rng(17)
DTYPES = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8"]
Save = Callable[..., None]


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).newbyteorder("=")
    if kind.kind == "f":
        return RNG.standard_normal(shape).astype(dtype)
    info = np.iinfo(kind)
    return RNG.integers(info.min, info.max, shape, kind, endpoint=True).astype(dtype)


def open_at(root: Path, tmp_path: Path, **parameters: Any) -> Source:
    scratch = tmp_path / "scratch-of-test"
    scratch.mkdir(exist_ok=True)
    return open_source(root, None, parameters, scratch)


def all_types(save: Save) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = {code: noise((5, 6, 7), code) for code in DTYPES}
        save(folder / "a.npz", **values)
        return Case(folder, values)

    return make


def make_orders(folder: Path) -> Case:
    first, second = noise((5, 6, 7), ">i4"), np.asfortranarray(noise((5, 6, 7), "f4"))
    np.savez(folder / "a.npz", big=first, fortran=second)
    return Case(folder, {"big": first.astype("i4"), "fortran": np.ascontiguousarray(second)})


def make_records(folder: Path) -> Case:
    values = np.zeros((5, 6, 7), [("density", "<f4"), ("count", ">u2"), ("flow", "<f4", (3,))])
    values["density"] = noise((5, 6, 7), "f4")
    values["count"] = noise((5, 6, 7), "u2")
    values["flow"] = noise((5, 6, 7, 3), "f4")
    np.savez_compressed(folder / "a.npz", cells=values)
    return Case(
        folder,
        {
            "cells_density": np.ascontiguousarray(values["density"]),
            "cells_count": values["count"].astype("u2"),
            "cells_flow": np.ascontiguousarray(values["flow"]),
        },
    )


def make_booleans(folder: Path) -> Case:
    values = RNG.integers(0, 2, (5, 6, 7)).astype(bool)
    np.savez(folder / "a.npz", mask=values)
    return Case(folder, {"mask": values.view("u1")})


def make_with_coordinates(folder: Path) -> Case:
    values = noise((5, 6, 7), "f4")
    np.savez(
        folder / "a.npz",
        x=np.arange(7.0),
        run=np.int64(7),
        title=np.array("a run"),
        field=values,
    )
    return Case(folder, {"field": values})


def make_times(folder: Path) -> Case:
    values = noise((3, 5, 6, 7), "f4")
    np.savez(folder / "a.npz", field=values)
    return Case(folder, {"field": values})


def make_series(folder: Path) -> Case:
    a, b = noise((12, 5, 6, 7), "f4"), noise((12, 5, 6, 7), "u1")
    for t in range(12):
        np.savez_compressed(folder / f"step{t}.npz", a=a[t], b=b[t])
    return Case(folder, {"a": a, "b": b})


def make_unnamed(folder: Path) -> Case:
    values = noise((5, 6, 7), "f4"), noise((5, 6, 7), "f4")
    np.savez(folder / "a.npz", *values)
    return Case(folder, {"arr_0": values[0], "arr_1": values[1]})


CASES: dict[str, Callable[[Path], Case]] = {
    "stored": all_types(np.savez),
    "compressed": all_types(np.savez_compressed),
    "orders": make_orders,
    "records": make_records,
    "booleans": make_booleans,
    "coordinates beside": make_with_coordinates,
    "times": make_times,
    "series": make_series,
    "unnamed": make_unnamed,
}


class TestNpz(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_unlike_shapes_become_datasets(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", small=noise((4, 5), "u1"), big=noise((5, 6, 7), "u1"))
    with open_at(tmp_path, tmp_path) as source:
        assert [(d.name, d.shape) for d in source.spec.datasets] == [
            ("", (5, 6, 7)),
            ("small", (4, 5)),
        ]


def test_arrays_can_be_chosen(tmp_path: Path) -> None:
    make_with_coordinates(tmp_path)
    with open_at(tmp_path, tmp_path) as source:
        (choice,) = [c for c in source.spec.choices if c.parameter == "arrays"]
        assert (choice.chosen, choice.alternatives) == ("field", ("x", "run"))
    with open_at(tmp_path, tmp_path, arrays="x") as source:
        assert source.spec.datasets[0].shape == (7,)
    with pytest.raises(InvalidOptions, match="nothing"):
        open_at(tmp_path, tmp_path, arrays="nothing")


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    np.savez(tmp_path / "a.npz", trap=np.array([Trap()], dtype=object))
    with pytest.raises(UnsupportedDtype, match="trap"):
        open_at(tmp_path, tmp_path)
    np.savez(tmp_path / "a.npz", trap=np.array([Trap()], dtype=object), data=noise((5, 6), "u1"))
    with open_at(tmp_path, tmp_path) as source:
        assert [f.name for f in source.spec.datasets[0].fields] == ["data"]
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_is_found(save: Save, tmp_path: Path) -> None:
    save(tmp_path / "a.npz", data=noise((50, 60), "u1"))
    whole = (tmp_path / "a.npz").read_bytes()
    for length in (10, 200, len(whole) // 2, len(whole) - 1):
        (tmp_path / "a.npz").write_bytes(whole[:length])
        with pytest.raises(CorruptSource, match=r"a\.npz"):
            open_at(tmp_path, tmp_path)
    data = bytearray(whole)
    data[len(data) // 2] ^= 4
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(CorruptSource, match=r"a\.npz"):
        open_at(tmp_path, tmp_path)


def member(text: str) -> bytes:
    """A ``.npy`` file of 100 bytes behind a header of the test's own."""
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(100)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (10000, 10000, 10000)}", CorruptSource),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 20)}", CorruptSource),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': 'many'}", CorruptSource),
        ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (10, 10)}", CorruptSource),
        ("__import__('os').system('true')", CorruptSource),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (2, 5)}", UnsupportedDtype),
        ("{'descr': '<U5', 'fortran_order': False, 'shape': (5,)}", UnsupportedDtype),
    ],
)
def test_headers_that_cannot_be(text: str, error: type[ConversionError], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.npy", member(text))
    with pytest.raises(error):
        open_at(tmp_path, tmp_path)


def test_archive_without_arrays(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("readme.txt", "nothing here")
    with pytest.raises(SourceEmpty, match=r"a\.npz"):
        open_at(tmp_path, tmp_path)


def test_password(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, data=noise((5, 6), "u1"))
    data = bytearray(stream.getvalue())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(UnsafeArchive, match="password"):
        open_at(tmp_path, tmp_path)


def test_axes_of_each_rank_can_be_named(tmp_path: Path) -> None:
    volume = np.arange(6 * 8 * 9, dtype="u2").reshape(6, 8, 9)
    np.savez(tmp_path / "a.npz", volume=volume)
    with opened(tmp_path, {"axes": "xy,tyx"}) as source:
        assert source.spec.datasets[0].timesteps == 6
        assert (whole(source, timestep=4) == volume[4]).all()
    assert error_of(tmp_path, {"axes": "tzyx"}).code == "InvalidOptions"
    assert_choices_round_trip(tmp_path, {}, None)
