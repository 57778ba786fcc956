"""One conversion from the files to the published dataset: `convert`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scientistcloud.conversion import record
from scientistcloud.conversion.adopt import adopt
from scientistcloud.conversion.build import Making, Place, is_arco, is_joined, place_of
from scientistcloud.conversion.inspect import open_source
from scientistcloud.conversion.options import ConversionOptions, Hooks, Progress
from scientistcloud.conversion.planning.plan import ConversionPlan, DatasetPlan, plan_conversion
from scientistcloud.conversion.publishing.generations import LOG, METADATA
from scientistcloud.conversion.publishing.publish import (
    Publication,
    commit,
    folder_bytes,
    write_durably,
)
from scientistcloud.conversion.record import ConversionLog, InputFile
from scientistcloud.conversion.result import ConversionResult, Meter, Usage, describe_outputs
from scientistcloud.conversion.resuming.journal import Journal, key_of
from scientistcloud.conversion.resuming.takeover import kept_bytes
from scientistcloud.conversion.root_cause import raise_cause
from scientistcloud.conversion.verify import verify_dataset
from scientistcloud.errors import (
    ConversionError,
    OutOfSpace,
    SourceChanged,
    Stopped,
    VerificationFailed,
)
from scientistcloud.idx.files.manifest import MANIFEST_NAME, amend_manifest, sum_file
from scientistcloud.idx.files.storage import writing
from scientistcloud.idx.headers.header import IdxHeader
from scientistcloud.idx.reader import IdxReader
from scientistcloud.readers.base import DatasetSpec, Source
from scientistcloud.readers.files.listing import Listing, scan


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked: a result that was published for the same request is adopted, not made again."""

    id: str
    adopt: bool = True


