"""HDF5, NeXus, Zarr and NetCDF: what must come of each."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tests.samples import loaders as load
from tests.samples.facts import Case, Dataset, Loader, Refused

SOLEIL = "theta_00062_salsa.scan 1D.Timescan.tscan_Cpt_Basler_MStat_xbpms_00001/scan_data"
MULTIDIM = "GROUP1/GROUP2/DATASET1"
MEMBERS = [
    (f"2d_{kind}_compound", part) for kind in ("chunked", "contiguous") for part in ("real", "img")
]


def array(dims: tuple[int, ...], dtype: str, name: str, **more: object) -> tuple[Dataset]:
    """One dataset of a file as one field, named by the last part of its path."""
    facts = {"values": lambda path: load.hdf5(path, name)} | more
    field = name.rpartition("/")[2]
    return (Dataset(dims, dtype, field, **facts),)  # type: ignore[arg-type]


def series(name: str, axes: int) -> Loader:
    """The first `axes` axes are time."""
    return lambda path: load.hdf5(path, name, series_axes=axes)


HDF5 = (
    Case("hdf5/nx_agbehenate.hdf5", array((487, 195), "int32", "entry/data/data")),
    Case(
        "hdf5/nx_sas.hdf5",
        array((487, 195, 10), "int32", "entry/data/frames"),
        says=("default attributes",),
    ),
    Case(
        "hdf5/nx_i16_538039.nxs",
        Refused("MissingMember", ("538039-pilatus100k-files/538039.hdf",)),
    ),
    Case("hdf5/nx_sls_image.hdf5", array((50, 50), "float64", "entry1/counter0/data")),
    Case(
        "hdf5/nx_soleil_2.nxs",
        (
            Dataset(
                (7201,),
                "float64",
                "data_1 data_2 data_3 data_4 data_5",
                lambda path: load.hdf5(path, *(f"{SOLEIL}/data_{n}" for n in range(1, 6))),
            ),
        ),
    ),
    Case("hdf5/nx_sans_napi.hdf", array((128, 128), "int32", "entry1/data1/counts")),
    Case("hdf5/nx_simple3d.h5", array((4, 3, 2), "int32", "entry/data/test")),
    Case("hdf5/nx_protein_4n8z.h5", Refused("UnsupportedDtype", ("nx_protein_4n8z.h5",))),
    Case("hdf5/hdf4_smither_ccd.hdf", Refused("UnsupportedLayout", ("HDF4",))),
    Case("hdf5/nx_example.nxs", array((101, 101), "float64", "entry/data/signal")),
    # One frame of 2167 x 2070: an axis of length 1 in front is no depth.
    Case(
        "hdf5/pl_bitshuffle.h5",
        array(
            (2070, 2167),
            "uint32",
            "entry/data/data",
            values=lambda path: [load.hdf5(path, "entry/data/data")[0][0]],
        ),
    ),
    Case("hdf5/jh_strings.hdf5", Refused("UnsupportedDtype", ("jh_strings.hdf5",))),
    Case(
        "hdf5/jh_compound.hdf5",
        (
            Dataset(
                (3, 3),
                "float32",
                " ".join(f"{name}.{part}" for name, part in MEMBERS),
                lambda path: load.hdf5_members(path, *MEMBERS),
            ),
        ),
    ),
    # Records of two numbers, a vector of three and a list of nine.
    Case(
        "hdf5/jh_5d_multidim.hdf5",
        (
            Dataset(
                (5,),
                "int32 int32 " + " ".join(["float64"] * 10),
                "myIdentifier myType myReferencePoint "
                + " ".join(f"myAxisVectors_{n}" for n in range(9)),
                lambda path: (
                    [
                        column[:, 0]
                        for column in load.hdf5_members(
                            path,
                            (MULTIDIM, "myIdentifier"),
                            (MULTIDIM, "myType"),
                            (MULTIDIM, "myReferencePoint"),
                        )
                    ]
                    + list(load.hdf5_members(path, (MULTIDIM, "myAxisVectors"))[0][:, 0].T)
                ),
                components=(1, 1, 3, *[1] * 9),
            ),
        ),
    ),
    Case(
        "hdf5/rs_dls_example.nxs", array((15, 10, 10), "float64", "entry1/testdata/nexustest/data")
    ),
    Case(
        "hdf5/rs_4dstem.h5",
        array(
            (5, 4, 3),
            "float32",
            "datacube_root/datacube/data",
            timesteps=2,
            values=series("datacube_root/datacube/data", 1),
        ),
        says=("the last three are space, those before are time",),
    ),
    Case("hdf5/httomo_dark.h5", array((192, 10, 20), "float32", "1-NoProcessPlugin-tomo/data")),
    Case(
        "hdf5/savu_i18.nxs",
        array(
            (4096, 10, 2),
            "float64",
            "MCAs",
            timesteps=2,
            values=series("entry1/instrument/xspress3/MCAs", 1),
        ),
        says=("the last three are space, those before are time",),
    ),
    Case(
        "hdf5/savu_xrd.nxs",
        array(
            (1000, 100, 2),
            "float32",
            "data",
            timesteps=4,
            values=series("entry1/xrd_entry/instrument/detector/data", 2),
        ),
        says=("leads nowhere", "the last three are space, those before are time"),
    ),
    Case(
        "hdf5/h5_vds4_set",
        array(
            (4, 4, 9),
            "int32",
            "vds_dset",
            values=lambda folder: load.hdf5(folder / "4_vds.h5", "vds_dset"),
        ),
    ),
)

ZARR = (
    Case(
        "zarr/wk_simple_zarr2",
        (
            Dataset(
                (24, 24, 24),
                "uint8",
                "color",
                lambda folder: load.zarr_from_cxyz(folder / "color" / "1-1-1"),
                components=3,
            ),
        ),
    ),
    Case(
        "zarr/ncc_oldkeys.zarr.zip",
        (
            Dataset(
                (6, 4, 2),
                "int32",
                "v",
                lambda path: load.in_archive(path, load.zarr_array, "ref_oldkeys.file/v"),
            ),
        ),
    ),
)


def variables(
    dims: tuple[int, ...],
    dtype: str,
    names: str,
    loader: Callable[..., list[load.Array]] = load.netcdf,
    **more: object,
) -> Dataset:
    """Variables of a file as fields; what is masked is NaN."""
    kind = more.pop("kind", None)
    flat = {"flat": more.pop("flat")} if "flat" in more else {}
    read = partial(loader, kind=kind, **flat)
    return Dataset(dims, dtype, names, lambda path: read(path, *names.split()), **more)  # type: ignore[arg-type]


def single(loader: Loader) -> Loader:
    """Without a time axis of length 1."""
    return lambda path: [a[0] for a in loader(path)]


raw = partial(variables, loader=load.netcdf_raw)
NETCDF = (
    Case(
        "netcdf/nc4p_cloud_top.nc",
        (
            Dataset(
                (500, 300),
                "float32 uint8",
                "HT DQF",
                lambda path: (
                    load.netcdf(path, "HT", kind="f4") + load.netcdf_raw(path, "DQF", kind="u1")
                ),
                ulps=1,
            ),
        ),
    ),
    # Dimensions without coordinates: the last three are space; an unlimited one in front is time.
    Case(
        "netcdf/ncc_64bit_offset.nc",
        (
            raw((31, 4, 6), "int8", "bytev", timesteps=30, flat=3),
            raw(
                (4, 6, 5),
                "int8 int16 int32 float32 float64",
                "bytevar shortvar longvar floatvar doublevar",
                timesteps=7,
                path="w_x_y_z/visus.idx",
            ),
            raw((7, 3), "float32", "ce", timesteps=5, path="ce/visus.idx"),
            raw((6, 5, 3), "int16", "shortv", timesteps=2, path="shortv/visus.idx"),
            variables(
                (3, 4),
                "int8 int16 int32 float64 float64",
                "zz vv uu tu yet_another_variable",
                path="ii_jj/visus.idx",
            ),
            raw((5, 3, 2), "int32", "longv", path="longv/visus.idx"),
            raw((3, 3), "int32", "bb", path="bb/visus.idx"),
            raw((3, 2), "float32", "floatv", path="floatv/visus.idx"),
            raw((4,), "int32 float32 int16 int32 int32", "aa xx yy ww tt", path="ii/visus.idx"),
            raw((3,), "int16", "cd", timesteps=5, path="cd/visus.idx"),
            raw((2,), "float64", "doublev", path="doublev/visus.idx"),
            raw((3,), "int16", "dd", path="dd/visus.idx"),
        ),
        says=("the last three are space", "cc"),
    ),
    Case("netcdf/xr_basin_mask.nc", (raw((360, 180, 33), "int8", "basin", fill=-100),)),
    Case(
        "netcdf/iris_tmean_1910.nc",
        (Dataset((180, 290), "float32", "tmean", single(lambda path: load.netcdf(path, "tmean"))),),
    ),
    Case(
        "netcdf/iris_total_co2.nc",
        (variables((320, 161), "float64", "tcco2", timesteps=31, kind="f8", ulps=1),),
    ),
    Case("netcdf/iris_ugrid_triangles.nc", Refused("UnstructuredMesh", ("mesh",))),
    Case(
        "netcdf/geocat_meteo_1d.nc",
        (
            variables((25, 8), "float32", "tempisobar"),
            *(
                variables((25, 8), "float32", name, path=f"{name}/visus.idx")
                for name in ("rh", "ugrid", "vgrid")
            ),
            *(
                variables((25,), "float32", name, path=f"{name}/visus.idx")
                for name in ("taus", "rain03", "tempht")
            ),
            variables((8,), "float32", "levels", path="levels/visus.idx"),
        ),
    ),
    Case("netcdf/geocat_mpas.nc", Refused("UnstructuredMesh", ("nCells",))),
    Case(
        "netcdf/geocat_rect3d.nc",
        (
            Dataset(
                (192, 96, 17),
                "float32",
                "rhumidity var3 t",
                single(lambda path: load.netcdf(path, "rhumidity", "var3", "t")),
            ),
        ),
    ),
    Case("netcdf/geocat_941110_P.cdf", (variables((73, 73), "float32", "Psl"),)),
    Case(
        "netcdf/geocat_bipolar_tos.nc",
        (Dataset((256, 220), "float32", "tos", single(lambda path: load.netcdf(path, "tos"))),),
    ),
    Case("netcdf/geocat_colorado.nc", (raw((481, 420), "int32", "z", fill=-2147483648),)),
    Case("netcdf/geocat_fice.nc", (variables((100, 49), "float32", "fice", timesteps=120),)),
    Case("netcdf/ras_rgb.nc", (raw((791, 718), "uint8", "Band1 Band2 Band3", kind="u1", fill=0),)),
    Case("netcdf/gt_ipcc_tasmin.nc", (variables((720, 278), "float32", "tasmin", timesteps=3),)),
)
