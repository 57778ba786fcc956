"""Where DICOM slices lie in space and time, and what is told of what a grid cannot say."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, uid
from pydicom.dataset import FileDataset

from scientistcloud.errors import AmbiguousFormat, InvalidOptions, UnsupportedLayout
from scientistcloud.readers.dicom.stack import stack_of
from tests.readers.dicom.test_dicom import noise, open_at, quiet, save, whole

__all__ = ["quiet"]
AXIAL = (1.0, 0, 0, 0, 1, 0)


def change(path: Path, edit: Callable[[FileDataset], Any]) -> None:
    dataset = dcmread(path)
    edit(dataset)
    dataset.save_as(path)


def test_a_missing_slice_stays_empty_and_all_others_keep_their_place(tmp_path: Path) -> None:
    values = noise((6, 4, 5), "i2")
    for z in (0, 1, 2, 4, 5):
        save(tmp_path / f"{z}.dcm", values[z], 1.6 * z, RescaleSlope=1, RescaleIntercept=-1000)
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert dataset.shape == (6, 4, 5)
        assert dataset.axes[0].spacing == pytest.approx(1.6)
        assert any("missing behind number 3" in note for note in source.spec.notes)
        assert dataset.fields[0].fill_value == -1000
        mine = whole(source)
    assert (mine[3] == -1000).all()
    present = [0, 1, 2, 4, 5]
    assert np.array_equal(mine[present], values[present].astype("i4") - 1000)
    with open_at(tmp_path, tmp_path, gaps="closed") as source:
        (dataset,) = source.spec.datasets
        assert dataset.shape == (5, 4, 5)
        assert dataset.axes[0].spacing == pytest.approx(1.6)
        assert any("closed up" in note for note in source.spec.notes)
        assert dataset.fields[0].fill_value is None
    with pytest.raises(InvalidOptions, match="gaps"):
        open_at(tmp_path, tmp_path, gaps="some")


def test_uneven_slices_keep_a_spacing_and_tell_their_positions(tmp_path: Path) -> None:
    places = [0.0, 1.0, 2.3, 3.1, 5.0]
    for z, place in enumerate(places):
        save(tmp_path / f"{z}.dcm", noise((4, 5), "i2"), place)
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert dataset.shape == (5, 4, 5)
        assert dataset.axes[0].spacing == pytest.approx(1.25)
        assert any("not evenly placed (0.8 to 1.9 mm)" in note for note in source.spec.notes)
        positions = dataset.metadata["slice_positions"]
    assert [p[2] for p in positions] == places


def test_even_slices_are_not_remarked_upon(tmp_path: Path) -> None:
    for z in range(7):
        save(tmp_path / f"{z}.dcm", noise((4, 5), "i2"), round(3.3333 * z, 4))
    with open_at(tmp_path, tmp_path) as source:
        assert source.spec.datasets[0].axes[0].spacing == pytest.approx(3.3333, abs=1e-4)
        assert len(source.spec.notes) == 1
        assert "gaps" not in [c.parameter for c in source.spec.choices]


@given(
    st.lists(st.integers(0, 40), min_size=2, max_size=25, unique=True).map(sorted),
    st.sampled_from([0.3, 1.6, 5.0]),
)
@settings(deadline=None)
def test_every_slice_of_a_stack_is_used_once_and_lies_where_it_was(
    numbers: list[int], spacing: float
) -> None:
    places = [(1.0, 2.0, spacing * n) for n in numbers]
    stack = stack_of(places, AXIAL, 0.5, "s", may_fill=True)
    assert [i for i in stack.filled if i >= 0] == list(range(len(numbers)))
    assert stack.spacing is not None
    assert stack.step[2] == pytest.approx(stack.spacing)
    if -1 in stack.filled:
        for at, i in enumerate(stack.filled):
            if i >= 0:
                assert at * stack.spacing == pytest.approx(spacing * (numbers[i] - numbers[0]))


def test_gantry_tilt_is_told_and_lies_in_the_matrix(tmp_path: Path) -> None:
    for z in range(4):
        save(tmp_path / f"{z}.dcm", noise((4, 5), "i2"), 0.0)
        change(
            tmp_path / f"{z}.dcm",
            lambda d, z=z: setattr(d, "ImagePositionPatient", [7.0, 3.0 - 0.5 * z, 2.0 * z]),
        )
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert any("gantry tilt" in note for note in source.spec.notes)
    expected = [[0.25, 0, 0, 7], [0, 0.5, -0.5, 3], [0, 0, 2, 0], [0, 0, 0, 1]]
    assert np.allclose(dataset.matrix, expected)
    assert dataset.axes[0].spacing == pytest.approx(2.0)


def test_oblique_slices_have_a_matrix_and_no_remark(tmp_path: Path) -> None:
    turn = (0.8, 0.6, 0, 0, 0, 1)
    normal = np.cross(turn[:3], turn[3:])
    for z in range(4):
        save(tmp_path / f"{z}.dcm", noise((4, 5), "i2"), 1.5 * z, turn=turn)
    with open_at(tmp_path, tmp_path) as source:
        matrix = np.array(source.spec.datasets[0].matrix)
        assert len(source.spec.notes) == 1
    assert np.allclose(matrix[:3, 0], np.array(turn[:3]) * 0.25)
    assert np.allclose(matrix[:3, 1], np.array(turn[3:]) * 0.5)
    assert np.allclose(matrix[:3, 2], normal * 1.5)


def test_slices_that_jump_within_their_plane_are_told(tmp_path: Path) -> None:
    for z in range(4):
        save(tmp_path / f"{z}.dcm", noise((4, 5), "i2"), 0.0)
        place = [3.0 if z == 2 else 0.0, 0.0, 2.0 * z]
        change(tmp_path / f"{z}.dcm", lambda d, p=place: setattr(d, "ImagePositionPatient", p))
    with open_at(tmp_path, tmp_path) as source:
        assert any("shifted against each other" in note for note in source.spec.notes)
        assert source.spec.datasets[0].metadata["slice_positions"][2] == [3.0, 0.0, 4.0]


def test_copies_are_left_out_and_named(tmp_path: Path) -> None:
    values = noise((3, 4, 5), "u2")
    (tmp_path / "a").mkdir()
    for z in range(3):
        save(tmp_path / "a" / f"{z}.dcm", values[z], float(z))
    shutil.copytree(tmp_path / "a", tmp_path / "a copy")
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert (dataset.shape, dataset.timesteps) == ((3, 4, 5), 1)
        assert np.array_equal(whole(source), values)
        (note,) = [n for n in source.spec.notes if "copies" in n]
        assert "a copy/0.dcm (as a/0.dcm)" in note


def test_one_instance_uid_for_all_makes_no_copies(tmp_path: Path) -> None:
    values = noise((3, 4, 5), "u2")
    for z in range(3):
        save(tmp_path / f"{z}.dcm", values[z], float(z), SOPInstanceUID="1.2.3.4")
    with open_at(tmp_path, tmp_path) as source:
        assert np.array_equal(whole(source), values)
        assert not any("copies" in note for note in source.spec.notes)


def test_two_images_at_one_place_stay_two_timesteps(tmp_path: Path) -> None:
    values = noise((2, 3, 4, 5), "u2")
    for t in range(2):
        for z in range(3):
            save(
                tmp_path / f"{t}{z}.dcm", values[t, z], float(z),
                AcquisitionDate="20240229", AcquisitionTime=f"23595{7 + t}.25",
            )  # fmt: skip
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert (dataset.times, dataset.time_units) == ((0.0, 1.0), "s")
        assert np.array_equal(whole(source, 1), values[1])


def dose(path: Path, values: np.ndarray, offsets: list[float], **elements: Any) -> None:
    save(
        path, values, 3.0, NumberOfFrames=len(values), Modality="RTDOSE", DoseGridScaling="1e-6",
        DoseUnits="GY", GridFrameOffsetVector=offsets, **elements,
    )  # fmt: skip


@pytest.mark.parametrize("absolute", [False, True])
def test_doses_are_scaled_and_placed(absolute: bool, tmp_path: Path) -> None:
    values = noise((4, 5, 6), "u4")
    start = 3.0 if absolute else 0.0
    dose(tmp_path / "d.dcm", values, [start + 2.5 * k for k in range(4)])
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert np.array_equal(whole(source), values * 1e-6)
        assert [(a.spacing, a.origin) for a in dataset.axes] == [(2.5, 3.0), (0.5, 0), (0.25, 0)]
        assert dataset.fields[0].units == "Gy"
        assert any("DoseGridScaling" in note for note in source.spec.notes)


def test_offsets_downwards_turn_the_order(tmp_path: Path) -> None:
    values = noise((4, 5, 6), "u4")
    dose(tmp_path / "d.dcm", values, [0, -2, -4, -6])
    with open_at(tmp_path, tmp_path) as source:
        assert np.array_equal(whole(source), values[::-1] * 1e-6)
        assert source.spec.datasets[0].axes[0].origin == -3.0


def segmentation(
    path: Path, values: np.ndarray, order: list[tuple[int, float]], syntax: Any
) -> None:
    """Frames of one bit; `order` tells of each its segment and its z."""
    groups = []
    for segment, z in order:
        plane, turn, which, group = Dataset(), Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient, turn.ImageOrientationPatient = [0.0, 0, z], list(AXIAL)
        which.ReferencedSegmentNumber = segment
        group.PlanePositionSequence, group.PlaneOrientationSequence = [plane], [turn]
        group.SegmentIdentificationSequence = [which]
        groups.append(group)
    segments = []
    for number in sorted({s for s, _ in order}):
        segment_item = Dataset()
        segment_item.SegmentNumber, segment_item.SegmentLabel = number, f"organ{number}"
        segments.append(segment_item)
    save(
        path, values, NumberOfFrames=len(values), PerFrameFunctionalGroupsSequence=groups,
        SegmentSequence=segments,
    )  # fmt: skip
    dataset = dcmread(path)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = 0
    raw = np.packbits(values.ravel(), bitorder="little").tobytes()
    dataset.PixelData = raw + bytes(len(raw) % 2)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)


@pytest.mark.parametrize("size", [(5, 7), (4, 8), (1, 3), (9, 13)])
def test_frames_of_bits_end_anywhere(size: tuple[int, int], tmp_path: Path) -> None:
    values = noise((5, *size), "u1") & 1
    order = [(1, 2.0 * k) for k in range(5)]
    segmentation(tmp_path / "s.dcm", values, order, uid.ExplicitVRLittleEndian)
    with open_at(tmp_path, tmp_path) as source:
        assert np.array_equal(whole(source).reshape(values.shape), values)


@pytest.mark.parametrize("size", [(5, 7), (4, 8)])
def test_deflated_bits_are_right_or_refused(size: tuple[int, int], tmp_path: Path) -> None:
    values = noise((5, *size), "u1") & 1
    order = [(1, 2.0 * k) for k in range(5)]
    segmentation(tmp_path / "s.dcm", values, order, uid.DeflatedExplicitVRLittleEndian)
    if size == (5, 7):
        with pytest.raises(UnsupportedLayout, match="single bits"):
            open_at(tmp_path, tmp_path)
    else:
        with open_at(tmp_path, tmp_path) as source:
            assert np.array_equal(whole(source), values)


def test_segments_become_datasets_and_frames_left_out_are_empty(tmp_path: Path) -> None:
    values = noise((7, 5, 7), "u1") & 1
    order = [(1, 0.0), (1, 2.0), (1, 6.0), (1, 8.0), (2, 4.0), (2, 6.0), (2, 8.0)]
    segmentation(tmp_path / "s.dcm", values, order, uid.ExplicitVRLittleEndian)
    with open_at(tmp_path, tmp_path) as source:
        labels = [d.metadata["series"] for d in source.spec.datasets]
        assert [label.split()[-1] for label in labels] == ["organ1", "organ2"]
        mine = whole(source)
        assert not mine[2].any()
        assert np.array_equal(mine[[0, 1, 3, 4]], values[:4])
        assert np.array_equal(whole(source, 0, 1), values[4:])
        assert source.spec.datasets[1].axes[0].origin == 4.0


def test_orientations_of_one_file_become_datasets(tmp_path: Path) -> None:
    values = noise((3, 6, 6), "u2")
    groups = []
    for turn_of in ((1.0, 0, 0, 0, 1, 0), (1.0, 0, 0, 0, 0, -1), (0.0, 1, 0, 0, 0, -1)):
        plane, turn, group = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient, turn.ImageOrientationPatient = [0.0, 0, 0], list(turn_of)
        group.PlanePositionSequence, group.PlaneOrientationSequence = [plane], [turn]
        groups.append(group)
    save(tmp_path / "scout.dcm", values, NumberOfFrames=3, PerFrameFunctionalGroupsSequence=groups)
    with open_at(tmp_path, tmp_path) as source:
        assert [d.shape for d in source.spec.datasets] == [(6, 6)] * 3
        for i in range(3):
            assert np.array_equal(whole(source, 0, i), values[i])


def test_orientations_that_differ_by_rounding_stay_together(tmp_path: Path) -> None:
    for z in range(4):
        turn = (1.0, 0.00049999 + 2e-8 * z, 0, 0, 1, 0)
        save(tmp_path / f"{z}.dcm", noise((4, 5), "i2"), float(z), turn=turn)
    with open_at(tmp_path, tmp_path) as source:
        assert [d.shape for d in source.spec.datasets] == [(4, 4, 5)]


def mosaic(path: Path, volume: np.ndarray, time: int, *, told: bool = True) -> None:
    """Seven slices as nine tiles, the last two empty."""
    depth, rows, columns = volume.shape
    tiles = np.zeros((9, rows, columns), volume.dtype)
    tiles[:depth] = volume
    image = tiles.reshape(3, 3, rows, columns).transpose(0, 2, 1, 3).reshape(3 * rows, 3 * columns)
    save(
        path, image, 0.0, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"],
        SpacingBetweenSlices=3.0, AcquisitionNumber=time + 1, AcquisitionTime=f"10000{2 * time}.5",
    )  # fmt: skip

    def edit(dataset: FileDataset) -> None:
        # As of one large image about the same centre.
        dataset.ImagePositionPatient = [-0.25 * columns, -0.5 * rows, 5.0]
        if told:
            block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            block.add_new(0x0A, "US", depth)

    change(path, edit)


def test_mosaics_are_cut_into_slices(tmp_path: Path) -> None:
    values = noise((2, 7, 4, 6), "u2")
    for t in range(2):
        mosaic(tmp_path / f"{t}.dcm", values[t], t)
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert (dataset.shape, dataset.timesteps, dataset.times) == ((7, 4, 6), 2, (0.0, 2.0))
        for t in range(2):
            assert np.array_equal(whole(source, t), values[t])
        assert [(a.spacing, a.origin) for a in dataset.axes] == [(3, 5), (0.5, 0), (0.25, 0)]
        assert any("cut into its 7 slices" in note for note in source.spec.notes)


def test_a_mosaic_that_tells_no_number_is_kept_and_told(tmp_path: Path) -> None:
    mosaic(tmp_path / "0.dcm", noise((7, 4, 6), "u2"), 0, told=False)
    with open_at(tmp_path, tmp_path) as source:
        assert source.spec.datasets[0].shape == (12, 18)
        assert any("do not tell how many slices" in note for note in source.spec.notes)


def test_a_slice_that_lacks_one_time_is_ambiguous(tmp_path: Path) -> None:
    for name, place in (("a", 0.0), ("b", 1.0), ("c", 1.0)):
        save(tmp_path / f"{name}.dcm", noise((4, 5), "u2"), place)
    with pytest.raises(AmbiguousFormat, match="some slices have 1 images"):
        open_at(tmp_path, tmp_path)


def test_times_of_a_loop_with_uneven_intervals(tmp_path: Path) -> None:
    save(tmp_path / "a.dcm", noise((3, 4, 5), "u1"), NumberOfFrames=3, FrameTimeVector=[0, 40, 60])
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
        assert (dataset.times, dataset.time_units) == ((0.0, 0.04, 0.1), "s")
