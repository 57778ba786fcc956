"""Where each image of a dataset belongs: the result of judging names, and how it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from scientistcloud.readers.names.columns import Column, find_gaps
from scientistcloud.readers.names.grid import NameGrid
from scientistcloud.readers.names.roles import ROLES
from scientistcloud.readers.names.series import labels_of


@dataclass(frozen=True)
class Arrangement:
    """Where each image of a dataset belongs.

    Attributes
    ----------
    names : tuple of str
        The images in the order field, timestep, slice (C order).
    fields : tuple of str
        A label for each field; one empty string where there is only one.
    timesteps, depth : int
        ``len(fields) * timesteps * depth == len(names)``.
    rule : str
        The rule that chose this, in a sentence.
    strays : tuple of str
        Names that are left out.
    kind : str
        What ``arrangement`` is to be for the same: one of `KINDS`, or words with commas between.
    dataset : str
        What tells this dataset from others of the same files; empty where it is the only one.
    """

    names: tuple[str, ...]
    fields: tuple[str, ...] = ("",)
    timesteps: int = 1
    depth: int = 1
    rule: str = ""
    strays: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    kind: str = "depth"
    dataset: str = ""

    @property
    def alternatives(self) -> tuple[str, ...]:
        """Other values of the parameter ``arrangement`` that fit any names."""
        if len(self.names) == 1 and not self.dataset:
            return ()
        return tuple(k for k in ("depth", "time", "fields") if k != self.kind)


def along(names: Sequence[str], kind: str, rule: str) -> Arrangement:
    """All names along one axis."""
    count, notes = len(names), () if kind == "fields" else find_gaps(names)
    if kind == "time":
        return Arrangement(tuple(names), timesteps=count, rule=rule, notes=notes, kind=kind)
    if kind == "fields":
        return Arrangement(tuple(names), labels_of(names), rule=rule, kind=kind)
    return Arrangement(tuple(names), depth=count, rule=rule, notes=notes, kind=kind)


def by_columns(
    names: Sequence[str], columns: Sequence[Column], roles: Sequence[str], kind: str
) -> tuple[Arrangement, ...]:
    """The grid of numbers, each with its role; several places together tell the dataset."""
    axes, levels = {}, {}
    for role in ROLES:
        chosen = [column for column, each in zip(columns, roles, strict=True) if each == role]
        if not chosen:
            continue
        written = [[_label(c, text) if role == "d" else text for text in c.places] for c in chosen]
        axes[role] = tuple(" ".join(texts) for texts in zip(*written, strict=True))
        order = dict(zip(axes[role], zip(*(c.values for c in chosen), strict=True), strict=True))
        levels[role] = tuple(sorted(order, key=lambda text: order[text]))
    return by_grid(NameGrid(tuple(names), axes, levels), kind)


def _label(column: Column, text: str) -> str:
    return f"{column.word} {text}".strip()


def by_grid(grid: NameGrid, kind: str) -> tuple[Arrangement, ...]:
    """A dataset for each place of the grid; raises `MissingMember` where it has holes."""
    ordered = grid.ordered()
    channels = grid.levels.get("c", ("",))
    labels = tuple(f"channel {c}" if c.isdecimal() else c for c in channels)
    datasets = grid.levels.get("d", ("",))
    count = len(ordered) // len(datasets)
    found = [
        Arrangement(
            ordered[i * count : (i + 1) * count],
            labels, grid.count("t"), grid.count("z"), grid.rule, kind=kind, dataset=label,
        )
        for i, label in enumerate(datasets)
    ]  # fmt: skip
    if len(found) > 1:
        note = f"The main dataset is that of {found[0].dataset}; the others are {len(found) - 1}."
        found[0] = replace(found[0], notes=(note,))
    return tuple(found)
