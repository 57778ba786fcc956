"""``/mod_visus``, ``/d/``, ``/zarr/``, ``/zarr2/`` and boxes: results, each after a right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.convertors import Convertor, register_url_convertor

from scientistcloud.access.action import Action
from scientistcloud.access.listing import visible_to
from scientistcloud.access.rights import is_true
from scientistcloud.api.http.answers import EXPOSED, respond
from scientistcloud.api.rights import Granted, allowed, grant, permitted
from scientistcloud.datasets.catalogue.search import Search, search
from scientistcloud.datasets.documents.document import DatasetStatus
from scientistcloud.refusals import BadRequest
from scientistcloud.streaming.arco import answer_file
from scientistcloud.streaming.description import describe
from scientistcloud.streaming.mod_visus import answer_query, list_datasets
from scientistcloud.streaming.ome_zarr import answer_zarr
from scientistcloud.streaming.results import Result, parse_name
from scientistcloud.streaming.views import BoxRequest, as_json, cut_box, preview

_MOST_LISTED = 1000
_MOST_QUERY = 64 << 10


class _TokenConvertor(Convertor[str]):
    """A token, key or link as a part of a path, where a uuid could stand, too."""

    regex = r"(?:sc[kl]_[A-Za-z0-9_-]{16,128}|[\w-]{16,}\.[\w-]{16,}\.[\w-]{16,})"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("token", _TokenConvertor())
streams = APIRouter(tags=["streaming"])
boxes = APIRouter(prefix="/api/v2/datasets", tags=["streaming"])

Viewed = Annotated[Granted, allowed(Action.VIEW)]


@streams.get("/mod_visus", response_class=Response)
@streams.get("/mod_visus/{token:token}", response_class=Response)
def mod_visus(
    request: Request, granted: Annotated[Granted, permitted(Action.ANYTHING)]
) -> Response:
    """The protocol of OpenVisus: headers, boxes, blocks, lists."""
    query = _query(request)
    name = query.get("dataset", "")
    if query.get("action") == "list" or (not name and "action" not in query):
        return _list(request, granted, query)
    name, _, child = name.partition("/")
    uuid, generation = parse_name(name)
    granted = grant(request, Action.VIEW, uuid)
    result = granted.context.results.open(uuid, child, generation)
    with granted.context.boxes.turns.turn():
        answer = answer_query(result, query, granted.context.boxes)
        return respond(request, answer, public=_is_public(granted))


def _list(request: Request, granted: Granted, query: dict[str, str]) -> Response:
    wanted = Search(visible_to(granted.caller), status=DatasetStatus.DONE.value, limit=_MOST_LISTED)
    found, _ = search(granted.context.datasets, wanted)
    entries = [(str(each.get("name") or each["uuid"]), str(each["uuid"])) for each in found]
    base = str(request.url.replace(query=""))
    return respond(request, list_datasets(entries, query, base), public=False)


def _query(request: Request) -> dict[str, str]:
    """The parameters, the first of each name; empty pairs are passed over."""
    text = request.scope["query_string"]
    if len(text) > _MOST_QUERY:
        raise BadRequest("The query is too long.")
    found: dict[str, str] = {}
    for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
        found.setdefault(name.lstrip("?"), value)
    return found


Endpoint = TypeVar("Endpoint", bound=Callable[..., Response])


def _both(prefix: str) -> Callable[[Endpoint], Endpoint]:
    """A route of files, with the token in the path, or without."""
    options: dict[str, Any] = {"methods": ["GET", "HEAD"], "response_class": Response}

    def add(endpoint: Endpoint) -> Endpoint:
        streams.api_route(prefix + "/{token:token}/{uuid}/{path:path}", **options)(endpoint)
        streams.api_route(prefix + "/{uuid}/{path:path}", **options)(endpoint)
        return endpoint

    return add


@_both("/d")
def arco(request: Request, uuid: str, path: str, granted: Viewed) -> Response:
    """Virtual ARCO: `visus.idx` and its blocks, whatever is stored; `<uuid>[~<generation>]`."""
    result, generation, path = _result(granted, uuid, path)
    answer = answer_file(result, path, granted.context.boxes, immutable=generation is not None)
    return respond(request, answer, public=_is_public(granted))


@_both("/zarr")
def zarr_3(request: Request, uuid: str, path: str, granted: Viewed) -> Response:
    """Virtual OME-Zarr 0.5 on Zarr 3."""
    return _zarr(request, uuid, path, granted, 3)


@_both("/zarr2")
def zarr_2(request: Request, uuid: str, path: str, granted: Viewed) -> Response:
    """Virtual OME-Zarr 0.4 on Zarr 2."""
    return _zarr(request, uuid, path, granted, 2)


def _zarr(request: Request, uuid: str, path: str, granted: Granted, version: int) -> Response:
    result, generation, path = _result(granted, uuid, path)
    with granted.context.boxes.turns.turn():
        answer = answer_zarr(
            result, path, version, granted.context.boxes,
            title=_title(granted), immutable=generation is not None,
        )  # fmt: skip
    return respond(request, answer, public=_is_public(granted))


@boxes.get("/{uuid}/description")
def description(
    request: Request, uuid: str, granted: Viewed, output: str = "", generation: str | None = None
) -> Response:
    """Dims, fields, timesteps, axes and ranges of a result, x first."""
    result = granted.context.results.open(granted.uuid, output, generation)
    answer = as_json(describe(result, _title(granted)), result, immutable=False)
    return respond(request, answer, public=_is_public(granted))


@boxes.get("/{uuid}/box", response_class=Response)
def box(
    request: Request,
    uuid: str,
    granted: Viewed,
    field: str = "",
    time: str = "",
    box: Annotated[str, Query(description="x1,x2,y1,y2[,z1,z2], half-open; all by default")] = "",
    resolution: Annotated[int | None, Query(ge=0, le=64)] = None,
    format: str = "raw",
    range: Annotated[str, Query(description="low,high of the palette")] = "",
    palette: str = "viridis",
    scale: str = "linear",
    output: str = "",
    generation: str | None = None,
) -> Response:
    """Samples of a box as raw (little-endian, x fastest), npy, png, webp, jpeg, tiff or netcdf."""
    result = granted.context.results.open(granted.uuid, output, generation)
    wanted = BoxRequest(field, time, box, resolution, format, range, palette, scale)
    with granted.context.boxes.turns.turn():
        answer = cut_box(result, wanted, granted.context.boxes, immutable=generation is not None)
        return respond(request, answer, public=_is_public(granted), deflate=format == "raw")


@boxes.get("/{uuid}/preview", response_class=Response)
def picture(
    request: Request,
    uuid: str,
    granted: Viewed,
    field: str = "",
    time: str = "",
    axis: Annotated[int, Query(ge=0, le=2)] = 2,
    at: Annotated[int | None, Query(ge=0, le=1 << 62)] = None,
    pixels: Annotated[int, Query(ge=1, le=2048)] = 256,
    format: str = "png",
    range: str = "",
    palette: str = "viridis",
    scale: str = "linear",
    output: str = "",
    generation: str | None = None,
) -> Response:
    """A picture of one plane, the middle one by default: for lists and links."""
    result = granted.context.results.open(granted.uuid, output, generation)
    wanted = BoxRequest(field, time, "", None, format, range, palette, scale)
    with granted.context.boxes.turns.turn():
        answer = preview(
            result, wanted, granted.context.boxes, axis=axis, at=at, pixels=pixels,
            immutable=generation is not None,
        )  # fmt: skip
    return respond(request, answer, public=_is_public(granted))


@streams.options("/mod_visus", include_in_schema=False)
@streams.options("/d/{path:path}", include_in_schema=False)
@streams.options("/zarr/{path:path}", include_in_schema=False)
@streams.options("/zarr2/{path:path}", include_in_schema=False)
def preflight(_: Annotated[Granted, permitted(Action.ANYTHING)]) -> Response:
    """Viewers on other pages may read what their token opens."""
    return Response(status_code=204, headers=CORS | {"access-control-allow-headers": "range"})


CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    "access-control-expose-headers": EXPOSED,
}


def _result(granted: Granted, name: str, path: str) -> tuple[Result, str | None, str]:
    """The result that an address names, its generation if it names one, and what is asked for."""
    uuid, generation = parse_name(name)
    results = granted.context.results
    head, _, rest = path.partition("/")
    others = results.open(uuid, "", generation).record.get("others") or []
    if head in others and rest:
        return results.open(uuid, head, generation), generation, rest
    return results.open(uuid, "", generation), generation, path


def _title(granted: Granted) -> str:
    return str(granted.document.get("name") or granted.uuid)


def _is_public(granted: Granted) -> bool:
    return is_true(granted.document.get("is_public"))
