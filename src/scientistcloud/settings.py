"""The settings of every program: command line > environment > settings file > default.

Names of variables are those that operators know; attributes carry their units. Longer than other
modules because the table of settings is one value.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from scientistcloud import host
from scientistcloud.errors import BadSettings
from scientistcloud.size import DEFAULT_MEMORY_LIMIT_BYTES as DEFAULT_MEMORY_LIMIT_BYTES
from scientistcloud.size import parse_size as parse_size

SMALLEST_MEMORY_LIMIT_BYTES = 96_000_000
# With neither limit nor number set, no attempt gets less than this because of the others.
_SHARE_BYTES = 1024**3


def _name(value: str) -> str:
    if not 0 < len(value.encode()) < 64 or re.search(r'[/\\. "$*<>:|?\0]', value):
        raise ValueError
    return value


def _collection(value: str) -> str:
    if not value or "$" in value or "\0" in value or value.startswith("system."):
        raise ValueError
    return value


def _mongo_url(value: SecretStr | None) -> SecretStr | None:
    if value and not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError
    return value


def _absolute(value: Path) -> Path:
    return value.expanduser().absolute()


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _smaller_of_both(seconds: float, info: ValidationInfo) -> float:
    return min(seconds, 60 * float(info.data.get("timeout_minutes", "inf")))


def _within_host(limit_bytes: int) -> int:
    allowed_bytes = min(limit_bytes, host.usable_memory_bytes())
    if allowed_bytes < SMALLEST_MEMORY_LIMIT_BYTES:
        raise ValueError
    return allowed_bytes


def _shared_memory(data: Mapping[str, Any]) -> int:
    """The default limit of one attempt: 8 GiB, or an equal share of what this host has."""
    share_bytes = host.usable_memory_bytes() // (
        data.get("max_concurrent") or host.attempts_at_once(_SHARE_BYTES)
    )
    return max(SMALLEST_MEMORY_LIMIT_BYTES, min(DEFAULT_MEMORY_LIMIT_BYTES, share_bytes))


def _setting(variable: str, default: Any, allowed: str, meaning: str, **more: Any) -> Any:
    """One setting; `allowed` and `meaning` serve error messages and ``docs/settings.md``."""
    key = "default_factory" if callable(default) else "default"
    more[key] = default
    return Field(
        validation_alias=variable,
        description=meaning,
        json_schema_extra={"allowed": allowed, "shown": more.pop("shown", "")},
        **more,
    )


def _words(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return tuple(word.strip() for word in value.split(",") if word.strip())


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, slots=True)
class SettingInForce:
    """One row of what `Settings.in_force` tells; `value` shows no secret."""

    variable: str
    value: str
    origin: str


class Settings(BaseSettings):
    """All settings, validated; made by `load_settings`. Attributes are in the units they name."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, case_sensitive=True
    )

    mongo_url: Annotated[SecretStr | None, AfterValidator(_mongo_url)] = _setting(
        "MONGO_URL", None, "mongodb://... or mongodb+srv://...",
        "Connection string of MongoDB, used exactly as given.", shown="none",
    )  # fmt: skip
    db_name: Annotated[str, AfterValidator(_name)] = _setting(
        "DB_NAME", "scientistcloud",
        'a name of 1 to 63 bytes without / \\ . " $ * < > : | ? or a space',
        "Database of the datasets.",
    )  # fmt: skip
    collection: Annotated[str, AfterValidator(_collection)] = _setting(
        "COLLECTION_VISSTOREDATAS", "visstoredatas",
        "a name without $ that does not begin with system.",
        "Collection of the datasets.",
    )  # fmt: skip
    visus_datasets: AbsolutePath = _setting(
        "VISUS_DATASETS", Path("/mnt/visus_datasets"), "a folder",
        "Folder that all hosts and viewers share.",
    )  # fmt: skip
    in_data_dir: AbsolutePath = _setting(
        "JOB_IN_DATA_DIR", lambda data: data["visus_datasets"] / "upload", "a folder",
        "Where the uploads are: one folder per dataset, never written to.",
        shown="$VISUS_DATASETS/upload",
    )  # fmt: skip
    out_data_dir: AbsolutePath = _setting(
        "JOB_OUT_DATA_DIR", lambda data: data["visus_datasets"] / "converted", "a folder",
        "Where the converted datasets go.",
        shown="$VISUS_DATASETS/converted",
    )  # fmt: skip
    max_concurrent: Annotated[int | None, Field(ge=1)] = _setting(
        "JOB_MAX_CONCURRENT", None, "a whole number from 1",
        "Conversions that one service runs at a time.",
        shown="as many as cores and memory allow, 5 at most",
    )  # fmt: skip
    timeout_minutes: Seconds = _setting(
        "JOB_TIMEOUT_MINUTES", 120.0, "a number of minutes above 0",
        "Time without progress after which an attempt is stopped.",
    )  # fmt: skip
    timeout_seconds: Annotated[Seconds, AfterValidator(_smaller_of_both)] = _setting(
        "CONVERSION_TIMEOUT", 7200.0, "a number of seconds above 0",
        "The same in seconds; the smaller of the two rules.", validate_default=True,
    )  # fmt: skip
    max_attempts: Annotated[int, Field(ge=1)] = _setting(
        "JOB_MAX_RETRY_ATTEMPTS", 3, "a whole number from 1",
        "Attempts in all, the first included.",
    )  # fmt: skip
    retry_delay_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _setting(
        "JOB_RETRY_DELAY_SECONDS", 30.0, "a number of seconds, 0 or more",
        "Delay before the second attempt; it doubles with each further one.",
    )  # fmt: skip
    memory_limit_bytes: Annotated[
        int, BeforeValidator(parse_size), AfterValidator(_within_host)
    ] = _setting(
        "CONVERSION_MEMORY_LIMIT", _shared_memory,
        "a size such as 8G, 512MiB or 2.5GB, not below 96 MB",
        "Resident memory of one conversion.",
        validate_default=True, shown="8G, or this host's share where that is less",
    )  # fmt: skip
    cpu_limit: Annotated[int, Field(ge=1)] = _setting(
        "CONVERSION_CPU_LIMIT", 4, "a whole number from 1",
        "Threads of one conversion.",
    )  # fmt: skip
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = _setting(
        "METRICS_PORT", 9090, "a port from 0 (none) to 65535",
        "Port of the Prometheus metrics; taken: a warning.",
    )  # fmt: skip
    auth: Annotated[Literal["none", "token", "portal"], BeforeValidator(_lower)] = _setting(
        "AUTH", "none", "none, token or portal",
        "Who the HTTP API takes callers for: none (all are you; on loopback only), token (tokens "
        "and keys), portal (also whom a trusted portal names).",
    )  # fmt: skip
    secret_key: SecretStr | None = _setting(
        "SECRET_KEY", None, "any text",
        "Key of the auth service's tokens (HS256).", shown="none",
    )  # fmt: skip
    token_audience: str = _setting(
        "AUTH0_AUDIENCE", "sclib-api", "any text", "Audience of the tokens.",
    )  # fmt: skip
    oidc_issuer: str | None = _setting(
        "OIDC_ISSUER", None, "https://...", "Issuer of OIDC tokens that are accepted, too.",
        shown="none",
    )  # fmt: skip
    oidc_audience: str | None = _setting(
        "OIDC_AUDIENCE", None, "any text",
        "Audience that OIDC tokens must be for; needed with `OIDC_ISSUER`.", shown="none",
    )  # fmt: skip
    admin_emails: Words = _setting(
        "ADMIN_EMAILS", (), "addresses with commas between",
        "Who may do everything.", shown="nobody",
    )  # fmt: skip
    admin_role: str = _setting(
        "ADMIN_ROLE", "scientistcloud-admin", "any text",
        "Role in the claim `roles` of an OIDC token that makes an administrator.",
    )  # fmt: skip
    portal_secret: SecretStr | None = _setting(
        "PORTAL_SECRET", None, "any text",
        "What a portal sends as X-Portal-Secret to be believed (AUTH=portal).", shown="none",
    )  # fmt: skip
    portal_networks: Words = _setting(
        "PORTAL_NETWORKS", (), "networks such as 172.18.0.0/16, with commas between",
        "From where a portal is believed without a secret (AUTH=portal); never through a proxy.",
        shown="none",
    )  # fmt: skip
    cors_origins: Words = _setting(
        "CORS_ORIGINS", (), "origins such as https://portal.example, with commas between",
        "Pages of other origins that may call the API.", shown="none",
    )  # fmt: skip
    root_path: str = _setting(
        "ROOT_PATH", "", "a path such as /scientistcloud",
        "Path that a proxy puts in front of the API and the page.", shown="none",
    )  # fmt: skip
    upload_quota_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=0)] = _setting(
        "UPLOAD_QUOTA", 0, "a size such as 500G, 0 for no limit",
        "What one user may have uploaded, running uploads included.", shown="0: no limit",
    )  # fmt: skip
    upload_most_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=1)] = _setting(
        "UPLOAD_MAX_SIZE", 10 * 1024**4, "a size such as 10TiB",
        "The largest file that can be uploaded.", shown="10TiB",
    )  # fmt: skip
    upload_keep_free_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=0)] = _setting(
        "UPLOAD_KEEP_FREE", 5 * 1024**3, "a size such as 5GiB",
        "What uploads leave free on the disk.", shown="5GiB",
    )  # fmt: skip
    upload_quiet_seconds: Seconds = _setting(
        "UPLOAD_QUIET_SECONDS", 60.0, "a number of seconds above 0",
        "A dataset that nobody finishes is queued when nothing has come for so long.",
    )  # fmt: skip
    upload_expiry_seconds: Seconds = _setting(
        "UPLOAD_EXPIRY_SECONDS", 7 * 86400.0, "a number of seconds above 0",
        "An unfinished upload of a file is removed when nothing has come for so long.",
    )  # fmt: skip
    upload_path_folders: Words = _setting(
        "UPLOAD_PATH_FOLDERS", (), "folders with commas between",
        "From where the portal may have files taken over (upload-path).", shown="none",
    )  # fmt: skip
    import_private: bool = _setting(
        "IMPORT_PRIVATE_ADDRESSES", False, "true or false",
        "Whether files may be imported from addresses of private networks.",
    )  # fmt: skip
    delete_grace_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _setting(
        "DELETE_GRACE_SECONDS", 7 * 86400.0, "a number of seconds, 0 or more",
        "How long a deleted dataset can be brought back.",
    )  # fmt: skip
    stream_cache_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=1)] = _setting(
        "STREAM_CACHE", 256 * 1024**2, "a size such as 256MiB",
        "Decoded blocks that the API keeps in memory.", shown="256MiB",
    )  # fmt: skip
    stream_box_bytes: Annotated[int, BeforeValidator(parse_size), Field(ge=1)] = _setting(
        "STREAM_BOX_LIMIT", 256 * 1024**2, "a size such as 256MiB",
        "The largest box of samples in one answer.", shown="256MiB",
    )  # fmt: skip
    lease_seconds: Seconds = _setting(
        "LEASE_SECONDS", 15.0, "a number of seconds above 0",
        "How long a claim lasts without renewal.",
    )  # fmt: skip
    renew_seconds: Annotated[float, Field(gt=0)] = _setting(
        "LEASE_RENEW_SECONDS", lambda data: data["lease_seconds"] / 5,
        "a number of seconds above 0, below LEASE_SECONDS",
        "Time between two renewals.", shown="a fifth of LEASE_SECONDS: 3",
    )  # fmt: skip
    foreign_claim_minutes: Seconds = _setting(
        "FOREIGN_CLAIM_MINUTES", 180.0, "a number of minutes above 0",
        "Silence after which a conversion of another kind of service is taken over.",
    )  # fmt: skip
    max_converting_per_user: Annotated[int, Field(ge=0)] = _setting(
        "MAX_CONVERTING_PER_USER", 0, "a whole number, 0 for no limit",
        "Conversions of one user's datasets at a time, over all services together.",
        shown="0: no limit",
    )  # fmt: skip
    grace_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _setting(
        "GENERATION_GRACE_SECONDS", 3600.0, "a number of seconds, 0 or more",
        "How long blocks stay for readers after a newer result replaced them.",
    )  # fmt: skip
    checkpoint_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = _setting(
        "CHECKPOINT_SECONDS", 10.0, "a number of seconds, 0 or more",
        "Least time between two checkpoints of a conversion, from which a next attempt goes on.",
    )  # fmt: skip
    max_timesteps: Annotated[int, Field(ge=1)] = _setting(
        "MAX_TIMESTEPS", 200_000, "a whole number above 0",
        "Datasets of more timesteps are refused: each costs a file.",
    )  # fmt: skip
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_lower)] = _setting(
        "LOG_FORMAT", "console", "console or json", "How log lines look.",
    )  # fmt: skip
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)
    ] = _setting(
        "LOG_LEVEL", "info", "debug, info, warning or error", "The least level that is logged.",
    )  # fmt: skip

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _warnings: tuple[str, ...] = PrivateAttr(default=())

    @property
    def concurrency(self) -> int:
        """Conversions at a time: as set, or min(5, cores, what memory allows)."""
        return self.max_concurrent or host.attempts_at_once(self.memory_limit_bytes)

    def origins(self) -> dict[str, str]:
        """Attribute -> where its value came from: ``command line``, ``environment``, ..."""
        return {name: self._origins.get(name, "default") for name in type(self).model_fields}

    def warnings(self) -> tuple[str, ...]:
        """What was found odd while loading, such as unknown keys of the settings file."""
        return self._warnings

    def in_force(self) -> list[SettingInForce]:
        """Every variable with its value and origin, secrets hidden."""
        origins, values = self.origins(), dict(self) | {"max_concurrent": self.concurrency}
        return [
            SettingInForce(variable, _shown(values[name]), origins[name])
            for name, variable in VARIABLES.items()
        ]


