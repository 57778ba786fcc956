"""Every sample becomes the dataset, or the error, that the table says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.samples.compare import judge
from tests.samples.facts import Case
from tests.samples.table import CASES


def test_table_holds_the_whole_catalogue(samples: Path) -> None:
    lines = (samples / "CATALOGUE.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert {line.split("\t")[0] for line in lines if line} == {case.name for case in CASES}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_sample(case: Case, samples: Path) -> None:
    verdict = judge(case, samples)
    assert verdict.word == "OK", f"{verdict.made}\n{verdict.why}"