def convert(
    source_root: Path,
    publication: Publication,
    options: ConversionOptions,
    *,
    request: Request | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    plan: Callable[[dict[str, Any]], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    confirm: Callable[[], bool] = lambda: True,
) -> ConversionResult:
    """Convert what lies at `source_root` and publish it at ``publication.target``.

    Parameters
    ----------
    source_root : Path
        A folder or a single file; only read.
    publication : Publication
        Its staging folder has been opened (`open_staging`).
    progress, plan : callable
        Told how far the work is, and once what is going to be made; `plan` returns when the work
        may begin.
    stop : callable
        Asked at least once a block whether to give up.
    confirm : callable
        Asked once, when only the commit is left, whether the result is still wanted.

    Raises
    ------
    ConversionError
        Nothing was published; a former result is as it was.
    Stopped
        Because `stop` or `confirm` said so.
    StagingLost
        A new owner took over.
    """
    hooks = Hooks(progress, plan, stop, confirm)
    return _Conversion(source_root, publication, options, hooks).run(request)


@dataclass(frozen=True, slots=True)
class Made:
    """One dataset that was made: what it came from, its header, and where it waits."""

    spec: DatasetSpec
    header: IdxHeader
    place: Place


class _Conversion:
    """One run of `convert`: what its steps share."""

    def __init__(
        self, root: Path, publication: Publication, options: ConversionOptions, hooks: Hooks
    ) -> None:
        self._root = root
        self._publication = publication
        self._options = options
        self._hooks = hooks
        self._log = ConversionLog(publication.staging / LOG)
        self._started = datetime.now(UTC)
        self._usage = Usage()
        # ARCO blocks are staged, so that they are gone with the staging folder.
        arco = options.layout == "arco"
        self._journal = Journal(publication, None if arco else options.checkpoint_seconds)
        self._made: dict[str, Made] = {}

    def run(self, request: Request | None) -> ConversionResult:
        self._hooks.progress(Progress("reading"))
        listing = scan(self._root)
        fingerprint = listing.fingerprint()
        if request is not None and request.adopt:
            adopted = adopt(self._publication, request.id, fingerprint)
            if adopted is not None:
                self._log.write("Adopted the result that this request had already published.")
                return adopted
        try:
            result = self._convert(listing, fingerprint, request)
        except (ConversionError, OSError) as error:
            raise_cause(error, self._publication, self._root, fingerprint)
            if isinstance(error, OutOfSpace):
                # What is kept of this one may be what all others lack.
                self._journal.discard()
            raise
        self._publish()
        return result

    def _convert(
        self, listing: Listing, fingerprint: str, request: Request | None
    ) -> ConversionResult:
        """Make, verify and record everything, up to the commit."""
        options = self._options
        with open_source(
            self._root,
            options.sensor,
            options.parameters,
            self._publication.scratch,
            stop=self._hooks.stop,
        ) as source:
            plan = self._plan(source, listing)
            scratch, stop = self._publication.scratch, self._hooks.stop
            making = Making(self._root, source, options, scratch, stop, self._journal)
            resumed = self._resume(plan, fingerprint, source)
            try:
                self._make_all(making, plan)
            except VerificationFailed as error:
                raise_cause(error, self._publication, self._root, fingerprint)
                if not resumed:
                    raise
                self._begin_afresh(plan)
                self._make_all(making, plan)
            inputs = self._inputs(listing)
            if scan(self._root).fingerprint() != fingerprint:
                raise SourceChanged
            return self._record(source, inputs, request, fingerprint)

    def _disk_bytes(self, plan: ConversionPlan, listing: Listing) -> int:
        """Scratch files and output, at most, that are not there yet.

        Compressed input rarely doubles in size.
        """
        input_bytes = sum(entry.size_bytes for entry in listing.files)
        needed_bytes = plan.disk_bytes + min(plan.total_bytes, 2 * input_bytes)
        return max(0, needed_bytes - kept_bytes(self._publication))

    def _plan(self, source: Source, listing: Listing) -> ConversionPlan:
        spec = source.spec
        self._log.write(f"Found {spec.format}: {len(spec.inputs)} file(s).")
        for note in spec.notes:
            self._log.write(note)
        for choice in spec.choices:
            self._log.write(f"{choice.parameter} = {choice.chosen}: {choice.rule}")
        plan = plan_conversion(spec, self._options, base_bytes=self._usage.resident_bytes())
        described = plan.describe() | {"disk_bytes": self._disk_bytes(plan, listing)}
        self._log.write("Plan: " + json.dumps(described))
        self._hooks.plan(described)
        return plan

    def _resume(self, plan: ConversionPlan, fingerprint: str, source: Source) -> bool:
        """Go on from where another attempt ended; whether there is such a one."""
        key = key_of(plan, self._options, fingerprint)
        resumed = self._journal.begin(key, self._hooks.stop)
        if resumed:
            share = self._journal.done_bytes / max(1, plan.total_bytes)
            self._log.write(f"Going on from the checkpoint of another attempt, at {share:.0%}.")
        return resumed

    def _begin_afresh(self, plan: ConversionPlan) -> None:
        """What another attempt had stored is not what it should be: make all of it once more."""
        self._log.write("What another attempt had stored is damaged: beginning from the start.")
        self._journal.begin_afresh()
        self._made.clear()
        for dataset in plan.datasets:
            shutil.rmtree(self._publication.blocks(dataset.name), ignore_errors=True)

    def _make_all(self, making: Making, plan: ConversionPlan) -> None:
        carried = making.source.spec.carried
        for dataset in plan.datasets:
            if not carried or dataset.name in carried:
                self._make(making, dataset, plan)

    def _make(self, making: Making, dataset: DatasetPlan, plan: ConversionPlan) -> None:
        """Write one dataset where no reader looks, and verify it there."""
        carried = making.source.spec.carried.get(dataset.name)
        arco = is_arco(carried) if carried else self._options.layout == "arco"
        place = place_of(self._publication, dataset.name, is_arco=arco)
        done_bytes = self._journal.done_bytes
        meter = Meter("copying", plan.total_bytes, self._hooks.progress, done_bytes)
        header = making.make(dataset, place, meter)
        self._made[dataset.name] = Made(dataset.spec, header, place)
        self._log.write(f"{'Carried over' if carried else 'Copied'} {dataset.name or 'the data'}.")
        # Every part of a .midx was checked when it was carried over.
        state = self._journal.state(dataset.name)
        verified = (carried and is_joined(carried)) or (state and state.is_verified)
        if self._options.verify != "off" and not verified:
            self._verify(making.source, dataset, place)
            self._journal.note_verified(dataset.name)

    def _verify(self, source: Source, dataset: DatasetPlan, place: Place) -> None:
        mode = self._options.verify
        meter = Meter("verifying", dataset.spec.samples_bytes, self._hooks.progress)
        with IdxReader(place.header, base=place.base) as reader:
            verify_dataset(
                source, dataset.spec, reader, mode, progress=meter.add, stop=self._hooks.stop
            )
        self._log.write(f"Verified ({mode}).")

    def _inputs(self, listing: Listing) -> list[InputFile]:
        """The files of the upload; hashed where the result is verified too."""
        hashed = self._options.verify != "off"
        return [
            InputFile(entry.name, entry.size_bytes, record.sha256_of(entry.path) if hashed else "")
            for entry in listing.files
        ]

    def _record(
        self,
        source: Source,
        inputs: list[InputFile],
        request: Request | None,
        fingerprint: str,
    ) -> ConversionResult:
        """Write ``metadata.json`` and have the manifest cover it."""
        finished = datetime.now(UTC)
        outputs = describe_outputs([(made.spec, made.header) for made in self._made.values()])
        result = self._usage.result(
            outputs,
            bytes_in=sum(each.size_bytes for each in inputs),
            bytes_out=sum(folder_bytes(made.place.blocks) for made in self._made.values()),
            verification=self._options.verify,
        )
        content = record.dump(
            {
                "schema": record.SCHEMA,
                "generation": self._publication.generation,
                "request": request.id if request else None,
                "fingerprint": fingerprint,
                "datasets": outputs,
                "source": record.describe_source(source.spec, inputs),
                "conversion": record.describe_software(self._options)
                | {"started": self._started.isoformat(), "finished": finished.isoformat()}
                | {"result": result.to_dict()},
                "provenance": record.provenance(
                    inputs, [each["path"] for each in outputs], self._started, finished
                ),
            }
        )
        staged = self._publication.staging / METADATA
        with writing(METADATA):
            main = self._made[""].place
            for path in (main.blocks / METADATA, staged):
                write_durably(path, content)
            inner = f"{main.template_base.removeprefix('./')}/{METADATA}"
            covered = sum_file(staged)
            amend_manifest(main.blocks / MANIFEST_NAME, {METADATA: covered, inner: covered})
        return result

    def _publish(self) -> None:
        self._hooks.progress(Progress("publishing"))
        if self._hooks.stop() or not self._hooks.confirm():
            raise Stopped
        self._log.write("Publishing.")
        arco = [name for name, made in self._made.items() if made.place.is_arco]
        commit(self._publication, self._made, swap_blocks=arco)
