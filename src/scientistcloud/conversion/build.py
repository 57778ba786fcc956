"""Making one dataset where no reader looks: copied from the source, or carried over as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scientistcloud.conversion.copying.copy import copy_dataset
from scientistcloud.conversion.options import ConversionOptions
from scientistcloud.conversion.planning.plan import DatasetPlan
from scientistcloud.conversion.publishing.generations import BLOCKS
from scientistcloud.conversion.publishing.publish import Publication
from scientistcloud.conversion.result import Meter
from scientistcloud.conversion.resuming.checkpoint import DatasetState
from scientistcloud.conversion.resuming.journal import Journal
from scientistcloud.idx.carry import carry_over
from scientistcloud.idx.files.storage import writing
from scientistcloud.idx.headers.header import IdxHeader, load_header
from scientistcloud.idx.headers.midx import is_midx
from scientistcloud.idx.writer import IdxWriter
from scientistcloud.readers.base import Source
from scientistcloud.readers.files.listing import read_head


@dataclass(frozen=True, slots=True)
class Place:
    """Where one dataset is written before it is published.

    Attributes
    ----------
    header : Path
        The staged header.
    blocks : Path
        The folder of its blocks and its manifest.
    base : Path
        What the staged header's template is relative to.
    template_base : str
        How the header names `blocks`.
    is_arco : bool
        Its blocks are staged too, because their paths follow the name of the header.
    """

    header: Path
    blocks: Path
    base: Path
    template_base: str
    is_arco: bool


def place_of(publication: Publication, name: str, *, is_arco: bool) -> Place:
    """The place of the dataset called `name`."""
    header = publication.staged_header(name)
    if is_arco:
        base = publication.staging / name
        return Place(header, base / BLOCKS, base, f"./{BLOCKS}", is_arco)
    template_base = f"./{BLOCKS}/{publication.generation}"
    blocks = publication.blocks(name)
    return Place(header, blocks, publication.target / name, template_base, is_arco)


def is_joined(carried: Path) -> bool:
    """Whether a header to be carried over is a ``.midx``, which joins several."""
    return is_midx(read_head(carried))


def is_arco(carried: Path) -> bool:
    """Whether the dataset of a header to be carried over is ARCO."""
    return not is_joined(carried) and load_header(carried).arco > 0


@dataclass(frozen=True, slots=True)
class Making:
    """What the making of all datasets of one conversion shares."""

    root: Path
    source: Source
    options: ConversionOptions
    scratch: Path
    stop: Callable[[], bool]
    journal: Journal

    def make(self, dataset: DatasetPlan, place: Place, meter: Meter) -> IdxHeader:
        """Write header, blocks and manifest of one dataset; the header as written.

        Raises
        ------
        ConversionError, Stopped
        """
        with writing("the converted dataset"):
            place.header.parent.mkdir(parents=True, exist_ok=True)
            if self.journal.state(dataset.name) is None:
                place.blocks.mkdir(parents=True)
        carried = self.source.spec.carried.get(dataset.name)
        if carried is not None:
            return self._carry(carried, place, meter.add)
        return self._copy(dataset, place, meter)

    def _carry(self, carried: Path, place: Place, progress: Callable[[int], None]) -> IdxHeader:
        headers = carry_over(
            carried,
            place.header,
            place.blocks,
            place.template_base,
            root=self.root,
            accept_missing=self.options.parameters.get("missing") == "zeros",
            progress=progress,
            stop=self.stop,
        )
        return headers[0]

    def _copy(self, dataset: DatasetPlan, place: Place, meter: Meter) -> IdxHeader:
        """Copy what is not copied yet."""
        state = self.journal.state(dataset.name)
        with IdxWriter(
            dataset.layout,
            header_path=place.header,
            blocks_folder=place.blocks,
            template_base=place.template_base,
            resume=state.writer if state else None,
        ) as writer:
            if state is None or state.copy is not None:
                copy_dataset(
                    self.source,
                    dataset,
                    writer,
                    scratch=self.scratch,
                    threads=self.options.threads,
                    progress=meter.add,
                    stop=self.stop,
                    keeper=self.journal.keeper(dataset.name, writer, lambda: meter.done_bytes),
                )
            header = writer.finish().header
            if state is None or state.copy is not None:
                copied = DatasetState(dataset.name, writer.state(), None)
                self.journal.note(copied, meter.done_bytes)
            return header
