"""TIFF and pictures: what must come of each."""

from __future__ import annotations

from functools import partial

from tests.samples import loaders as load
from tests.samples.facts import Case, Dataset, Refused

BPAE = ("BPAE_actin.tif", "BPAE_mito.tif", "BPAE_nuclei.tif")


def one(dims: tuple[int, ...], dtype: str, components: int = 1, **more: object) -> tuple[Dataset]:
    """A single field, read by tifffile."""
    facts = {"values": load.tiff} | more
    return (Dataset(dims, dtype, "data", components=components, **facts),)  # type: ignore[arg-type]


# Two pages or more without names of axes are depth; bits become 0 and 1; a palette becomes RGB.
TIFF = (
    Case("tiff/ic_rgb_separate_tiled_u8.tif", one((111, 83, 2), "uint8", 3)),
    Case("tiff/ic_gray_bigendian_u16.tif", one((111, 83, 2), "uint16")),
    Case("tiff/ic_gray_bool1bit.tif", one((111, 83, 2), "uint8")),
    Case("tiff/ic_gray_stack_u8.tif", one((111, 83, 13), "uint8")),
    Case("tiff/ic_gray_tiled_f32.tif", one((111, 83, 2), "float32")),
    Case("tiff/it_bigtiff.tif", one((64, 64), "uint8", 3)),
    Case("tiff/it_int16_signed.tif", one((157, 151), "int16")),
    Case("tiff/it_palette16.tif", one((73, 43), "uint8", 3, values=load.picture)),
    Case("tiff/pil_multipage_sizes.tif", Refused("UnlikeSlices", ("10 x 10", "20 x 20"))),
    Case("tiff/pil_crash_trunc.tif", Refused("CorruptSource", ("pil_crash_trunc.tif",))),
    Case("tiff/pil_16bit_MM_deflate.tif", one((64, 64), "uint16")),
    Case("tiff/ski_multipage.tif", one((10, 15, 2), "uint8")),
    Case("tiff/ski_fiji_blobs3d.tif", one((32, 32, 30), "uint8")),
    Case(
        "tiff/ome_multichannel_zseries.ome.tif",
        (
            Dataset(
                (439, 167, 5), "int8", "channel_0 channel_1 channel_2", values=load.tiff_channels
            ),
        ),
        says=("C is fields, Z is depth",),
    ),
    Case("tiff/ome_single_channel.ome.tiff", one((439, 167), "int8")),
    Case(
        "tiff/stack_leica",
        one((256, 256, 3), "uint8", 3, values=partial(load.pictures, pattern="*.tif")),
        says=("depth",),
    ),
    Case("tiff/ij_stack.tif", one((68, 68, 2), "float32"), says=("Z is depth",)),
    Case("tiff/bio_blobs_lut.tif", one((256, 254), "uint8")),
    Case("tiff/bio_hela_rgbstack.tif", one((672, 512), "uint16", 3)),
    Case(
        "tiff/bio_channels_in_files",
        (
            Dataset(
                (1100, 680),
                "float32",
                "actin mito nuclei",
                values=lambda folder: load.tiff_files(folder, *BPAE),
            ),
        ),
        says=("channels",),
    ),
    Case("tiff/pims_stuck.tif", one((512, 512, 5), "uint16"), says=("depth",)),
    Case("tiff/geo_rgb_byte.tif", one((791, 718), "uint8", 3, fill=0)),
    Case(
        "tiff/geo_rgb_byte.tif",
        one((791, 718), "uint8", 3, fill=0, values=load.tiff_upside_down),
        sensor="TIFF RGB",
    ),
    Case("tiff/geo_world_palette.tif", one((2880, 1200), "uint8")),
    Case("tiff/geo_lisbon_dem.tif", one((547, 421), "float32")),
    Case("tiff/geo_umbra_sar.tif", one((2000, 2000), "uint8")),
    Case("tiff/geo_gfw_azores.tif", one((125, 40), "float32", fill=-3.39999995214436425e38)),
    Case("tiff/cog_pyramid.tif", one((2658, 2667), "uint16")),
    Case("tiff/li_grey10kx5k.tif", one((10000, 5000), "uint8")),
    # The file describes 2000 planes, of which it is the first; the log must say so.
    Case(
        "tiff/openvisus_noise_u16.tif",
        (
            Dataset(
                (1024, 1024, 1000),
                "uint16",
                "Ch1 Ch2",
                values=partial(load.one_plane_of_set, planes=1000),
            ),
        ),
        says=("1999 of 2000 planes", "missing and read as zeros"),
    ),
)


def photo(dims: tuple[int, ...], **more: object) -> tuple[Dataset]:
    facts = {"values": load.picture} | more
    return (Dataset(dims, "uint8", "data", components=3, **facts),)  # type: ignore[arg-type]


# Pictures that are numbered alike are a stack; only the sensors of drones stand for mosaics.
DRONE = (
    Case(
        "drone/dji_m3t",
        photo((640, 512, 5), values=partial(load.pictures, pattern="*.JPG")),
        says=("DJI_0001_R.txt", "depth"),
    ),
    Case("drone/dji_m3t", Refused("DronePhotos", ("mosaic",)), sensor="RGB"),
    Case("drone/flir_t640.jpg", photo((640, 480))),
    Case("drone/berlin", photo((3264, 2448, 3), values=partial(load.pictures, pattern="*.jpg"))),
    Case(
        "drone/snowpeak_2", photo((4608, 3456, 2), values=partial(load.pictures, pattern="*.JPG"))
    ),
    Case("drone/snowpeak_2", Refused("DronePhotos", ("mosaic",)), sensor="MAPIR DRONE"),
    Case("drone/odm_tiny.jpg", photo((48, 36))),
)
