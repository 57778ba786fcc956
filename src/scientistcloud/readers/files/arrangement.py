"""Where each image of a dataset belongs: the result of judging names."""

from __future__ import annotations

from dataclasses import dataclass


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
