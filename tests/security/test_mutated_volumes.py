"""Damaged volumes end in data of the size that they claim, or in an error that names the file."""

from __future__ import annotations

import json
import logging
import math
import random
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from scientistcloud.conversion.inspect import open_source
from scientistcloud.errors import ConversionError, StorageUnavailable
from scientistcloud.grid import Box
from tests.fuzz.mutations import mutate
from tests.readers.contract import SourceContract, read_box
from tests.readers.detectors import test_cbf, test_edf
from tests.readers.dicom import test_dicom
from tests.readers.fits import test_fits
from tests.readers.geo import test_envi
from tests.readers.microscopy import test_dm, test_lif
from tests.readers.seismic import test_segy
from tests.readers.volumes import (
    test_metaimage,
    test_mrc,
    test_nifti,
    test_npz,
    test_nrrd,
    test_raw,
)
from tests.readers.weather import test_grib

ORIGINALS: dict[ModuleType, tuple[str, ...]] = {
    test_nifti: ("i2", "nifti2", "pair", "analyze", "gz", "scaled", "rgb", "vectors"),
    test_nrrd: ("raw", "gzip i2", "detached", "colors", "tensor", "hex", "ascii", "slabs by list"),
    test_mrc: ("i2", "4 bits", "volumes", "RGB", "turned", "gzip"),
    test_dicom: ("i2", "RLE", "JPEG 2000", "enhanced", "times", "cine", "deflated"),
    test_metaimage: ("list", "text", "zlib", "gzip", "big-endian"),
    test_npz: ("stored", "compressed", "records", "coordinates beside"),
    test_raw: ("u2", "by name"),
    test_edf: ("i2", "frames", "uneven", "series", "adsc"),
    test_cbf: ("image", "small", "series"),
    test_envi: ("bsq", "bil", "fields bip", "one band"),
    test_lif: ("stack", "rgb", "float"),
    test_grib: ("edition 1", "edition 2", "levels", "missing"),
    test_dm: ("i2", "dm4", "series"),
    test_segy: ("IBM", "i2", "little-endian", "line"),
    test_fits: ("i2", "scaled", "fields", "rice", "rice float", "gzip"),
}
MOST_BYTES = 32 << 20


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """pydicom comments on what it reads."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def check(root: Path, parameters: Mapping[str, object], scratch: Path) -> ConversionError | None:
    """Open and read the mutant; the error, where there is one."""
    try:
        with open_source(root, None, parameters, scratch) as source:
            json.dumps(dict(source.spec.metadata), allow_nan=False)
            for dataset in source.spec.datasets[:3]:
                SourceContract()._check_dataset(dataset)
                json.dumps(dataset.times, allow_nan=False)
                for spec in dataset.fields[:2]:
                    if math.prod(dataset.shape) * spec.sample_bytes <= MOST_BYTES:
                        read_box(source, spec, dataset.timesteps - 1, Box.of_shape(dataset.shape))
        return None
    except ConversionError as error:
        return error


@pytest.mark.parametrize("module", ORIGINALS, ids=lambda m: m.__name__.rpartition("_")[2])
def test_mutants(module: ModuleType, tmp_path: Path) -> None:
    rng = random.Random(module.__name__)
    ends: set[str] = set()
    for name in ORIGINALS[module]:
        original = tmp_path / name
        original.mkdir()
        case = module.CASES[name](original)
        files = {p.name: p.read_bytes() for p in sorted(original.iterdir())}
        for number in range(12):
            root, scratch = tmp_path / f"{name}-{number}", tmp_path / f"{name}-{number}-scratch"
            root.mkdir()
            scratch.mkdir()
            victim = rng.choice(list(files))
            for file, data in files.items():
                (root / file).write_bytes(mutate(data, rng)[0] if file == victim else data)
            error = check(root, case.parameters, scratch)
            ends.add(error.code if error else "done")
            if error is not None:
                assert not isinstance(error, StorageUnavailable), error.message
                assert error.message.isprintable(), error.message
                assert str(tmp_path) not in error.message
    assert "done" in ends
    assert len(ends) > 1
