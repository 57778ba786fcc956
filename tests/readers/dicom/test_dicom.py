"""DICOM images as pydicom writes and reads them; its own test files stand for the instruments."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset, dcmread, dcmwrite, uid
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import (
    AmbiguousFormat,
    ConversionError,
    CorruptSource,
    InvalidOptions,
    UnrecognizedFormat,
    UnsupportedLayout,
)
from scientistcloud.grid import Box
from scientistcloud.readers.base import Source
from tests.readers.contract import Case, SourceContract, read_box

RNG = np.random.default_rng(14)
THEIRS = Path(pydicom.__file__).parent / "data" / "test_files"


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """pydicom comments on its own odd test files."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pydicom")
        yield
    logging.disable(logging.NOTSET)


def noise(shape: tuple[int, ...], dtype: str, bits: int = 0) -> np.ndarray:
    kind = np.dtype(dtype)
    bits = bits or 8 * kind.itemsize
    low = -(1 << bits - 1) if kind.kind == "i" else 0
    return RNG.integers(low, low + (1 << bits), shape, "i8").astype(kind)


def save(
    path: Path,
    pixels: np.ndarray,
    position: float | None = None,
    *,
    series: str = "1.2.3",
    syntax: Any = uid.ExplicitVRLittleEndian,
    turn: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    **elements: Any,
) -> None:
    """Write one image (rows, columns[, 3]) or several frames with ``NumberOfFrames``."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = uid.CTImageStorage
    meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    dataset = FileDataset(str(path), Dataset(), file_meta=meta, preamble=bytes(128))
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid.CTImageStorage, uid.generate_uid()
    dataset.SeriesInstanceUID, dataset.Modality = series, "MR"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "secret"
    frames = "NumberOfFrames" in elements
    color = pixels.ndim == 3 + frames
    dataset.Rows, dataset.Columns = pixels.shape[frames : 2 + frames]
    dataset.SamplesPerPixel = 3 if color else 1
    dataset.PhotometricInterpretation = "RGB" if color else "MONOCHROME2"
    if color:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.PixelSpacing = [0.5, 0.25]
    if position is not None:
        normal = np.cross(turn[:3], turn[3:])
        dataset.ImagePositionPatient = [float(v) for v in position * normal]
        dataset.ImageOrientationPatient = [float(v) for v in turn]
    for name, value in elements.items():
        setattr(dataset, name, value)
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OW"
    dcmwrite(path, dataset)


def open_at(root: Path, tmp_path: Path, **parameters: Any) -> Source:
    scratch = tmp_path / "scratch-of-test"
    scratch.mkdir(exist_ok=True)
    return open_source(root, None, parameters, scratch)


def whole(source: Source, timestep: int = 0, dataset: int = 0) -> np.ndarray:
    spec = source.spec.datasets[dataset]
    return read_box(source, spec.fields[0], timestep, Box.of_shape(spec.shape))


def stack(dtype: str, syntax: Any = uid.ExplicitVRLittleEndian) -> Callable[[Path], Case]:
    def make(folder: Path) -> Case:
        values = noise((6, 9, 13), dtype)
        for z in range(6):
            # Names and numbers run against the order in space.
            save(folder / f"IM{9 - z}", values[z], 2.0 * z, syntax=syntax, InstanceNumber=9 - z)
        return Case(folder, {"data": values})

    return make


def make_oblique(folder: Path) -> Case:
    values = noise((5, 9, 13), "i2")
    for z in (3, 0, 4, 1, 2):
        save(folder / f"{z}.dcm", values[z], -1.5 + z, turn=(0.8, 0.6, 0, 0, 0, 1))
    return Case(folder, {"data": values})


def make_rescaled_integers(folder: Path) -> Case:
    values = noise((4, 9, 13), "u2", 12)
    for z in range(4):
        save(
            folder / f"{z}.dcm", values[z], float(z),
            BitsStored=12, HighBit=11, RescaleSlope="1", RescaleIntercept="-1024",
        )  # fmt: skip
    return Case(folder, {"data": values.astype("i2") - np.int16(1024)})


def make_rescaled_wide(folder: Path) -> Case:
    values = noise((4, 9, 13), "u2")
    for z in range(4):
        save(folder / f"{z}.dcm", values[z], float(z), RescaleSlope="2", RescaleIntercept="-9")
    return Case(folder, {"data": values.astype("i4") * 2 - 9})


def make_rescaled_slice_by_slice(folder: Path) -> Case:
    values = noise((4, 9, 13), "i2")
    slopes = [0.25, 0.5, 1.75, 3.0]
    for z in range(4):
        save(folder / f"{z}.dcm", values[z], float(z), RescaleSlope=slopes[z], RescaleIntercept=1)
    scaled = values * np.array(slopes).reshape(-1, 1, 1) + 1
    return Case(folder, {"data": scaled.astype("f4")})


def make_dirty_bits(folder: Path) -> Case:
    values = noise((4, 9, 13), "i2", 12)
    dirty = (values & 0x0FFF) | noise(values.shape, "i2") & ~np.int16(0x0FFF)
    for z in range(4):
        save(folder / f"{z}.dcm", dirty[z], float(z), BitsStored=12, HighBit=11)
    assert not np.array_equal(dirty, values)
    return Case(folder, {"data": values})


def make_times(folder: Path) -> Case:
    values = noise((3, 4, 9, 13), "u2")
    for t in range(3):
        for z in range(4):
            save(
                folder / f"{z}-{t}.dcm", values[t, z], float(z),
                TemporalPositionIdentifier=t + 1, InstanceNumber=t + 3 * (4 - z),
            )  # fmt: skip
    return Case(folder, {"data": values})


def make_colors(folder: Path) -> Case:
    values = noise((9, 13, 3), "u1")
    save(folder / "color.dcm", values)
    return Case(folder, {"data": values})


def make_planar(folder: Path) -> Case:
    values = noise((9, 14, 3), "u1")
    save(folder / "color.dcm", values)
    dataset = dcmread(folder / "color.dcm")
    dataset.PlanarConfiguration = 1
    dataset.PixelData = np.ascontiguousarray(values.transpose(2, 0, 1)).tobytes()
    dataset.save_as(folder / "color.dcm")
    return Case(folder, {"data": values})


def make_cine(folder: Path) -> Case:
    values = noise((5, 9, 13), "u1")
    save(folder / "loop.dcm", values, NumberOfFrames=5, FrameTime="40")
    return Case(folder, {"data": values})


def make_enhanced(folder: Path) -> Case:
    values = noise((5, 9, 13), "i2")
    order = [3, 0, 4, 1, 2]
    groups = []
    for z in order:
        plane, turn, group = Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [0.0, 0.0, 2.5 * z]
        turn.ImageOrientationPatient = [1.0, 0, 0, 0, 1, 0]
        group.PlanePositionSequence, group.PlaneOrientationSequence = [plane], [turn]
        groups.append(group)
    save(
        folder / "multi.dcm", values[order], NumberOfFrames=5,
        PerFrameFunctionalGroupsSequence=groups,
    )  # fmt: skip
    return Case(folder, {"data": values})


def make_numbered(folder: Path) -> Case:
    values = noise((12, 9, 13), "u1")
    for z in range(12):
        save(folder / f"{11 - z}.dcm", values[z], InstanceNumber=z + 1)
    return Case(folder, {"data": values})


def make_rle(folder: Path) -> Case:
    values = noise((4, 9, 13), "u2")
    for z in range(4):
        path = folder / f"{z}.dcm"
        save(path, values[z], float(z))
        dataset = dcmread(path)
        dataset.compress(uid.RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    return Case(folder, {"data": values})


def make_jpeg2000(folder: Path) -> Case:
    values = noise((4, 32, 48), "u2")
    for z in range(4):
        path = folder / f"{z}.dcm"
        save(path, values[z], float(z))
        dataset = dcmread(path)
        stream = imagecodecs.jpeg2k_encode(values[z], codecformat="j2k", level=0)
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = uid.JPEG2000Lossless
        dataset.save_as(path)
        assert np.array_equal(pixel_array(path), values[z])
    return Case(folder, {"data": values})


def make_deflated(folder: Path) -> Case:
    values = noise((9, 13), "u2")
    save(folder / "a.dcm", values, syntax=uid.DeflatedExplicitVRLittleEndian)
    return Case(folder, {"data": values})


CASES: dict[str, Callable[[Path], Case]] = {
    **{dtype: stack(dtype) for dtype in ("u1", "i1", "u2", "i2", "u4", "i4")},
    "implicit": stack("i2", uid.ImplicitVRLittleEndian),
    "big-endian": stack("i2", uid.ExplicitVRBigEndian),
    "oblique": make_oblique,
    "rescaled integers": make_rescaled_integers,
    "rescaled wide": make_rescaled_wide,
    "rescaled slice by slice": make_rescaled_slice_by_slice,
    "dirty bits": make_dirty_bits,
    "times": make_times,
    "colors": make_colors,
    "planar": make_planar,
    "cine": make_cine,
    "enhanced": make_enhanced,
    "numbered": make_numbered,
    "RLE": make_rle,
    "JPEG 2000": make_jpeg2000,
    "deflated": make_deflated,
}


class TestDicom(SourceContract):
    @pytest.fixture(params=CASES)
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        return CASES[request.param](tmp_path)


def test_sample_series(samples: Path, tmp_path: Path) -> None:
    folder = samples / "dicom" / "wk_series"
    files = [dcmread(p) for p in folder.iterdir()]
    turn = np.array(files[0].ImageOrientationPatient, float)
    normal = np.cross(turn[:3], turn[3:])
    files.sort(key=lambda f: float(np.dot(np.array(f.ImagePositionPatient, float), normal)))
    with open_at(folder, tmp_path) as source:
        mine = whole(source)
        assert source.spec.datasets[0].timesteps == 1
    theirs = np.stack([f.pixel_array for f in files])
    assert mine.dtype == theirs.dtype
    assert np.array_equal(mine, theirs)


def test_sample_with_planes_of_color(samples: Path, tmp_path: Path) -> None:
    path = samples / "dicom" / "color_planar.dcm"
    with open_at(path, tmp_path) as source:
        assert np.array_equal(whole(source), dcmread(path).pixel_array)


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "MR_small_expb.dcm",
        "MR_small_implicit.dcm", "MR_small_padded.dcm", "MR_small_RLE.dcm",
        "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "ExplVR_BigEnd.dcm",
        "JPEG2000.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm", "GDCMJ2K_TextGBR.dcm",
        "liver_1frame.dcm", "liver_expb_1frame.dcm",
        "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "rtdose.dcm", "rtdose_rle.dcm",
        "rtdose_1frame.dcm", "examples_rgb_color.dcm",
        "SC_rgb_small_odd.dcm", "SC_rgb_small_odd_big_endian.dcm", "SC_rgb_rle.dcm",
        "SC_rgb_rle_16bit.dcm", "SC_rgb_rle_2frame.dcm", "SC_ybr_full_422_uncompressed.dcm",
        "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_jls_lossy_line.dcm",
        "examples_jpeg2k.dcm", "examples_overlay.dcm",
    ],
)  # fmt: skip
def test_files_of_pydicom(name: str, tmp_path: Path) -> None:
    path = THEIRS / name
    dataset = dcmread(path, force=True)
    theirs = pixel_array(path).astype("f8")
    if dataset.SamplesPerPixel == 1 and "RescaleSlope" in dataset:
        theirs = theirs * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    if "DoseGridScaling" in dataset:
        theirs = theirs * float(dataset.DoseGridScaling)
    with open_at(path, tmp_path) as source:
        spec = source.spec.datasets[0]
        mine = np.stack([whole(source, t) for t in range(spec.timesteps)]).reshape(theirs.shape)
    assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("name", ["SC_rgb_dcmtk_+eb+cr.dcm", "SC_rgb_jpeg_dcmtk.dcm"])
def test_lossy_jpeg_is_theirs_up_to_rounding(name: str, tmp_path: Path) -> None:
    theirs = pixel_array(THEIRS / name, decoding_plugin="gdcm")
    with open_at(THEIRS / name, tmp_path) as source:
        mine = whole(source)
    assert mine.shape == theirs.shape
    assert np.abs(mine.astype(int) - theirs.astype(int)).max() <= 2


def test_jpeg_with_halved_colors_is_that_of_pillow(tmp_path: Path) -> None:
    path = THEIRS / "examples_ybr_color.dcm"
    with open_at(path, tmp_path) as source:
        for frame in (0, 7, 29):
            theirs = pixel_array(path, index=frame, decoding_plugin="pillow")
            assert np.array_equal(whole(source, frame), theirs)


def test_palette_becomes_color(tmp_path: Path) -> None:
    path = THEIRS / "examples_palette.dcm"
    dataset = dcmread(path)
    with open_at(path, tmp_path) as source:
        assert np.array_equal(whole(source), apply_color_lut(dataset.pixel_array, dataset))


def test_placement_units_and_metadata(tmp_path: Path) -> None:
    for z in range(3):
        save(
            tmp_path / f"{z}.dcm", noise((4, 5), "i2"), 10 + 2.5 * z,
            Modality="CT", RescaleSlope=1, RescaleIntercept=0, SeriesDescription="Head",
        )  # fmt: skip
    with open_at(tmp_path, tmp_path) as source:
        (dataset,) = source.spec.datasets
    assert [(a.name, a.spacing, a.origin, a.units) for a in dataset.axes] == [
        ("z", 2.5, 10.0, "mm"),
        ("y", 0.5, 0.0, "mm"),
        ("x", 0.25, 0.0, "mm"),
    ]
    assert dataset.fields[0].units == "HU"
    assert dataset.metadata["attributes"]["SeriesDescription"] == "Head"
    text = str(dataset.metadata) + str(source.spec.metadata)
    assert "Doe" not in text
    assert "secret" not in text


def test_times_of_a_cine_loop(tmp_path: Path) -> None:
    make_cine(tmp_path)
    with open_at(tmp_path, tmp_path) as source:
        assert source.spec.datasets[0].times == pytest.approx((0, 0.04, 0.08, 0.12, 0.16))


def test_series_become_datasets(tmp_path: Path) -> None:
    for z in range(3):
        save(tmp_path / f"a{z}", noise((4, 5), "i2"), float(z), SeriesDescription="small")
    big = noise((6, 4, 5), "i2")
    for z in range(6):
        save(tmp_path / f"b{z}", big[z], float(z), series="1.2.4", SeriesDescription="big")
    turn = (0, 1, 0, 0, 0, 1)
    save(
        tmp_path / "c", noise((4, 5), "i2"), 1.0, series="1.2.4", turn=turn, SeriesDescription="big"
    )
    with open_at(tmp_path, tmp_path) as source:
        assert [d.name for d in source.spec.datasets] == ["", "small", "big_2"]
        assert np.array_equal(whole(source), big)
        (choice,) = [c for c in source.spec.choices if c.parameter == "series"]
        assert (choice.chosen, choice.alternatives) == ("big", ("small", "big 2"))
    with open_at(tmp_path, tmp_path, series="small") as source:
        assert source.spec.datasets[0].shape == (3, 4, 5)
    with pytest.raises(InvalidOptions, match="small"):
        open_at(tmp_path, tmp_path, series="none")


def test_unlike_numbers_of_images_are_ambiguous(tmp_path: Path) -> None:
    for i, z in enumerate((0, 1, 1, 2)):
        save(tmp_path / f"{i}.dcm", noise((4, 5), "i2"), float(z))
    with pytest.raises(AmbiguousFormat, match="1 images, others 2"):
        open_at(tmp_path, tmp_path)


def test_inverted_gray_is_kept_and_told(tmp_path: Path) -> None:
    values = noise((4, 5), "u2")
    save(tmp_path / "a.dcm", values, PhotometricInterpretation="MONOCHROME1")
    with open_at(tmp_path, tmp_path) as source:
        assert np.array_equal(whole(source), values)
        assert any("MONOCHROME1" in note for note in source.spec.notes)


def test_directories_and_reports_are_left_out(tmp_path: Path) -> None:
    save(tmp_path / "a.dcm", noise((4, 5), "u2"))
    for name, there in (("DICOMDIR", "dicomdirtests/DICOMDIR"), ("report.dcm", "reportsi.dcm")):
        (tmp_path / name).write_bytes((THEIRS / there).read_bytes())
    with open_at(tmp_path, tmp_path) as source:
        assert [p.name for p in source.spec.inputs] == ["a.dcm"]
        assert any("report.dcm" in note for note in source.spec.notes)
    (tmp_path / "a.dcm").unlink()
    with pytest.raises(UnrecognizedFormat, match=r"report\.dcm"):
        open_at(tmp_path, tmp_path)


@pytest.mark.parametrize("end", [200, 400, 560])
def test_a_slice_that_is_cut_short_is_no_stray(tmp_path: Path, end: int) -> None:
    for number in range(3):
        save(tmp_path / f"{number}.dcm", noise((4, 5), "u2"), position=number)
    slices = (tmp_path / "1.dcm").read_bytes()
    (tmp_path / "1.dcm").write_bytes(slices[:end])
    with pytest.raises(CorruptSource, match=r"1\.dcm"):
        open_at(tmp_path, tmp_path)


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_truncated_files_of_pydicom(name: str, tmp_path: Path) -> None:
    with pytest.raises((CorruptSource, UnrecognizedFormat), match=name.replace(".", r"\.")):
        open_at(THEIRS / name, tmp_path)


def test_truncated_anywhere(tmp_path: Path) -> None:
    save(tmp_path / "a.dcm", noise((40, 50), "u2"), 0.0)
    data = (tmp_path / "a.dcm").read_bytes()
    for length in (140, 200, 300, 500, 800, len(data) // 2, len(data) - 1):
        (tmp_path / "a.dcm").write_bytes(data[:length])
        with pytest.raises((CorruptSource, UnrecognizedFormat), match=r"a\.dcm"):
            open_at(tmp_path, tmp_path)


def test_damaged_frame_is_named(tmp_path: Path) -> None:
    make_jpeg2000(tmp_path)
    path = tmp_path / "2.dcm"
    data = bytearray(path.read_bytes())
    at = data.index(b"\xff\x4f\xff\x51")
    data[at : at + 8] = bytes(8)
    path.write_bytes(data)
    with open_at(tmp_path, tmp_path) as source, pytest.raises(CorruptSource, match=r"2\.dcm"):
        whole(source)


@pytest.mark.parametrize(
    ("syntax", "error"),
    [("1.2.840.10008.1.2.4.102", UnsupportedLayout), ("1.2.3.4", UnsupportedLayout)],
)
def test_unknown_compression(syntax: str, error: type[ConversionError], tmp_path: Path) -> None:
    make_rle(tmp_path)
    for path in tmp_path.glob("*.dcm"):
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
        dataset.save_as(path)
    with pytest.raises(error, match="transfer syntax"):
        open_at(tmp_path, tmp_path)


def test_deflate_bomb(tmp_path: Path) -> None:
    save(
        tmp_path / "a.dcm", np.zeros((8000, 9000), "u1"),
        syntax=uid.DeflatedExplicitVRLittleEndian,
    )  # fmt: skip
    with pytest.raises(UnsupportedLayout, match="inflates to more than"):
        open_at(tmp_path, tmp_path)


def test_absurd_size_allocates_nothing(tmp_path: Path) -> None:
    save(tmp_path / "a.dcm", noise((4, 5), "u2"), Rows=65535, Columns=65535)
    with pytest.raises(CorruptSource, match="cut short"):
        open_at(tmp_path, tmp_path)
