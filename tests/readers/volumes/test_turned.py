"""The parameter ``axes`` for formats whose headers name their axes."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.readers.opening import assert_choices_round_trip, chosen, error_of, opened, whole


@pytest.fixture
def values() -> np.ndarray:
    return np.arange(4 * 5 * 6, dtype="<i2").reshape(4, 5, 6)


def nifti(folder: Path, values: np.ndarray) -> Path:
    made = nibabel.Nifti1Image(values.transpose(), np.diag([0.5, 0.5, 2, 1]), dtype="int16")
    nibabel.save(made, folder / "a.nii")
    return folder


def raw(folder: Path, values: np.ndarray) -> Path:
    (folder / "a_6x5x4_int16.raw").write_bytes(values.tobytes())
    return folder


@pytest.mark.parametrize("write", [nifti, raw])
class TestTurned:
    def test_a_stack_becomes_a_series(self, write, values, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        with opened(write(tmp_path, values), {"axes": "tyx"}) as source:
            assert source.spec.datasets[0].timesteps == 4
            assert source.spec.datasets[0].shape == (5, 6)
            assert (whole(source, timestep=3) == values[3]).all()
            assert chosen(source, "axes") == "tyx"
        assert_choices_round_trip(tmp_path, {"axes": "tyx"}, None)

    def test_the_order_is_turned_round(self, write, values, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        with opened(write(tmp_path, values), {"axes": "xyz"}) as source:
            assert (whole(source) == values.transpose()).all()

    def test_fields_and_components(self, write, values, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        with opened(write(tmp_path, values), {"axes": "fyx"}) as source:
            assert len(source.spec.datasets[0].fields) == 4
            assert (whole(source, field=2) == values[2]).all()
        with opened(tmp_path, {"axes": "cyx"}) as source:
            assert source.spec.datasets[0].fields[0].components == 4
            assert (whole(source) == np.moveaxis(values, 0, -1)).all()

    def test_nonsense(self, write, values, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
        write(tmp_path, values)
        assert error_of(tmp_path, {"axes": "xxy"}).code == "InvalidOptions"
        assert error_of(tmp_path, {"axes": "tzyx"}).code == "InvalidOptions"


def test_spacing_goes_with_the_axes(values: np.ndarray, tmp_path: Path) -> None:
    with opened(nifti(tmp_path, values), {"axes": "xyz"}) as source:
        assert [a.spacing for a in source.spec.datasets[0].axes] == [0.5, 0.5, 2.0]
    with opened(tmp_path, {"axes": "tyx"}) as source:
        assert source.spec.datasets[0].times == (0.0, 2.0, 4.0, 6.0)
