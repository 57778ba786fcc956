"""``python -m tests.fuzz --count 10000 --seed 1``: damaged inputs of every format, converted.

Trial N of a seed is always the same: ``--first N --count 1`` repeats it, and ``--keep FOLDER``
keeps its files.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutations import mutate
from tests.fuzz.originals import files_of, make_originals
from tests.fuzz.trial import End, attempt

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutant: its number, what it was made from, how it was damaged and how it ended."""

    number: int
    original: str
    damage: str
    end: End


class Fuzzer:
    """Originals in a folder of their own, one mutant after the other beside them."""

    def __init__(self, seed: int, folder: Path, formats: tuple[str, ...], samples: Path) -> None:
        self._seed, self._folder = seed, folder
        made = make_originals(folder / "originals", samples)
        self._originals = {
            name: files_of(path)
            for name, path in made.items()
            if not formats or any(word in name for word in formats)
        }
        if not self._originals:
            raise SystemExit("No original is of these formats.")

    def run(self, number: int, keep: Path | None = None) -> Trial:
        """Damage one file of one original, and convert that."""
        rng = random.Random(f"{self._seed}/{number}")
        names = list(self._originals)
        name = names[number % len(names)]
        upload, work = self._folder / "upload", self._folder / "work"
        for path in (upload, work):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir()
        damage = self._write(name, upload, rng)
        if keep is not None:
            shutil.copytree(upload, keep / f"{self._seed}-{number}", dirs_exist_ok=True)
        return Trial(number, name, damage, attempt(upload, work))

    def _write(self, name: str, upload: Path, rng: random.Random) -> str:
        files = self._originals[name]
        victim, damage = rng.choice(list(files)), ""
        for file, data in files.items():
            (upload / file).parent.mkdir(parents=True, exist_ok=True)
            if file == victim:
                data, damage = mutate(data, rng)
            (upload / file).write_bytes(data)
        return f"{victim}: {damage}"


def report(trials: list[Trial], seed: int) -> None:
    kinds = Counter((t.original.partition("/")[0], t.end.kind) for t in trials)
    for (name, kind), count in sorted(kinds.items()):
        print(f"{count:7}  {name:10} {kind}")
    codes = Counter(t.end.what for t in trials if t.end.kind == "refused")
    print("refused with: " + ", ".join(f"{n} {code}" for code, n in codes.most_common()))
    causes: dict[tuple[str, str], list[Trial]] = {}
    for trial in trials:
        if trial.end.is_failure:
            last = trial.end.what.strip().splitlines()[-1:] or [""]
            causes.setdefault((trial.end.kind, last[0][:160]), []).append(trial)
    for (kind, cause), each in sorted(causes.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(each)} x {kind}: {cause}")
        for trial in each[:4]:
            again = f"--seed {seed} --first {trial.number} --count 1"
            print(f"    {again}  {trial.original} {trial.damage}")
        if kind == "bug":
            print("    " + each[0].end.what.replace("\n", "\n    "))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--formats", default="", help="parts of names of originals, with commas")
    parser.add_argument("--keep", type=Path, help="a folder for the mutants")
    parser.add_argument("--samples", type=Path, default=SAMPLES)
    options = parser.parse_args()
    formats = tuple(word for word in options.formats.split(",") if word)
    trials: list[Trial] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        fuzzer = Fuzzer(options.seed, Path(folder), formats, options.samples)
        for number in range(options.first, options.first + options.count):
            trials.append(fuzzer.run(number, options.keep))
            if trials[-1].end.is_failure:
                print(f"{number} {trials[-1].original} {trials[-1].end.kind}", flush=True)
            if time.monotonic() - started > options.seconds:
                break
    report(trials, options.seed)
    failures = sum(trial.end.is_failure for trial in trials)
    print(f"\n{len(trials)} trials in {time.monotonic() - started:.0f} s, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
