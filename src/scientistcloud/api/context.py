"""What all routes share: settings, database, readers; made once for each process."""

from __future__ import annotations

import threading
from functools import cached_property

from fastapi import Request

from scientistcloud import host
from scientistcloud.access.people import People
from scientistcloud.access.secrets import SecretStore
from scientistcloud.access.tokens import TokenVerifier
from scientistcloud.api.http.outbox import Outbox
from scientistcloud.api.link import DatabaseLink
from scientistcloud.datasets.catalogue.sharing import Sharing
from scientistcloud.datasets.catalogue.teams import Teams
from scientistcloud.datasets.catalogue.trash import COLLECTION as TRASH
from scientistcloud.datasets.catalogue.trash import Trash
from scientistcloud.datasets.documents.collection import GuardedCollection
from scientistcloud.datasets.store import DatasetStore
from scientistcloud.service.looking import Looking
from scientistcloud.settings import Settings
from scientistcloud.streaming.block_cache import BlockCache
from scientistcloud.streaming.box_reader import BoxReader
from scientistcloud.streaming.results import Results
from scientistcloud.uploads.importing import Importer
from scientistcloud.uploads.incoming import Incoming
from scientistcloud.uploads.intake import Intake, Limits
from scientistcloud.uploads.ledger import Ledger
from scientistcloud.uploads.receiving import RunningHashes

_TIMEOUT_SECONDS = 5.0


class ApiContext:
    """Handed to every route by `context_of`.

    What needs MongoDB is made when it is first asked for, and raises `DatabaseUnavailable` while
    the server is away.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.link = DatabaseLink(settings)
        self.results = Results(settings.out_data_dir)
        cache = BlockCache(settings.stream_cache_bytes)
        self.outbox = Outbox(4 * settings.stream_box_bytes)
        self.boxes = BoxReader(cache, host.cores(), settings.stream_box_bytes)
        secret = settings.secret_key
        self.verifier = TokenVerifier(
            secret.get_secret_value() if secret else None,
            settings.token_audience,
            settings.oidc_issuer,
            settings.oidc_audience,
        )
        self.hashes = RunningHashes()
        self.looking = Looking(settings)
        self.stopping = threading.Event()

    @property
    def datasets(self) -> GuardedCollection:
        return self.link.collection()

    @cached_property
    def store(self) -> DatasetStore:
        return DatasetStore(
            self.link.database(),
            collection=self.settings.collection,
            owner="api",
            lease_seconds=self.settings.lease_seconds,
            foreign_claim_minutes=self.settings.foreign_claim_minutes,
        )

    @cached_property
    def people(self) -> People:
        return People(self.link.database(), {})

    @cached_property
    def secrets(self) -> SecretStore:
        return SecretStore(self.link.database())

    @cached_property
    def sharing(self) -> Sharing:
        return Sharing(self.people.shared_user, self.people.shared_team)

    @cached_property
    def teams(self) -> Teams:
        return Teams(self.people.teams)

    @cached_property
    def trash(self) -> Trash:
        folders = (self.settings.in_data_dir, self.settings.out_data_dir)
        return Trash(self.datasets, self._own(TRASH), folders)

    @cached_property
    def idempotency(self) -> GuardedCollection:
        return self._own("sclib_idempotency")

    @cached_property
    def audit(self) -> GuardedCollection:
        return self._own("sclib_audit")

    @cached_property
    def intake(self) -> Intake:
        settings = self.settings
        ledger = Ledger(self.link.database(), self.datasets, settings.upload_quota_bytes)
        limits = Limits(
            settings.upload_most_bytes,
            settings.upload_quiet_seconds,
            settings.upload_expiry_seconds,
        )
        incoming = Incoming(settings.in_data_dir, settings.upload_keep_free_bytes)
        return Intake(self.datasets, incoming, ledger, limits)

    @cached_property
    def importer(self) -> Importer:
        return Importer(self.intake, allow_private=self.settings.import_private)

    def close(self) -> None:
        self.stopping.set()
        self.looking.close()
        self.boxes.close()
        self.link.close()

    def _own(self, name: str) -> GuardedCollection:
        return GuardedCollection(self.link.database(), name, timeout_seconds=_TIMEOUT_SECONDS)


def context_of(request: Request) -> ApiContext:
    """The context of the process that answers."""
    context: ApiContext = request.app.state.context
    return context
