"""Five hundred damaged inputs: right data or an error of the catalogue, each of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MOST_SECONDS = 280
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, str]]:
    """Exit status and report of two fuzzers that share the formats and run at once."""
    # Real files would change what each number stands for, depending on whether they are there.
    nothing = tmp_path_factory.mktemp("no-samples")
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.fuzz", "--count", "250", "--seed", "7"]
    command += ["--seconds", str(MOST_SECONDS - 40), "--samples", str(nothing), "--formats"]
    runs = [
        subprocess.Popen(
            [*command, formats],
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for formats in ("tiff/,image/,archive/,idx/,dicom/", "hdf5/,netcdf/,zarr/,volumes/")
    ]
    try:
        return [(run.wait(MOST_SECONDS), run.stdout.read() if run.stdout else "") for run in runs]
    finally:
        for run in runs:
            run.kill()
            run.wait()
            if run.stdout:
                run.stdout.close()


def test_each_ends_in_right_data_or_a_catalogued_error(reports: list[tuple[int, str]]) -> None:
    for status, report in reports:
        assert status == 0, report


def test_both_ends_are_reached(reports: list[tuple[int, str]]) -> None:
    """A fuzzer whose mutants are all refused, or all unharmed, proves nothing."""
    for _, report in reports:
        counts = {"right": 0, "refused": 0}
        for line in report.splitlines():
            words = line.split()
            if len(words) == 3 and words[2] in counts:
                counts[words[2]] += int(words[0])
        assert min(counts.values()) > 10, report
