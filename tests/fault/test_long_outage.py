"""An excerpt of ``python -m tests.fault.long_outage``: MongoDB away for longer than a lease."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fault.long_outage import run

LEASE = {"LEASE_SECONDS": "3", "LEASE_RENEW_SECONDS": "0.5"}


@pytest.mark.parametrize("hang", [False, True])
def test_results_are_published_only_after_a_renewal_that_succeeded(
    tmp_path: Path, hang: bool
) -> None:
    found = run(tmp_path, 10.0, LEASE, hang=hang)
    assert found.wrong == []
    assert found.looks_while_away >= 5
    assert found.slowest_answer_seconds < 5.0
