"""Looks at an upload before it is converted: what would be made of it, and a first picture."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter

from scientistcloud.access.action import Action
from scientistcloud.api.rights import Granted, allowed
from scientistcloud.api.v2.models import Choices
from scientistcloud.datasets.catalogue.intake import note_life
from scientistcloud.refusals import BadRequest
from scientistcloud.streaming.colors import first_look, paint
from scientistcloud.streaming.encode import picture_bytes

router = APIRouter(prefix="/api/v2/datasets", tags=["looks"])

_PIXELS = 256
Changing = Annotated[Granted, allowed(Action.CHANGE)]


@router.post("/{uuid}/inspect")
def inspect(uuid: str, granted: Changing, body: Choices | None = None) -> dict[str, Any]:
    """What would be made of the files that have come: datasets, choices left open, notes.

    Nothing is converted and nothing is changed. `parameters` of the answer, edited or not, can be
    sent again, here or to convert.
    """
    sensor, parameters = _choices(granted, body)
    # One who chooses is at work: the upload is not quiet.
    note_life(granted.context.datasets, granted.document["_id"])
    found: dict[str, Any] = granted.context.looking.inspect(granted.uuid, sensor, parameters)
    return found


@router.post("/{uuid}/glimpse")
def glimpse(uuid: str, granted: Changing, body: Choices | None = None) -> dict[str, Any]:
    """The middle planes straight from the files, as PNG in base64, before anything is converted."""
    sensor, parameters = _choices(granted, body)
    facts, planes = granted.context.looking.glimpse(granted.uuid, sensor, parameters, _PIXELS)
    found: dict[str, Any] = dict(facts)
    look = first_look(planes, found["components"], found["fill_value"])
    found["range"] = [look.low, look.high]
    for each, samples in zip(found["planes"], planes, strict=True):
        colors = paint(samples, found["components"], look)
        each["width"], each["height"] = colors.shape[1], colors.shape[0]
        each["png"] = base64.b64encode(picture_bytes(colors, "png")).decode()
    return found


def _choices(granted: Granted, body: Choices | None) -> tuple[str | None, dict[str, Any]]:
    document, body = granted.document, body or Choices()
    sensor = document.get("sensor") if body.sensor is None else body.sensor
    parameters = body.parameters
    if parameters is None:
        parameters = document.get("conversion_parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest("The parameters are no object.")
    return None if sensor is None else str(sensor)[:64], parameters
