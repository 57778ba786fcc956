"""What ``/api/v2`` takes and gives."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=255)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
MOST_TAGS = 100


class Strict(BaseModel):
    """A body in which nothing is passed over in silence."""

    model_config = ConfigDict(extra="forbid")


class NewDataset(Strict):
    """A dataset whose files are still to come.

    `files` announces how many: when so many have come, it is queued. `convert` false leaves the
    files as they are.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "Scan 7", "sensor": "TIFF", "files": 2}},
    )

    name: Name
    sensor: Annotated[str, StringConstraints(max_length=64)] | None = None
    parameters: dict[str, Any] | None = None
    files: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    convert: bool = True
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    team_uuid: Annotated[str, StringConstraints(max_length=255)] | None = None
    is_public: bool = False
    is_public_downloadable: bool = False


class Choices(Strict):
    """Choices for a look at an upload; without them, those of its document."""

    sensor: Annotated[str, StringConstraints(max_length=64)] | None = None
    parameters: dict[str, Any] | None = None


class Problem(BaseModel):
    """Why a conversion failed, in the user's words."""

    code: str
    message: str
    remedy: str


class Dataset(BaseModel):
    """A dataset, and what becomes of it.

    `stage` is upload, queue, reading, converting, verifying, publishing, done or failed; `rights`
    tells what the caller may do.
    """

    uuid: str
    name: str
    status: str
    stage: str
    percent: float
    seconds_left: float | None = None
    queue_position: int | None = None
    waiting: str | None = None
    expected_start: datetime | None = None
    message: str | None = None
    error: Problem | None = None
    sensor: str | None = None
    parameters: dict[str, Any] | None = None
    description: str | None = None
    tags: list[str] = []
    owner: str | None = None
    team: str | None = None
    folder: str | None = None
    is_public: bool = False
    is_public_downloadable: bool = False
    dimensions: str | None = None
    size_bytes: int | None = None
    files: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    rights: list[str] = []
    has_result: bool = False


class DatasetPage(BaseModel):
    """Some datasets, newest first; `next` is the cursor of what follows."""

    datasets: list[Dataset]
    next: str | None = None


class Changes(Strict):
    """What is to be changed; what is not there stays."""

    name: Name | None = None
    description: Annotated[str, StringConstraints(max_length=10_000)] | None = None
    tags: Annotated[list[Tag], Field(max_length=MOST_TAGS)] | None = None
    folder_uuid: Annotated[str, StringConstraints(max_length=255)] | None = None
    sensor: Annotated[str, StringConstraints(max_length=64)] | None = None
    parameters: dict[str, Any] | None = None
    team_uuid: Annotated[str, StringConstraints(max_length=255)] | None = None
    is_public: bool | None = None
    is_public_downloadable: bool | None = None


class Retry(Strict):
    """Convert again, with other choices if any are given."""

    parameters: dict[str, Any] | None = None
    sensor: Annotated[str, StringConstraints(max_length=64)] | None = None


class NewShare(Strict):
    """With whom to share: a person by e-mail, or a team by uuid."""

    email: Annotated[str, StringConstraints(max_length=320)] | None = None
    team: Annotated[str, StringConstraints(max_length=255)] | None = None


class NewLink(Strict):
    """A link for whoever has it; `download` lets them have the files, too."""

    download: bool = False
    days: Annotated[float, Field(gt=0, le=3650)] | None = 30.0


class NewKey(Strict):
    """A key that acts as its maker, as far as its scopes reach."""

    name: Name
    scopes: Annotated[list[Literal["read", "upload", "change"]], Field(min_length=1)]
    days: Annotated[float, Field(gt=0, le=3650)] | None = 365.0


class NewTeam(Strict):
    """A team; its maker is its owner."""

    name: Name
    emails: Annotated[list[str], Field(max_length=10_000)] = []


class TeamChanges(Strict):
    """What is to be changed of a team."""

    name: Name | None = None
    emails: Annotated[list[str], Field(max_length=10_000)] | None = None
