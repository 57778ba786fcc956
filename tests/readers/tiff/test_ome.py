"""OME-TIFF sets of several files, and what their XML must not be able to do."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import tifffile

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import CorruptSource, MissingMember, UnlikeSlices
from scientistcloud.grid import Box
from scientistcloud.readers.base import Source
from scientistcloud.readers.tiff.ome_xml import parse_ome
from tests.readers.contract import Case, SourceContract, read_box
from tests.readers.tiff.test_tiff import noise

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">'
)


def urn(number: int) -> str:
    return f"urn:uuid:{UUID(int=number)}"


def pixels(sizes: dict[str, int], order: str, data: str, channels: str = "") -> str:
    said = " ".join(f'Size{axis}="{n}"' for axis, n in sizes.items())
    return (
        f'<Image ID="Image:0" Name="cells"><Pixels ID="Pixels:0" DimensionOrder="{order}" '
        f'Type="uint16" {said} PhysicalSizeX="0.5" PhysicalSizeY="0.25" PhysicalSizeZ="2" '
        f'PhysicalSizeZUnit="nm">{channels}{data}</Pixels></Image></OME>'
    )


def tiff_data(c: int, z: int, name: str, uuid: str, page: int = 0) -> str:
    return (
        f'<TiffData IFD="{page}" FirstC="{c}" FirstZ="{z}" FirstT="0" PlaneCount="1">'
        f'<UUID FileName="{name}">{uuid}</UUID></TiffData>'
    )


def write_set(folder: Path, values: np.ndarray, *, companion: bool = False) -> None:
    """A file for each plane of (C, Z, Y, X), each with the whole XML or none of it."""
    folder.mkdir(exist_ok=True)
    count_c, count_z, height, width = values.shape
    planes = [(c, z) for c in range(count_c) for z in range(count_z)]
    data = "".join(tiff_data(c, z, f"p_{c}_{z}.ome.tif", urn(100 * c + z)) for c, z in planes)
    sizes = {"X": width, "Y": height, "Z": count_z, "C": count_c, "T": 1}
    channels = "".join(f'<Channel ID="Channel:0:{c}" Name="dye {c}"/>' for c in range(count_c))
    body = pixels(sizes, "XYZCT", data, channels)
    if companion:
        (folder / "set.companion.ome").write_text(HEAD.format(uuid=urn(9999)) + body)
    for c, z in planes:
        text = HEAD.format(uuid=urn(100 * c + z))
        if companion:
            text += f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{urn(9999)}"/></OME>'
        else:
            text += body
        tifffile.imwrite(folder / f"p_{c}_{z}.ome.tif", values[c, z], description=text,
                         metadata=None, compression="zlib" if c else None)  # fmt: skip


def read_all(source: Source) -> np.ndarray:
    dataset = source.spec.datasets[0]
    box = Box.of_shape(dataset.shape)
    return np.stack([read_box(source, f, 0, box) for f in dataset.fields])


class TestOmeContract(SourceContract):
    boxes = 8

    @pytest.fixture(params=[False, True], ids=["in each file", "companion"])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        values = noise((2, 3, 20, 30), "u2")
        write_set(tmp_path / "up", values, companion=request.param)
        return Case(tmp_path / "up", {"dye 0": values[0], "dye 1": values[1]})


def test_scale_and_units(tmp_path: Path) -> None:
    write_set(tmp_path / "up", noise((2, 3, 20, 30), "u2"))
    with open_source(tmp_path / "up", None, {}, tmp_path) as source:
        z, y, x = source.spec.datasets[0].axes
    assert [(a.spacing, a.units) for a in (z, y, x)] == [(2, "nm"), (0.25, "µm"), (0.5, "µm")]


def test_times(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "TYX", "TimeIncrement": 250, "TimeIncrementUnit": "ms"}
    tifffile.imwrite(path, noise((3, 20, 30), "u2"), ome=True, metadata=metadata,
                     photometric="minisblack")  # fmt: skip
    with open_source(path, None, {}, tmp_path) as source:
        assert source.spec.datasets[0].times == (0.0, 0.25, 0.5)
    tifffile.imwrite(tmp_path / "b.tif", noise((3, 20, 30), "u2"), imagej=True,
                     metadata={"axes": "TYX", "finterval": 0.5})  # fmt: skip
    with open_source(tmp_path / "b.tif", None, {}, tmp_path) as source:
        assert source.spec.datasets[0].times == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    "along", ['Type="lifetime" Start="0" End="300" Step="100"', 'Type="lifetime">{}</ModuloAlongT']
)
def test_axes_that_are_split(along: str, tmp_path: Path) -> None:
    """Lifetimes are counted along T (the 6D extension of OME-TIFF)."""
    values = noise((8, 20, 30), "u2")
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, values, ome=True, metadata={"axes": "TYX"}, photometric="minisblack")
    labels = "<Label>a</Label>" * 4
    element = f"<ModuloAlongT {along.format(labels)}" + ("/>" if "{" not in along else ">")
    annotation = (
        '<StructuredAnnotations><XMLAnnotation ID="Annotation:9" '
        'Namespace="openmicroscopy.org/omero/dimension/modulo"><Value><Modulo>'
        f"{element}</Modulo></Value></XMLAnnotation></StructuredAnnotations>"
    )
    text = tifffile.tiffcomment(path)
    text = text.replace("</Image>", '<AnnotationRef ID="Annotation:9"/></Image>' + annotation)
    tifffile.imwrite(path, values, description=text, metadata=None, photometric="minisblack")
    expected = tifffile.imread(path)
    assert expected.shape == (2, 4, 20, 30)
    with open_source(path, None, {}, tmp_path) as source:
        dataset = source.spec.datasets[0]
        assert [f.name for f in dataset.fields] == [f"lifetime {i}" for i in range(4)]
        for t in range(2):
            for i, field in enumerate(dataset.fields):
                found = read_box(source, field, t, Box.of_shape(dataset.shape))
                assert np.array_equal(found, expected[t, i])


def test_xml_that_does_not_fit_the_pages(tmp_path: Path) -> None:
    values = noise((20, 30, 3), "u1")
    sizes = {"X": 30, "Y": 20, "Z": 1, "C": 3, "T": 1}
    text = HEAD.format(uuid=urn(1)) + pixels(sizes, "XYZCT", '<TiffData IFD="0" PlaneCount="3"/>')
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, values, description=text, metadata=None, photometric="rgb")
    with open_source(path, None, {}, tmp_path) as source:
        assert np.array_equal(read_all(source)[0], values)


def test_renamed_files_are_found_by_their_uuid(tmp_path: Path) -> None:
    values = noise((2, 3, 20, 30), "u2")
    write_set(tmp_path / "up", values)
    for i, path in enumerate(sorted((tmp_path / "up").iterdir(), reverse=True)):
        path.rename(path.with_name(f"renamed{i}.tif"))
    with open_source(tmp_path / "up", None, {}, tmp_path) as source:
        assert np.array_equal(read_all(source), values)


def test_missing_files_read_as_zeros_and_are_noted(tmp_path: Path) -> None:
    values = noise((2, 3, 20, 30), "u2")
    write_set(tmp_path / "up", values)
    (tmp_path / "up" / "p_1_1.ome.tif").unlink()
    values[1, 1] = 0
    with open_source(tmp_path / "up", None, {}, tmp_path) as source:
        assert np.array_equal(read_all(source), values)
        assert any("1 of 6" in n and "p_1_1.ome.tif" in n for n in source.spec.notes)


def test_missing_companion(tmp_path: Path) -> None:
    write_set(tmp_path / "up", noise((2, 3, 20, 30), "u2"), companion=True)
    (tmp_path / "up" / "set.companion.ome").unlink()
    with pytest.raises(MissingMember, match=r"set\.companion\.ome"):
        open_source(tmp_path / "up", None, {}, tmp_path)


def test_companion_alone(tmp_path: Path) -> None:
    write_set(tmp_path / "up", noise((2, 3, 20, 30), "u2"), companion=True)
    for path in (tmp_path / "up").glob("*.tif"):
        path.unlink()
    with pytest.raises(MissingMember, match=r"set\.companion\.ome"):
        open_source(tmp_path / "up", None, {}, tmp_path)


def test_unlike_member(tmp_path: Path) -> None:
    write_set(tmp_path / "up", noise((2, 3, 20, 30), "u2"))
    path = tmp_path / "up" / "p_1_2.ome.tif"
    text = tifffile.tiffcomment(path)
    tifffile.imwrite(path, noise((20, 31), "u2"), description=text, metadata=None)
    with pytest.raises(UnlikeSlices, match=r"p_1_2\.ome\.tif"):
        open_source(tmp_path / "up", None, {}, tmp_path)


@pytest.mark.parametrize("name", ["../secret.tif", "/{root}/secret.tif", "sub/../../secret.tif"])
def test_names_do_not_lead_out_of_the_upload(name: str, tmp_path: Path) -> None:
    values = noise((1, 2, 20, 30), "u2")
    secret = noise((20, 30), "u2", seed=77)
    tifffile.imwrite(tmp_path / "secret.tif", secret, metadata=None)
    up = tmp_path / "up"
    write_set(up, values)
    path = up / "p_0_0.ome.tif"
    text = tifffile.tiffcomment(path).replace("p_0_1.ome.tif", name.format(root=tmp_path))
    tifffile.imwrite(path, values[0, 0], description=text, metadata=None)
    (up / "p_0_1.ome.tif").unlink()
    with open_source(up, None, {}, tmp_path) as source:
        found = read_all(source)
        assert source.spec.inputs == (path,)
    assert np.array_equal(found[0, 0], values[0, 0])
    assert not found[0, 1].any()


@pytest.mark.parametrize(
    "attack",
    [
        '<!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/passwd">]><OME Creator="a">&x;</OME>',
        '<!DOCTYPE OME [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><OME>&b;</OME>',
    ],
)
def test_entities_are_refused(attack: str, tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, noise((20, 30), "u2"), description=attack, metadata=None)
    with pytest.raises(CorruptSource, match="entities"):
        open_source(path, None, {}, tmp_path)


def test_several_images_are_several_outputs(tmp_path: Path) -> None:
    small, large = noise((20, 30), "u2"), noise((3, 40, 50), "u1")
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as tif:
        tif.write(large, photometric="minisblack", metadata={"axes": "ZYX", "Name": "Tissue 1"})
        tif.write(small, photometric="minisblack", metadata={"axes": "YX", "Name": "Over view"})
    with open_source(tmp_path / "a.ome.tif", None, {}, tmp_path) as source:
        first, second = source.spec.datasets
        assert (first.name, second.name) == ("", "Over_view")
        for dataset, values in ((first, large), (second, small)):
            found = read_box(source, dataset.fields[0], 0, Box.of_shape(dataset.shape))
            assert np.array_equal(found, values)


@pytest.mark.parametrize(
    "text",
    [
        "<OME",
        "<OME><Image/></OME>",
        '<OME><Image><Pixels DimensionOrder="XYZCT" SizeX="1"/></Image></OME>',
        '<OME><Image><Pixels DimensionOrder="XYZCT" SizeX="1" SizeY="1" SizeZ="99999999" '
        'SizeC="99999" SizeT="1"/></Image></OME>',
        '<OME><Image><Pixels DimensionOrder="XYQQQ" SizeX="1" SizeY="1" SizeZ="1" SizeC="1" '
        'SizeT="1"/></Image></OME>',
    ],
)
def test_damaged_xml(text: str) -> None:
    with pytest.raises(CorruptSource, match=r"a\.tif"):
        parse_ome(text, "a.tif")