VARIABLES: Mapping[str, str] = {
    name: str(field.validation_alias) for name, field in Settings.model_fields.items()
}
"""Attribute of `Settings` -> name of its variable."""

_ABOVE_FILE = ("environment", "command line")
FILE_KEYS = ("db_name", "in_data_dir", "out_data_dir")
_FILE_KEYS_WITHOUT_EFFECT = ("sync_data_dir", "auth_dir")


def load_settings(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in force.

    Parameters
    ----------
    file : Path, optional
        Settings file: JSON with ``db_name``, ``in_data_dir``, ``out_data_dir``; ``sync_data_dir``
        and ``auth_dir`` are accepted and have no effect here; other keys become `warnings`.
    overrides : Mapping, optional
        Attribute -> value as the command line gave it; None stands for not given.

    Raises
    ------
    BadSettings
        Names each variable, its value (never a secret) and what is allowed.
    """
    found = _read_file(file) if file else {}
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    strange = sorted(set(found) - set(FILE_KEYS) - set(_FILE_KEYS_WITHOUT_EFFECT))
    from_file = {name: found[name] for name in FILE_KEYS if found.get(name) not in (None, "")}
    origins = dict.fromkeys(from_file, f"settings file {file}")
    origins |= {name: "environment" for name, key in VARIABLES.items() if os.environ.get(key)}
    origins |= dict.fromkeys(given, "command line")
    # The environment is pydantic's to read: the file's values are passed only where it has none.
    values = {
        name: value for name, value in from_file.items() if origins[name] not in _ABOVE_FILE
    } | given
    settings = _validated(values, origins)
    settings._origins.update(origins)
    if 60 * settings.timeout_minutes == settings.timeout_seconds:
        settings._origins["timeout_seconds"] = origins.get("timeout_minutes", "default")
    if strange:
        settings._warnings = (f"{file}: unknown keys, ignored: {', '.join(strange)}",)
    return settings


def _read_file(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"The settings file {file} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise BadSettings(f"The settings file {file} is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise BadSettings(f'The settings file {file} must hold an object like {{"db_name": "x"}}.')
    return value


def _validated(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    complaints: list[str] = []
    try:
        settings = Settings(**{VARIABLES[name]: value for name, value in values.items()})
    except ValidationError as error:
        complaints = _complaints(error, origins)
    if complaints:
        # Raised outside: pydantic's error holds the values, secrets among them.
        raise BadSettings("; ".join(complaints))
    if settings.renew_seconds >= settings.lease_seconds:
        raise BadSettings(
            f"LEASE_RENEW_SECONDS = {settings.renew_seconds:g} must be below "
            f"LEASE_SECONDS = {settings.lease_seconds:g}"
        )
    return settings


def _complaints(error: ValidationError, origins: Mapping[str, str]) -> list[str]:
    names = {variable: name for name, variable in VARIABLES.items()}
    complaints = []
    for each in error.errors(include_url=False):
        variable = str(each["loc"][0])
        name = names.get(variable, variable)
        if each["type"] == "default_factory_not_called":
            continue  # the consequence of another error
        field = Settings.model_fields[name]
        extra = field.json_schema_extra
        allowed = extra["allowed"] if isinstance(extra, dict) else ""
        value = "(hidden)" if "SecretStr" in str(field.annotation) else repr(each["input"])
        limit = ""
        if (
            name == "memory_limit_bytes"
            and host.usable_memory_bytes() < SMALLEST_MEMORY_LIMIT_BYTES
        ):
            limit = f" (this host allows {host.usable_memory_bytes() // 1_000_000} MB)"
        complaints.append(
            f"{variable} = {value} ({origins.get(name, 'default')}) is not allowed: "
            f"it must be {allowed}{limit}"
        )
    return complaints


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return "(hidden)"
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:.15g}" if isinstance(value, float) else str(value)
