"""``python -m tests.samples [NAME ...] [--samples FOLDER] [--jobs N]``: the table, printed."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.samples.compare import Verdict, judge
from tests.samples.table import CASES

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples"


def judge_numbered(number: int, samples: Path) -> Verdict:
    """Cases hold functions, which do not travel between processes; their numbers do."""
    return judge(CASES[number], samples)


def main() -> int:
    """Convert and compare; 1 where anything is wrong, 2 where the samples are not here."""
    parser = argparse.ArgumentParser(prog="python -m tests.samples", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of names of cases; all without any")
    parser.add_argument("--samples", type=Path, default=SAMPLES)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if not options.samples.is_dir():
        print(f"The samples are not here: {options.samples}")
        return 2
    chosen = [
        number
        for number, case in enumerate(CASES)
        if not options.names or any(name in case.name for name in options.names)
    ]
    words: Counter[str] = Counter()
    with ProcessPoolExecutor(options.jobs) as pool:
        verdicts = pool.map(partial(judge_numbered, samples=options.samples), chosen)
        for number, verdict in zip(chosen, verdicts, strict=True):
            words[verdict.word] += 1
            title = CASES[number].title
            print(f"{verdict.word:8}{verdict.seconds:6.1f} s  {title}\n    {verdict.made}")
            if verdict.why:
                print(f"    {verdict.why}")
            sys.stdout.flush()
    print(", ".join(f"{count} {word}" for word, count in words.most_common()))
    return 0 if words.keys() <= {"OK"} else 1


if __name__ == "__main__":
    sys.exit(main())
