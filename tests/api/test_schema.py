"""The whole OpenAPI, asked with made-up requests: no 5xx, and no answer that it does not name."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.api.serving import ADMIN, OWNER, Server, bearer

ROLES = {"nobody": {}, "owner": bearer(OWNER), "admin": bearer(ADMIN)}
EXAMPLES = 3
_ENDLESS = "events"


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_every_answer_is_one_that_the_schema_tells_of(server: Server, role: str) -> None:
    uuid = server.create(bearer(OWNER))
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    operations = [each.ok() for each in schema.get_all_operations()]
    assert len(operations) > 80
    wrong: list[str] = []
    for operation in operations:
        if not operation.path.endswith(_ENDLESS):
            wrong += _wrong(operation, uuid, ROLES[role])
    assert not wrong, "\n".join(wrong[:30])


def _wrong(operation: Any, uuid: str, headers: dict[str, str]) -> list[str]:
    """What some made-up requests for one operation got that it may not give."""
    found: list[str] = []

    @settings(
        max_examples=EXAMPLES, database=None, deadline=None, derandomize=True,
        phases=[Phase.generate], suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case: schemathesis.Case) -> None:
        for name in ("uuid", "identifier"):
            if name in case.path_parameters:
                case.path_parameters[name] = uuid
        answer = case.call(headers=headers, timeout=20)
        kind = answer.headers.get("content-type", [""])[0].partition(";")[0]
        if answer.status_code >= 500 or not _is_told(operation, answer, kind):
            found.append(f"{answer.status_code} {kind} {operation.label} {case.as_curl_command()}")

    ask()
    return found


def _is_told(operation: Any, answer: Any, kind: str) -> bool:
    """Whether the schema has the status, and the kind of body where it names any."""
    responses = operation.definition.raw["responses"]
    status = str(answer.status_code)
    told = responses.get(status, responses.get(f"{status[0]}XX"))
    if told is None:
        return False
    kinds = told.get("content", {})
    return not kinds or not answer.content or kind in kinds
