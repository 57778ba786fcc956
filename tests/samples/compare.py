"""One case: convert it with the command, read what was made with OpenVisus, compare every value."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import OpenVisus as ov  # noqa: N813
from numpy.typing import NDArray

from tests.samples.facts import Case, Dataset, Refused, close

SLAB_BYTES = 64 << 20
MOST_SECONDS = 300
RANGE = re.compile(r"min\(([^)]*)\) max\(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """OK, WRONG (another error or another shape than the table says) or DIFFERS (in values)."""

    word: str
    made: str
    why: str = ""
    seconds: float = 0.0


class Unlike(Exception):
    """A result is not what the table says; `word` is DIFFERS where only values are at fault."""

    def __init__(self, why: str, word: str = "WRONG") -> None:
        super().__init__(why)
        self.word = word


def command(case: Case, source: Path, target: Path) -> list[str]:
    line = [sys.executable, "-m", "scientistcloud", "convert", str(source), str(target), "--json"]
    line += ["--sensor", case.sensor] if case.sensor else []
    for key, value in case.parameters.items():
        line += ["--param", f"{key}={value}"]
    return line


def judge(case: Case, samples: Path) -> Verdict:
    """Convert `case` into a folder that goes afterwards."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="sample-"))
    made = ""
    try:
        made, answer = convert(case, samples / case.name, folder / "out")
        check(case, samples / case.name, folder / "out", answer)
        return Verdict("OK", made, "", time.monotonic() - started)
    except Unlike as unlike:
        return Verdict(unlike.word, made, str(unlike), time.monotonic() - started)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def convert(case: Case, source: Path, target: Path) -> tuple[str, dict[str, Any]]:
    """What the command answers, in words and as it is."""
    ended = subprocess.run(
        command(case, source, target), capture_output=True, text=True, timeout=MOST_SECONDS
    )
    if "Traceback" in ended.stdout + ended.stderr:
        raise Unlike("a traceback: " + ended.stderr.strip().splitlines()[-1])
    try:
        answer: dict[str, Any] = json.loads(ended.stdout)
    except ValueError:
        raise Unlike(f"no JSON but {ended.stdout[:100]!r}, exit {ended.returncode}") from None
    done = answer.get("status") == "done"
    if ended.returncode != (0 if done else 1):
        raise Unlike(f"exit status {ended.returncode} with {answer.get('status')}")
    if done != (target / "visus.idx").is_file():
        raise Unlike(f"{answer.get('status')}, and visus.idx {'lacks' if done else 'is there'}")
    return describe(answer), answer


def describe(answer: dict[str, Any]) -> str:
    if answer.get("status") != "done":
        return f"{answer['error']['code']}: {answer['error']['message']}"
    parts = []
    for made in answer["datasets"]:
        names = [field["name"] for field in made["fields"]]
        types = {f"{f['dtype']}[{f['components']}]" for f in made["fields"]}
        dims = "x".join(map(str, made["dims"]))
        shown = ",".join(names[:5]) + (f",+{len(names) - 5}" if len(names) > 5 else "")
        parts.append(f"{dims} {'/'.join(sorted(types))} t={made['timesteps']} {shown}")
    more = f" | +{len(parts) - 3} datasets" if len(parts) > 3 else ""
    return " | ".join(parts[:3]) + more


def check(case: Case, source: Path, target: Path, answer: dict[str, Any]) -> None:
    """Raise `Unlike` where `answer` and what lies in `target` are not as the table says."""
    expected = case.expected
    if isinstance(expected, Refused):
        check_refusal(expected, source, answer)
        return
    if answer["status"] != "done":
        raise Unlike(f"expected {'; '.join(map(str, expected))}")
    paths = [made["path"] for made in answer["datasets"]]
    if paths != [dataset.path for dataset in expected]:
        raise Unlike(f"expected the datasets {[dataset.path for dataset in expected]}")
    log = (target / "conversion.log").read_text()
    for words in case.says:
        if words not in log:
            raise Unlike(f"conversion.log does not say {words!r}")
    for dataset, made in zip(expected, answer["datasets"], strict=True):
        check_facts(dataset, made)
        check_values(dataset, source, target / dataset.path)


