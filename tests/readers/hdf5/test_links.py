"""HDF5 files that refer to others, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from scientistcloud.errors import (
    ConversionError,
    CorruptSource,
    MissingMember,
    UnsafeLink,
)
from scientistcloud.grid import Box
from tests.readers.contract import read_box, same
from tests.readers.hdf5.test_hdf5 import write
from tests.readers.opening import chosen, error_of, numbers, opened, whole


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


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
    def test_not_closed_by_its_writer(self, root: Path, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "open.h5", "w", libver="latest") as file:
            file["a"] = np.ones((4, 5))
            file.flush()
            (root / "a.h5").write_bytes((tmp_path / "open.h5").read_bytes())
        error = error_of(root)
        assert isinstance(error, CorruptSource)
        assert "not closed" in error.message

    def test_written_while_it_is_read(self, root: Path, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "open.h5", "w", libver="latest") as file:
            made = file.create_dataset("a", (4, 5), "f8", chunks=(2, 5), maxshape=(None, 5))
            file.swmr_mode = True
            made[...] = 1
            made.flush()
            (root / "a.h5").write_bytes((tmp_path / "open.h5").read_bytes())
        with opened(root) as source:
            assert same(whole(source), np.ones((4, 5)))

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
