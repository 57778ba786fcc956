"""Axes of Zarr by the common table; text that is no data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.readers.contract import same
from tests.readers.opening import assert_choices_round_trip, chosen, numbers, opened, whole
from tests.readers.zarr.test_zarr import group, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "upload"
    folder.mkdir()
    return folder


def image(root: Path, values: np.ndarray, axes: dict[str, str]) -> None:
    listed = [{"name": name, "type": kind} for name, kind in axes.items()]
    multiscale = {"version": "0.4", "axes": listed, "datasets": [{"path": "0"}]}
    group(root / "i", {"multiscales": [multiscale]}, 2)
    put(root / "i" / "0", values, 2)


class TestOme:
    def test_angles_of_a_volume_are_fields(self, root: Path) -> None:
        values = numbers((5, 3, 4, 6), "u2")
        image(root, values, {"angle": "angle", "z": "space", "y": "space", "x": "space"})
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((3, 4, 6), 1, 5)
            assert same(whole(source, field=3), values[3])

    def test_lifetimes_of_an_image_are_depth(self, root: Path) -> None:
        values = numbers((4, 6, 300), "u2")
        image(root, values, {"y": "space", "x": "space", "tau": "lifetime"})
        with opened(root) as source:
            assert source.spec.datasets[0].timesteps == 1
            assert source.spec.datasets[0].samples_bytes == values.nbytes

    def test_channels_stay_fields(self, root: Path) -> None:
        values = numbers((2, 3, 4, 6), "u2")
        image(root, values, {"t": "time", "c": "channel", "y": "space", "x": "space"})
        with opened(root) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps, len(spec.fields)) == ((4, 6), 2, 3)
            assert same(whole(source, field=2, timestep=1), values[1, 2])


class TestPlain:
    def test_last_of_three_is_colour(self, root: Path) -> None:
        values = numbers((6, 8, 3), "u1")
        put(root / "a", values)
        with opened(root) as source:
            assert same(whole(source), values)
            assert source.spec.datasets[0].fields[0].components == 3
        assert_choices_round_trip(root, {}, None)

    def test_parameter_turns(self, root: Path) -> None:
        values = numbers((6, 8, 5), "u1")
        put(root / "a", values)
        with opened(root, {"axes": "xyt"}) as source:
            spec = source.spec.datasets[0]
            assert (spec.shape, spec.timesteps) == ((8, 6), 5)
            assert same(whole(source, timestep=4), values[..., 4].T)
            assert chosen(source, "axes") == "xyt"

    def test_text_is_no_data(self, root: Path) -> None:
        group(root / "s", {})
        blob = json.dumps({"stage": ["x", "y"], "words": "of a microscope " * 9}).encode()
        put(root / "s" / "blob", np.frombuffer(blob.ljust(9000, b"\0"), "u1").reshape(90, 100))
        values = numbers((6, 8), "u1")
        put(root / "s" / "image", values)
        with opened(root) as source:
            assert same(whole(source), values)
