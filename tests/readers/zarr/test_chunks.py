"""Chunks of Zarr: looked up by name; those that are absent are told, and never read in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import zarr

from tests.readers.contract import same
from tests.readers.opening import error_of, numbers, opened, whole
from tests.readers.zarr.test_zarr import group, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def nested(path: Path, values: np.ndarray, **changes: Any) -> None:
    """An array of format 2 with its chunks in folders, whose metadata do not say so."""
    zarr.create_array(
        path, data=values, chunks=(2, 8, 8), zarr_format=2,
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )  # fmt: skip
    meta = json.loads((path / ".zarray").read_text())
    meta.pop("dimension_separator", None)
    (path / ".zarray").write_text(json.dumps({**meta, **changes}))


class TestNames:
    def test_nested_folders_that_the_metadata_do_not_say(self, root: Path) -> None:
        values = numbers((4, 9, 10), "u2")
        nested(root / "a.zarr", values)
        with opened(root) as source:
            assert same(whole(source), values)
            assert any("lie in folders" in note for note in source.spec.notes)

    def test_said_separator_is_kept_to(self, root: Path) -> None:
        nested(root / "a.zarr", numbers((4, 9, 10), "u2"), dimension_separator=".")
        assert error_of(root).code == "MissingMember"

    @pytest.mark.parametrize("version", [2, 3])
    def test_folders_that_are_said(self, root: Path, version: int) -> None:
        values = numbers((4, 9, 10), "u2")
        encoding = {"name": "v2" if version == 2 else "default", "separator": "/"}
        put(root / "a", values, version, chunks=(2, 8, 8), chunk_key_encoding=encoding)
        with opened(root) as source:
            assert same(whole(source), values)
            assert not source.spec.notes

    def test_format_3_with_points(self, root: Path) -> None:
        values = numbers((4, 9, 10), "u2")
        encoding = {"name": "default", "separator": "."}
        put(root / "a", values, chunks=(2, 8, 8), chunk_key_encoding=encoding)
        with opened(root) as source:
            assert same(whole(source), values)
            assert not source.spec.notes

    def test_temporary_files_count_for_nothing(self, root: Path) -> None:
        put(root / "a", numbers((9, 10), "u2"), 2, chunks=(9, 5))
        for name in ("0.0", "0.1"):
            chunk = root / "a" / name
            chunk.rename(chunk.with_name(f"{name}.0123abcd.partial"))
        assert error_of(root).code == "MissingMember"

    def test_chunks_beyond_the_shape_count_for_nothing(self, root: Path) -> None:
        """A store that was made smaller, and keeps what lies outside."""
        put(root / "a", numbers((9, 10), "u2"), 2, chunks=(9, 5))
        (root / "a" / "0.0").rename(root / "a" / "0.7")
        with opened(root) as source:
            assert any("1 of 2 chunks" in note for note in source.spec.notes)


class TestAbsence:
    def test_share_and_place(self, root: Path) -> None:
        made = zarr.create_array(root / "a", shape=(40, 30), dtype="i2", chunks=(10, 30),
                                 fill_value=-1)  # fmt: skip
        made[:30] = 5
        with opened(root) as source:
            (note,) = source.spec.notes
            assert "25 %" in note
            assert "[30:40, 0:30]" in note
            assert source.spec.datasets[0].fields[0].fill_value == -1

    def test_named_variable_without_chunks_is_left_out(self, root: Path) -> None:
        group(root / "s", {})
        put(root / "s" / "u", numbers((4, 5), "f4"), dimension_names=["y", "x"])
        zarr.create_array(root / "s" / "v", shape=(4, 5), dtype="f4", dimension_names=["y", "x"])
        with opened(root) as source:
            assert [f.name for f in source.spec.datasets[0].fields] == ["u"]
            assert any("'v'" in note for note in source.spec.notes)

    def test_all_named_variables_absent(self, root: Path) -> None:
        group(root / "s", {})
        zarr.create_array(root / "s" / "v", shape=(4, 5), dtype="f4", dimension_names=["y", "x"])
        put(root / "s" / "x", numbers((5,), "f4"), dimension_names=["x"])
        assert error_of(root).code == "MissingMember"

    def test_coordinate_of_zeros_is_kept(self, root: Path) -> None:
        """Writers leave chunks of nothing but the fill value away: time = [0]."""
        group(root / "s", {})
        put(root / "s" / "u", numbers((1, 4, 5), "f4"), dimension_names=["time", "y", "x"])
        time = zarr.create_array(
            root / "s" / "time", shape=(1,), dtype="i8", dimension_names=["time"]
        )
        time.attrs["units"] = "days since 2001-01-01"
        with opened(root) as source:
            assert source.spec.datasets[0].times == ("2001-01-01T00:00:00",)


def pyramid(root: Path, levels: list[dict[str, Any]], **more: Any) -> np.ndarray:
    values = numbers((4, 16, 20), "u2")
    group(root / "i", {"multiscales": [{"version": "0.4", "datasets": levels, **more}]}, 2)
    put(root / "i" / "fine", values, 2)
    put(root / "i" / "coarse", np.ascontiguousarray(values[:, ::2, ::2]), 2)
    return values


def level(path: str, scale: list[float]) -> dict[str, Any]:
    return {"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]}


class TestLevels:
    AXES: ClassVar = [{"name": n, "type": "space", "unit": "micrometer"} for n in "zyx"]

    @pytest.mark.parametrize("order", [1, -1])
    def test_finest_whatever_the_order(self, root: Path, order: int) -> None:
        levels = [level("fine", [2, 0.5, 0.25]), level("coarse", [2, 1, 0.5])][::order]
        values = pyramid(root, levels, axes=self.AXES)
        with opened(root) as source:
            assert same(whole(source), values)
            assert [a.spacing for a in source.spec.datasets[0].axes] == [2, 0.5, 0.25]

    def test_version_0_6(self, root: Path) -> None:
        values = numbers((4, 16, 20), "u2")
        sequence = {
            "type": "sequence", "input": "0", "output": "physical",
            "transformations": [
                {"type": "scale", "scale": [2, 0.5, 0.25]},
                {"type": "translation", "translation": [10, 20, 30]},
            ],
        }  # fmt: skip
        systems = [
            {"name": "other", "axes": [{"name": n, "type": "space"} for n in "abc"]},
            {"name": "physical", "axes": self.AXES},
        ]
        multiscale = {
            "coordinateSystems": systems,
            "datasets": [{"path": "0", "coordinateTransformations": [sequence]}],
        }
        group(root / "i", {"ome": {"version": "0.6.dev3", "multiscales": [multiscale]}})
        put(root / "i" / "0", values)
        with opened(root) as source:
            axes = source.spec.datasets[0].axes
            assert [a.name for a in axes] == ["z", "y", "x"]
            assert [(a.spacing, a.origin) for a in axes] == [(2, 10), (0.5, 20), (0.25, 30)]
            assert axes[0].units == "micrometer"

    def test_version_unheard_of(self, root: Path) -> None:
        group(root / "i", {"ome": {"version": "0.9", "multiscales": [{"datasets": []}]}})
        put(root / "i" / "0", numbers((4, 5), "u1"))
        error = error_of(root)
        assert error.code == "UnsupportedLayout"
        assert "0.9" in error.message

    def test_turned_in_space(self, root: Path) -> None:
        rotation = {"type": "rotation", "rotation": [[0, 1], [1, 0]]}
        levels = [{"path": "fine", "coordinateTransformations": [rotation]}]
        pyramid(root, levels, axes=self.AXES)
        assert error_of(root).code == "UnsupportedLayout"
