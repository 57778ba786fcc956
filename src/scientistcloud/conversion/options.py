"""What a conversion is asked to do, and how it speaks with whoever asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Codec = Literal["isal-1", "zlib-ng-6", "lz4", "raw"]
LayoutName = Literal["blocks", "arco"]
VerifyMode = Literal["full", "sample", "off"]


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """How to convert.

    Attributes
    ----------
    sensor : str or None
        As the document or the command line spells it.
    parameters : Mapping
        `conversion_parameters` of the dataset.
    memory_limit_bytes : int
        The resident memory (RSS) that the process may have, interpreter included.
    threads : int
        Threads that decode, gather, compress and write; at least 1.
    checkpoint_seconds : float or None
        At least so long between two checkpoints, from which another attempt can go on; None: there
        are none.
    smaller : bool
        Memory did not suffice for the usual plan: buffers get half of it, and there is one thread.
    max_timesteps : int
        Datasets of more are refused: each timestep costs a file.
    """

    memory_limit_bytes: int
    threads: int
    sensor: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    codec: Codec = "isal-1"
    layout: LayoutName = "blocks"
    verify: VerifyMode = "sample"
    checkpoint_seconds: float | None = None
    smaller: bool = False
    max_timesteps: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a conversion is.

    Attributes
    ----------
    phase : str
        ``reading`` (looking at the input), ``copying``, ``verifying`` or ``publishing``.
    done_bytes, total_bytes : int
        Uncompressed sample bytes of all outputs; `total_bytes` is 0 until the plan is made.
    """

    phase: str
    done_bytes: int = 0
    total_bytes: int = 0

    @property
    def fraction(self) -> float:
        """Done, 0 to 1."""
        return self.done_bytes / self.total_bytes if self.total_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Hooks:
    """How a conversion speaks with whoever runs it."""

    progress: Callable[[Progress], None] = lambda _: None
    plan: Callable[[dict[str, Any]], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
    confirm: Callable[[], bool] = lambda: True
