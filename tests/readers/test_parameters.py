"""Parameters: each is explained, none that does nothing is passed over in silence."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import tifffile

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import InvalidOptions, MissingMember
from scientistcloud.readers.base import SourceSpec
from scientistcloud.readers.parameters import PARAMETERS
from scientistcloud.readers.registry import READERS

FORMATS = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.fixture
def up(tmp_path: Path) -> Path:
    folder = tmp_path / "up"
    folder.mkdir()
    return folder


def spec_of(root: Path, **parameters: object) -> SourceSpec:
    with open_source(root, None, parameters, root.parent) as source:
        return source.spec


def write_volumes(folder: Path, shape: tuple[int, ...] = (4, 5, 6)) -> None:
    for name in ("scan_1", "scan_2", "scan_10"):
        image = nibabel.Nifti1Image(np.ones(shape, "i2"), np.eye(4))  # type: ignore[no-untyped-call]
        nibabel.save(image, folder / f"{name}.nii")


def test_every_format_is_listed() -> None:
    assert list(PARAMETERS) == [name for name, _ in READERS]


def test_every_parameter_is_explained() -> None:
    text = FORMATS.read_text(encoding="utf-8")
    table = text.partition("\n## Parameters\n")[2].partition("\n## ")[0]
    names = {name for known in PARAMETERS.values() for name in known}
    assert [name for name in sorted(names) if f"`{name}`" not in table] == []


def test_misspelt_parameter_is_noted(up: Path) -> None:
    tifffile.imwrite(up / "a.tif", np.ones((5, 6), "u1"))
    notes = spec_of(up, arangement="depth").notes
    assert notes == (
        "Parameters without effect on tiff files: arangement. Perhaps arrangement was meant.",
    )


def test_what_inspect_gives_can_be_passed_back_without_a_note(up: Path) -> None:
    write_volumes(up, (4, 5, 6, 2))
    first = spec_of(up)
    again = spec_of(up, **{c.parameter: c.chosen for c in first.choices})
    assert {c.parameter for c in first.choices} == {"arrangement", "time_axis"}
    assert (again.notes, again.datasets) == (first.notes, first.datasets)


def test_one_vocabulary_for_images_and_volumes(up: Path) -> None:
    write_volumes(up)
    (dataset,) = spec_of(up, arrangement="time").datasets
    assert (dataset.timesteps, dataset.shape) == (3, (6, 5, 4))
    with pytest.raises(InvalidOptions, match="Only images"):
        spec_of(up, arrangement="depth")


def test_volumes_are_not_offered_as_slices(up: Path) -> None:
    write_volumes(up)
    (choice,) = spec_of(up).choices
    assert (choice.chosen, choice.alternatives) == ("timesteps", ("fields", "datasets"))


def test_images_take_the_words_for_volumes(up: Path) -> None:
    for number in range(3):
        tifffile.imwrite(up / f"a{number}.tif", np.ones((5, 6), "u1"))
    (dataset,) = spec_of(up, arrangement="timesteps").datasets
    assert (dataset.timesteps, dataset.shape) == (3, (5, 6))


def test_a_member_of_a_series_whose_data_are_missing_is_no_gap(up: Path) -> None:
    for number in (1, 2, 3):
        with h5py.File(up / f"step_{number}.h5", "w") as file:
            if number == 2:
                file["data"] = h5py.ExternalLink("gone.h5", "/data")
            else:
                file["data"] = np.ones((4, 5, 6))
    with pytest.raises(MissingMember, match=r"step_2\.h5 refers to 'gone\.h5'"):
        spec_of(up)
