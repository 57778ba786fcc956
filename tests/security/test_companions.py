"""Headers that name other files: OME, MetaImage, NRRD, NIfTI, raw, IDX, Zarr."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from scientistcloud.grid import Box
from scientistcloud.idx.reader import IdxReader
from tests.security.victim import SECRET, Victim

OUTSIDE = [
    "../other/secret.raw",
    "{root}/upload/other/secret.raw",
    "/etc/passwd",
    "folder/../../other/secret.raw",
    "./../other/./secret.raw",
    "..\\other\\secret.raw",
    "file://{root}/upload/other/secret.raw",
    "file:///etc/passwd",
    "http://127.0.0.1:1/secret.raw",
]
REFUSED = {"UnsafeLink", "UnsafeSource", "MissingMember", "CorruptSource", "UnsupportedLayout"}


@pytest.fixture(params=OUTSIDE)
def target(request: pytest.FixtureRequest, victim: Victim) -> str:
    return str(request.param).format(root=victim.root)


def must_refuse(victim: Victim, target: str, **parameters: object) -> None:
    code, message = victim.refusal(**parameters)
    plain = "://" not in target and "\\" not in target
    assert code in ({"UnsafeLink", "UnsafeSource"} if plain else REFUSED), (code, message)


@pytest.mark.parametrize("keyword", ["ElementDataFile", "ElementDataFile = LIST\n"])
def test_metaimage(keyword: str, target: str, victim: Victim) -> None:
    named = f"{keyword} = {target}" if "LIST" not in keyword else f"{keyword}{target}"
    (victim.upload / "a.mhd").write_text(
        f"ObjectType = Image\nNDims = 2\nDimSize = 8 8\nElementType = MET_UCHAR\n{named}\n"
    )
    must_refuse(victim, target)


@pytest.mark.parametrize("form", ["data file: {}", "data file: LIST\n{}"])
def test_nrrd(form: str, target: str, victim: Victim) -> None:
    (victim.upload / "a.nhdr").write_text(
        "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 8 8\nencoding: raw\n"
        + form.format(target)
        + "\n"
    )
    must_refuse(victim, target)


def test_ome_companion(target: str, victim: Victim) -> None:
    """Planes of files that are not in the upload read as zeros, which is noted."""
    planes = "".join(
        f'<TiffData FirstZ="{z}" IFD="0"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(("a.ome.tif", target.replace("&", "&amp;")))
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        'UUID="urn:uuid:0"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" '
        'Type="uint16" SizeX="8" SizeY="8" SizeZ="2" SizeC="1" SizeT="1">'
        f'<Channel ID="Channel:0:0"/>{planes}</Pixels></Image></OME>'
    )
    page = np.arange(64, dtype="u2").reshape(8, 8)
    tifffile.imwrite(victim.upload / "a.ome.tif", page, description=xml, metadata=None)
    assert "done" in victim.convert()
    with IdxReader(victim.converted / "dataset" / "visus.idx") as reader:
        stack = reader.read(0, 0, Box((0, 0, 0), (2, 8, 8)))
    assert np.array_equal(stack[0], page)
    assert not stack[1].any()
    assert "read as zeros" in (victim.converted / "dataset" / "metadata.json").read_text()


@pytest.mark.parametrize(
    "template",
    [
        "../other/secret.raw",
        "{root}/upload/other/secret.raw",
        "/etc/passwd",
        "./a/../../other/%04x.bin",
        "$(CurrentFileDirectory)/../other/secret.raw",
        "$(HOME)/%04x.bin",
        "file:///etc/passwd",
        "http://127.0.0.1:1/%04x.bin",
        "%s%s%s%n",
        "%999999999x.bin",
    ],
)
def test_idx_template(template: str, victim: Victim) -> None:
    template = template.format(root=victim.root)
    (victim.upload / "a.idx").write_text(
        "(version)\n6\n(box)\n0 7 0 7\n(fields)\ndata uint8 default_layout(row_major)\n"
        "(bits)\nV010101\n(bitsperblock)\n6\n(blocksperfile)\n1\n"
        f"(filename_template)\n{template}\n"
    )
    code, message = victim.refusal()
    assert code in REFUSED, (code, message)


@pytest.mark.parametrize("url", ["../other/a.idx", "/etc/passwd", "file:///etc/passwd", "$(x)/y"])
def test_midx_member(url: str, victim: Victim) -> None:
    text = f'<dataset typename="IdxMultipleDataset"><dataset url="{url}"/></dataset>'
    (victim.upload / "all.midx").write_text(text)
    code, message = victim.refusal()
    assert code in REFUSED, (code, message)


def zarr_meta(**changes: object) -> dict[str, object]:
    return {
        "zarr_format": 2,
        "shape": [16, 16],
        "chunks": [16, 16],
        "dtype": "|u1",
        "compressor": None,
        "filters": None,
        "fill_value": 0,
        "order": "C",
        **changes,
    }


def write_array(folder: Path, meta: dict[str, object], samples: bytes) -> None:
    (folder / ".zarray").write_text(json.dumps(meta))
    (folder / "0.0").write_bytes(samples)


def zarr_group(victim: Victim) -> Path:
    """A group in the upload, and an array beside the upload that it may not reach."""
    write_array(victim.secret.parent, zarr_meta(), SECRET[:256])
    folder = victim.upload / "a.zarr"
    folder.mkdir()
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    return folder


def test_zarr_consolidated_metadata_that_leads_out(victim: Victim) -> None:
    folder = zarr_group(victim)
    names = ["../../other", "x/../../../other", f"{victim.root}/upload/other", ".."]
    found: dict[str, object] = {f"{name}/.zarray": zarr_meta() for name in names}
    found[".zgroup"] = {"zarr_format": 2}
    text = json.dumps({"zarr_consolidated_format": 1, "metadata": found})
    (folder / ".zmetadata").write_text(text)
    last = victim.convert()
    assert "failed" in last, last
    assert last["failed"]["code"] != "UnexpectedError"


def test_ome_zarr_levels_that_lead_out(victim: Victim) -> None:
    folder = zarr_group(victim)
    axes = [{"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    scale = [{"type": "scale", "scale": [1, 1]}]
    levels = [{"path": "../../other", "coordinateTransformations": scale}]
    (folder / ".zattrs").write_text(
        json.dumps({"multiscales": [{"version": "0.4", "axes": axes, "datasets": levels}]})
    )
    last = victim.convert()
    assert "failed" in last, last
    assert last["failed"]["code"] in REFUSED | {"UnrecognizedFormat"}


@pytest.mark.parametrize(
    "changes",
    [
        {"chunks": [1 << 30, 1 << 30]},
        {"chunks": [1 << 40, 1]},
        {"shape": [1 << 40, 1 << 40]},
        {"shape": [10**300, 1]},
        {"shape": [-1, 16]},
        {"chunks": [0, 16]},
        {"dtype": "|O"},
        {"filters": [{"id": "pickle"}], "dtype": "|O"},
        {"compressor": {"id": "no_such", "level": 1}},
        {"dimension_separator": "/../"},
        {"shape": [16] * 60, "chunks": [16] * 60},
    ],
)
def test_zarr_metadata_that_claims_too_much(changes: dict[str, object], victim: Victim) -> None:
    (victim.upload / "a.zarr").mkdir()
    write_array(victim.upload / "a.zarr", zarr_meta(**changes), bytes(range(256)))
    code, message = victim.refusal()
    assert code not in {"UnexpectedError", "AttemptCrashed"}, message


@pytest.mark.parametrize("value", OUTSIDE)
@pytest.mark.parametrize("name", ["file", "dataset", "header", "variable", "format"])
def test_parameters_that_name_files(name: str, value: str, victim: Victim) -> None:
    value = value.format(root=victim.root)
    (victim.upload / "a.raw").write_bytes(bytes(64))
    (victim.upload / "b.raw").write_bytes(bytes(64))
    code, message = victim.refusal(**{name: value, "shape": [8, 8], "dtype": "uint8"})
    assert code not in {"UnexpectedError", "StorageUnavailable"}, (code, message)
