"""XML that stands for gigabytes, or for files of others."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from tests.security.victim import Victim

LAUGHS = '<!DOCTYPE x [<!ENTITY a0 "ha ha ha ha ha ha ha ha">' + "".join(
    f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12)
)
ENTITIES = {
    "laughs": (LAUGHS + "]>", "&a11;"),
    "quadratic": (f'<!DOCTYPE x [<!ENTITY a "{"ha" * 50_000}">]>', "&a;" * 50_000),
    "file": ('<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "&a;"),
    "web": ('<!DOCTYPE x [<!ENTITY a SYSTEM "http://127.0.0.1:1/a">]>', "&a;"),
    "parameter": ('<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>', ""),
    "definition": ('<!DOCTYPE x SYSTEM "file:///etc/passwd">', ""),
}
OME = (
    '<?xml version="1.0"?>{0}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0" Name="{1}"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
    'SizeX="8" SizeY="8" SizeZ="1" SizeC="1" SizeT="1"><Channel ID="Channel:0:0"/><TiffData/>'
    "</Pixels></Image></OME>"
)
IDX = '<?xml version="1.0"?>{0}<dataset typename="IdxDataset"><idxfile>{1}</idxfile></dataset>'
MIDX = (
    '<?xml version="1.0"?>{0}<dataset typename="IdxMultipleDataset"><dataset url="{1}"/></dataset>'
)
PAGE = np.arange(64, dtype="u2").reshape(8, 8)


@pytest.fixture(params=ENTITIES)
def entity(request: pytest.FixtureRequest) -> tuple[str, str]:
    return ENTITIES[request.param]


def test_ome(entity: tuple[str, str], victim: Victim) -> None:
    """It is read without its metadata, or refused; never followed."""
    path = victim.upload / "a.ome.tif"
    tifffile.imwrite(path, PAGE, description=OME.format(*entity), metadata=None)
    last = victim.convert()
    assert "done" in last or last["failed"]["code"] in {"CorruptSource", "UnsafeSource"}


def test_gdal_and_geo_metadata(entity: tuple[str, str], victim: Victim) -> None:
    text = f"<?xml version='1.0'?>{entity[0]}<GDALMetadata><Item>{entity[1]}</Item></GDALMetadata>"
    tags = [(42112, "s", 0, text[:60_000], True)]
    tifffile.imwrite(victim.upload / "a.tif", PAGE, extratags=tags)
    last = victim.convert()
    assert "done" in last or last["failed"]["code"] in {"CorruptSource", "UnsafeSource"}


@pytest.mark.parametrize(("name", "form"), [("a.idx", IDX), ("a.midx", MIDX)])
def test_idx(name: str, form: str, entity: tuple[str, str], victim: Victim) -> None:
    (victim.upload / name).write_text(form.format(*entity))
    assert victim.refusal()[0] in {"UnsafeSource", "UnrecognizedFormat", "CorruptSource"}


def test_entities_in_another_encoding(victim: Victim) -> None:
    """Where text is searched for declarations, they must not hide in UTF-16."""
    text = MIDX.format(*ENTITIES["file"])
    (victim.upload / "a.midx").write_bytes(text.encode("utf-16"))
    code, message = victim.refusal()
    assert code in {"UnsafeSource", "UnrecognizedFormat", "CorruptSource"}, message
