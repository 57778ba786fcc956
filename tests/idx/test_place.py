"""Where grids lie: boxes and matrices of headers, as OpenVisus understands them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scientistcloud.idx.files.layout import plan_layout
from scientistcloud.idx.headers.header import format_header, parse_header
from scientistcloud.idx.headers.place import Matrix, diagonal, is_diagonal

finite = st.floats(-1e6, 1e6, allow_nan=False)
TURNED: Matrix = ((0.8, 0, 0.6, 10), (0, 1, 0, 0), (-0.6, 0, 0.8, 3), (0, 0, 0, 1))


def header_of(matrix: Matrix, units: tuple[str, ...] = (), shape: tuple[int, ...] = (8, 6, 4)):  # type: ignore[no-untyped-def]
    fields = [("data", np.dtype("u1"), 1)]
    return plan_layout(shape, fields, matrix=matrix, axis_units=units).header("./visus")


@given(st.lists(finite, min_size=12, max_size=12))
def test_a_matrix_comes_back(numbers: list[float]) -> None:
    rows = tuple(tuple(numbers[i : i + 4]) for i in (0, 4, 8))
    matrix = (*rows, (0.0, 0.0, 0.0, 1.0))
    header = parse_header(format_header(header_of(matrix, ("mm", "mm", "index"))))
    assert header.matrix == matrix
    assert header.axis_units == ("mm", "mm", "index")
    assert header.physic_box == ()


def test_places_along_the_axes() -> None:
    down = header_of(diagonal([(10, -2), (0, 1), (3, 1.5)]), ("mm", "index", "mm"))
    assert [down.axis_place(a) for a in range(3)] == [(3, 1.5), None, (10, -2)]
    turned = header_of(TURNED)
    assert [turned.axis_place(a) for a in range(3)] == [(0, 1), (0, 1), (0, 1)]
    assert not is_diagonal(TURNED)
    assert header_of(()).axis_place(0) is None


def test_a_box_keeps_its_meaning_and_goes_before_a_matrix() -> None:
    layout = plan_layout((4, 6), [("data", np.dtype("u1"), 1)], physic_box=((0, 2), (1, 4)))
    text = format_header(layout.header("./visus"))
    assert "(logic_to_physic)" not in text
    header = parse_header(text + "(logic_to_physic)\n1 0 0 0 1 0 0 0 1\n")
    assert header.matrix == ()
    assert [header.axis_place(a) for a in range(2)] == [(0, 0.5), (1, 0.5)]


@pytest.mark.parametrize("text", ["1 2 3", "1 0 0 0 1 0 0 0 x", ""])
def test_a_matrix_that_fits_nothing_is_passed_over_or_refused(text: str) -> None:
    plain = format_header(header_of((), shape=(4, 6)))
    if "x" in text:
        with pytest.raises(Exception, match="logic_to_physic"):
            parse_header(f"{plain}(logic_to_physic)\n{text}\n")
    else:
        assert parse_header(f"{plain}(logic_to_physic)\n{text}\n").matrix == ()


@pytest.mark.parametrize(
    ("matrix", "low", "high"),
    [
        (diagonal([(10, -2), (0, 1), (3, 1.5)]), (2, 0, 3), (10, 6, 15)),
        (TURNED, (10, 0, 0.6), (18, 6, 9.4)),
    ],
)
def test_openvisus_places_it_alike(
    matrix: Matrix, low: tuple[float, ...], high: tuple[float, ...], tmp_path: Path
) -> None:
    ov = pytest.importorskip("OpenVisus")
    path = tmp_path / "visus.idx"
    path.write_text(format_header(header_of(matrix, ("mm", "index", "mm"))))
    loaded = ov.LoadDataset(str(path))
    bounds = getattr(loaded, "db", loaded).getDatasetBounds()
    box = bounds.toAxisAlignedBox().toString().split()
    assert np.allclose([float(v) for v in box], np.ravel(list(zip(low, high, strict=True))))
