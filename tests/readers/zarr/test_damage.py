"""Zarr stores that are refused, and damaged ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numcodecs
import numpy as np
import pytest

from scientistcloud.errors import ConversionError
from tests.readers.opening import error_of, numbers, opened, whole
from tests.readers.zarr.test_zarr import absent_chunks, group, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


class TestRefusals:
    def test_codec_that_runs_code(self, root: Path) -> None:
        values = np.empty((2,), object)
        values[:] = [{"a": 1}, None]
        meta = {
            "zarr_format": 2, "shape": [2], "chunks": [2], "dtype": "|O", "fill_value": None,
            "order": "C", "compressor": None, "filters": [{"id": "pickle", "protocol": 5}],
        }  # fmt: skip
        (root / "s").mkdir()
        (root / "s" / ".zarray").write_text(json.dumps(meta))
        (root / "s" / "0").write_bytes(numcodecs.Pickle().encode(values))
        error = error_of(root)
        assert error.code == "UnsupportedLayout"
        assert "pickle" in error.message

    def test_no_chunks_uploaded(self, root: Path) -> None:
        put(root / "s", np.ones((9, 10)))
        shutil.rmtree(root / "s" / "c")
        error = error_of(root)
        assert error.code == "MissingMember"

    def test_complex(self, root: Path) -> None:
        put(root / "s", np.ones((9, 10), "c8"))
        error = error_of(root)
        assert error.code == "UnsupportedDtype"
        assert "complex64" in error.message

    def test_no_arrays(self, root: Path) -> None:
        group(root / "s", {})
        assert error_of(root).code == "UnsupportedLayout"

    def test_chunks_beyond_all_memory(self, root: Path) -> None:
        put(root / "s", np.ones((9, 10), "u1"), 2)
        meta = json.loads((root / "s" / ".zarray").read_text())
        meta["chunks"] = [1 << 30, 1 << 30]
        (root / "s" / ".zarray").write_text(json.dumps(meta))
        assert error_of(root).code == "UnsupportedLayout"


class TestDamage:
    @pytest.mark.parametrize("version", [2, 3])
    def test_flipped_bytes_never_escape_as_foreign_errors(self, root: Path, version: int) -> None:
        put(root / "s", numbers((9, 10), "u2"), version, chunks=(9, 10))
        files = sorted(p for p in (root / "s").rglob("*") if p.is_file() and p.name != ".zattrs")
        rng = np.random.default_rng(5)
        outcomes = set()
        for i in range(150):
            path = files[i % len(files)]
            good = path.read_bytes()
            bad = bytearray(good)
            for at in rng.integers(0, len(bad), 2):
                bad[at] ^= 1 << int(rng.integers(0, 7))
            path.write_bytes(bad[: None if i % 5 else len(bad) // 2])
            try:
                with opened(root) as source:
                    if source.spec.datasets[0].samples_bytes < 1 << 20:
                        whole(source)
                outcomes.add("done")
            except ConversionError as error:
                outcomes.add(error.code)
            path.write_bytes(good)
        assert {"done", "CorruptSource"} <= outcomes

    def test_cut_chunk_is_named(self, root: Path) -> None:
        put(root / "s", np.ones((9, 10), "u2"), 2, chunks=(9, 10), compressors=None)
        chunk = root / "s" / "0.0"
        chunk.write_bytes(chunk.read_bytes()[:-3])
        with opened(root) as source, pytest.raises(ConversionError, match="array 's'") as caught:
            whole(source)
        assert caught.value.code == "CorruptSource"

    def test_absent_chunks_are_noted(self, root: Path) -> None:
        absent_chunks(root)
        with opened(root) as source:
            assert any("3 of 4 chunks" in note for note in source.spec.notes)