def check_refusal(expected: Refused, source: Path, answer: dict[str, Any]) -> None:
    if answer["status"] == "done":
        raise Unlike(f"expected {expected.code}")
    error = answer["error"]
    if error["code"] != expected.code:
        raise Unlike(f"expected {expected.code}")
    text = f"{error['message']} {error['remedy']}"
    lacking = [words for words in expected.naming if words not in text]
    if lacking or str(source.parent) in text:
        raise Unlike(f"the message should name {lacking}, and no folder of this host")


def check_facts(dataset: Dataset, made: dict[str, Any]) -> None:
    fields = [(f["name"], f["dtype"], f["components"]) for f in made["fields"]]
    expected = [(n, *t) for n, t in zip(dataset.names, dataset.field_types, strict=True)]
    facts = (tuple(made["dims"]), made["timesteps"], fields)
    if facts != (dataset.dims, dataset.timesteps, expected):
        raise Unlike(f"expected {dataset}")


def check_values(dataset: Dataset, source: Path, header: Path) -> None:
    """Every sample of every field, and the range by which viewers colour."""
    database = ov.LoadDataset(str(header))
    names = list(database.getFields())
    steps = len(database.getTimesteps())
    if (names, steps) != (dataset.names, dataset.timesteps):
        raise Unlike(f"OpenVisus sees the fields {names} and {steps} timesteps")
    arrays = dataset.values(source)
    ranges = RANGE.findall(header.read_text())
    for name, (dtype, components), array, written in zip(
        names, dataset.field_types, arrays, ranges, strict=True
    ):
        one_step = dataset.dims[::-1] + ((components,) if components > 1 else ())
        if dataset.timesteps == 1:
            array = array[None]
        if array.shape != (steps, *one_step) or array.dtype != np.dtype(dtype):
            raise Unlike(f"the source's {name} is {array.dtype} {array.shape}: the table errs")
        low, high = math.inf, -math.inf
        for step in range(steps):
            found = compare(database, dataset, name, step, array[step])
            low, high = min(low, found[0]), max(high, found[1])
        if dataset.ranged:
            check_range(name, (low, high), written)


def compare(
    database: Any, dataset: Dataset, name: str, step: int, array: NDArray[Any]
) -> tuple[float, float]:
    """Compare one timestep, slab by slab; the least and the greatest finite value of the source."""
    depth = array.shape[0]
    pages = max(1, SLAB_BYTES // max(1, array.nbytes // depth))
    low, high = math.inf, -math.inf
    for first in range(0, depth, pages):
        last = min(depth, first + pages)
        box = [[0] * len(dataset.dims), [*dataset.dims[:-1], last]]
        box[0][-1] = first
        read = database.read(field=name, time=step, logic_box=box)
        part = np.ascontiguousarray(array[first:last])
        if read is None or read.dtype != part.dtype or read.size != part.size:
            raise Unlike(f"OpenVisus reads {getattr(read, 'shape', None)} for {part.shape}")
        same = close(np.ascontiguousarray(read).reshape(part.shape), part, dataset.ulps)
        if not same.all():
            at = tuple(int(i) for i in np.argwhere(~same)[0])
            raise Unlike(
                f"{name} at step {step}, {(at[0] + first, *at[1:])}: "
                f"{read.reshape(part.shape)[at]} for {part[at]}; {(~same).sum()} samples differ",
                "DIFFERS",
            )
        leading = part[..., 0] if part.ndim > len(dataset.dims) else part
        valid = leading[np.isfinite(leading)] if leading.dtype.kind == "f" else leading
        if dataset.fill is not None:
            valid = valid[valid != valid.dtype.type(dataset.fill)]
        if valid.size:
            low, high = min(low, valid.min().item()), max(high, valid.max().item())
    return low, high


def check_range(name: str, found: tuple[float, float], written: tuple[str, str]) -> None:
    """The header's range is that of the first component, without fill, NaN and infinities."""
    if math.isinf(found[0]):
        return
    header = tuple(float(text.split()[0]) for text in written)
    scale = max(abs(found[0]), abs(found[1]))
    if any(abs(a - b) > 1e-5 * scale for a, b in zip(header, found, strict=True)):
        raise Unlike(f"{name} is said to range over {header}, not {found}")
