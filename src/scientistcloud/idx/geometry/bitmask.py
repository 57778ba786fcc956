"""The bitmask of an IDX dataset: in which order the axes are halved, coarsest split first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from scientistcloud.grid import Shape, next_power_of_two


@dataclass(frozen=True)
class Bitmask:
    """The text ``V`` and one digit a split, x = 0; axes and shapes here are in array order.

    Splits are numbered from 1 (the coarsest) to `length` (the finest), as in the format's own
    description. Axis ``a`` of an array is digit ``rank - 1 - a``.

    Parameters
    ----------
    text : str
        For instance ``"V012012"``.

    Raises
    ------
    ValueError
        `text` is not such a text.
    """

    text: str

    def __post_init__(self) -> None:
        digits = self.text[1:]
        if self.text[:1] != "V" or not digits.isascii() or not (digits.isdigit() or not digits):
            raise ValueError(f"not a bitmask: {self.text!r}")

    @classmethod
    def from_dims(cls, shape: Shape) -> Bitmask:
        """The default bitmask of OpenVisus for `shape` (array order).

        The axes are halved in turn, x first, as long as they are longer than 1. A slowest axis of
        length 1 (and a single sample) gets one split of its own, the finest: the number of axes
        is read from the highest digit, so without it the dataset would lose that axis.
        """
        dims = [next_power_of_two(n) for n in reversed(shape)]
        digits = []
        while any(n > 1 for n in dims):
            for d, n in enumerate(dims):
                if n > 1:
                    digits.append(str(d))
                    dims[d] = n // 2
        last = str(len(shape) - 1)
        if last not in digits:
            digits.append(last)
        return cls("V" + "".join(digits))

    @cached_property
    def rank(self) -> int:
        """Number of axes: one more than the highest digit."""
        return max((int(c) for c in self.text[1:]), default=0) + 1

    @cached_property
    def length(self) -> int:
        """Number of splits, which is also the finest level."""
        return len(self.text) - 1

    @cached_property
    def axes(self) -> tuple[int, ...]:
        """The array axis of each split; ``axes[0]`` is that of split 1."""
        return tuple(self.rank - 1 - int(c) for c in self.text[1:])

    @cached_property
    def _sums(self) -> tuple[Shape, ...]:
        sums = [(0,) * self.rank]
        for axis in self.axes:
            sums.append(tuple(n + (a == axis) for a, n in enumerate(sums[-1])))
        return tuple(sums)

    def axis(self, split: int) -> int:
        """The array axis that `split` (from 1) halves."""
        return self.axes[split - 1]

    def counts(self, first: int, last: int) -> Shape:
        """How often each array axis is halved by the splits `first` to `last`, both included.

        `first` below 1 counts as 1; the result is 0 everywhere where ``last < first``.
        """
        first = max(first, 1)
        if last < first:
            return (0,) * self.rank
        return tuple(b - a for a, b in zip(self._sums[first - 1], self._sums[last], strict=True))

    @cached_property
    def exponents(self) -> Shape:
        """Of each axis, the exponent of the power of two that it is rounded up to."""
        return self.counts(1, self.length)

    @cached_property
    def shape(self) -> Shape:
        """The powers of two that the axes are rounded up to."""
        return powers(self.exponents)


def powers(exponents: Iterable[int]) -> Shape:
    """Two to each of the `exponents`."""
    return tuple(1 << e for e in exponents)
