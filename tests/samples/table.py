"""Every sample of the catalogue, and what must come of it."""

from __future__ import annotations

from functools import partial

from tests.samples import loaders as load
from tests.samples.facts import Case, Dataset, Refused
from tests.samples.table_arrays import HDF5, NETCDF, ZARR
from tests.samples.table_tiff import DRONE, TIFF

RGB_STACK = partial(load.pictures, pattern="*.tif")
STREAK = tuple(f"test_hamamatsu_streak_{mode}.tif" for mode in ("FOCUS", "OTHER", "SCAN"))
WHEAT = "spam2005v3r2_harvested-area_wheat_total.tiff"

VOLUMES = (
    Case(
        "nrrd/py_4d.nrrd",
        (Dataset((1, 1), "float64", "data", lambda p: [load.nrrd_array(p)[0][0, 0]]),),
    ),
    Case(
        "nifti/nib_example4d.nii.gz",
        (Dataset((128, 96, 24), "int16", "data", load.nifti, timesteps=2),),
    ),
    Case("nifti/niivue_chris_t1.nii.gz", (Dataset((188, 256, 190), "uint8", "data", load.nifti),)),
    Case(
        "nifti/nib_functional.nii",
        (Dataset((17, 21, 3), "float32", "data", load.nifti, timesteps=20, ulps=1),),
    ),
    Case("mrc/emd_3197.map", (Dataset((20, 20, 20), "float32", "data", load.mrc),)),
    Case("dicom/wk_series", (Dataset((274, 384, 10), "int16", "data", load.dicom_series),)),
    Case(
        "dicom/color_planar.dcm",
        (Dataset((256, 120), "uint8", "data", load.dicom_image, components=3),),
    ),
)

# Two datasets lie in one folder, with pictures of them; each is carried over.
IDX = (
    Case(
        "idx/ov_cat",
        (
            Dataset((256, 256), "uint8", "data", lambda p: load.idx(p / "gray.idx"), ranged=False),
            Dataset(
                (256, 256),
                "uint8",
                "data",
                lambda p: load.idx(p / "rgb.idx"),
                components=3,
                path="rgb/visus.idx",
                ranged=False,
            ),
        ),
    ),
    Case("idx/ov_gauss_header.idx", Refused("MissingMember", ("gauss1/time0/0000.bin",))),
)

ARCHIVES = (
    Case(
        "archive/ras_files.zip",
        Refused("AmbiguousFormat", ("float.tif", "RGB.byte.tif", "shade.tif")),
    ),
    Case(
        "archive/ras_ak_compdcs.zip",
        (
            Dataset(
                (2607, 2440),
                "int16",
                "data",
                lambda p: load.in_archive(p, load.tiff, "test.tif"),
                fill=-9999,
            ),
        ),
    ),
    Case(
        "archive/hamamatsu.zip",
        (
            Dataset(
                (672, 508),
                "uint16",
                "FOCUS OTHER SCAN",
                lambda p: load.in_archive(p, load.tiff_files, "", *STREAK),
            ),
        ),
        says=("channels",),
    ),
    Case(
        "archive/spam_wheat.tiff.zip",
        (
            Dataset(
                (4320, 1853),
                "float32",
                "data",
                lambda p: load.in_archive(p, load.tiff, WHEAT),
                fill=-3.4028234663852886e38,
            ),
        ),
    ),
    Case(
        "archive/ts_pngs_in_folder.zip",
        (
            Dataset(
                (306, 172),
                "uint8",
                "a bb c",
                lambda p: [
                    load.in_archive(p, load.picture, f"data/{name}.png")[0]
                    for name in ("a", "bb", "c")
                ],
                components=3,
            ),
        ),
        says=("channels",),
    ),
    Case("archive/7z_copy.7z", Refused("UnrecognizedFormat", ("Empty.xml",))),
    Case(
        "archive/made_nested.zip",
        (
            Dataset(
                (256, 256, 3),
                "uint8",
                "data",
                lambda p: load.in_nested_archive(p, "upload/stack.zip", RGB_STACK, ""),
                components=3,
            ),
        ),
    ),
    Case(
        "archive/made_leica.tar.gz",
        (
            Dataset(
                (256, 256, 3),
                "uint8",
                "data",
                lambda p: load.in_archive(p, RGB_STACK, "leica"),
                components=3,
            ),
        ),
    ),
    Case(
        "archive/made_dicom.7z",
        (
            Dataset(
                (274, 384, 10),
                "int16",
                "data",
                lambda p: load.in_archive(p, load.dicom_series, "series"),
            ),
        ),
    ),
)

CASES = TIFF + HDF5 + NETCDF + ZARR + VOLUMES + IDX + DRONE + ARCHIVES
