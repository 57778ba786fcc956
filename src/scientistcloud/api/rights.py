"""Rights of routes: each names its action, and gets the document only if the caller may do it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import Depends, Request

from scientistcloud.access.action import Action
from scientistcloud.access.caller import Caller
from scientistcloud.access.rights import decide
from scientistcloud.api.callers import caller_of
from scientistcloud.api.context import ApiContext, context_of
from scientistcloud.datasets.lookup import find_named
from scientistcloud.refusals import DatasetNotFound, NotAllowed, NotSignedIn

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Granted:
    """A caller who may do what the route does; to `document`, where it is about a dataset."""

    caller: Caller
    context: ApiContext
    document: dict[str, Any]

    @property
    def uuid(self) -> str:
        return str(self.document.get("uuid"))


def allowed(action: Action, find: Callable[[Request], str] | None = None) -> Any:
    """The dependency of a route on the dataset that its path names ``uuid``.

    Parameters
    ----------
    find : callable, optional
        Tells the uuid where the path does not.

    Raises
    ------
    DatasetNotFound
        There is none, or the caller may not know.
    NotAllowed, NotSignedIn
        The caller may see it, but not do this.
    """

    def dependency(request: Request) -> Granted:
        uuid = find(request) if find else request.path_params["uuid"]
        return grant(request, action, uuid.partition("~")[0])

    dependency.action = action  # type: ignore[attr-defined]
    return Depends(dependency)


def identified(action: Action) -> Any:
    """The dependency of a route of the portal, whose path names ``identifier``.

    36 characters with 4 hyphens are a uuid, digits an ``id``, a text with a hyphen a slug, any
    other an exact name.
    """

    def dependency(request: Request) -> Granted:
        context, caller = context_of(request), caller_of(request)
        document = find_named(context.datasets, request.path_params["identifier"])
        require(request, caller, action, document)
        assert document is not None
        return Granted(caller, context, document)

    dependency.action = action  # type: ignore[attr-defined]
    return Depends(dependency)


def permitted(action: Action) -> Any:
    """The dependency of a route that is about no dataset."""

    def dependency(request: Request) -> Granted:
        context, caller = context_of(request), caller_of(request)
        if action is not Action.ANYTHING:
            require(request, caller, action, None)
        return Granted(caller, context, {})

    dependency.action = action  # type: ignore[attr-defined]
    return Depends(dependency)


def grant(request: Request, action: Action, uuid: str, caller: Caller | None = None) -> Granted:
    """The dataset `uuid`, if the caller may do `action` to it; raises as `allowed` says."""
    context = context_of(request)
    caller = caller_of(request) if caller is None else caller
    document = context.datasets.find_one({"uuid": {"$eq": uuid}})
    if document is None and action is Action.DELETE:
        document = context.trash.find(uuid)
    require(request, caller, action, document)
    assert document is not None
    return Granted(caller, context, document)


def require(
    request: Request, caller: Caller, action: Action, document: dict[str, Any] | None
) -> None:
    """Raise, and write down, what `caller` may not do."""
    decision = decide(caller, action, document)
    if decision.is_allowed:
        return
    log.info(
        "Refused", who=caller.email or "nobody", action=action.value, path=request.url.path[:200]
    )
    if not decision.is_visible:
        raise DatasetNotFound
    if caller.is_nobody and caller.link is None:
        raise NotSignedIn(decision.reason)
    raise NotAllowed(decision.reason)
