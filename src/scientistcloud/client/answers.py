"""Answers of a server as Python: a response, or the refusal that it stands for."""

from __future__ import annotations

import httpx

from scientistcloud.refusals import Refusal, refusals


def require_success(answer: httpx.Response) -> httpx.Response:
    """The answer, or the `Refusal` that it stands for, with the server's own words."""
    if answer.is_success:
        return answer
    try:
        body = answer.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    kinds = {each.__name__: each for each in refusals()}
    kind = kinds.get(str(body.get("code")), Refusal)
    message = str(body.get("detail") or f"The server answered {answer.status_code}.")
    raise kind(message, remedy=str(body.get("remedy") or "") or None)
