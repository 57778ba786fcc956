"""The IDX writer and reader against OpenVisus and the floor: ``python -m benchmarks.idx``.

Every measurement runs in a process of its own; the candidates take turns, so that a noisy machine
is noisy for all. CPU seconds and their ratios are the figures to look at. See ``README.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.idx_data import CASES, GAINS, SIZES, gain, make

WRITERS = ("reference", "ours", "floor")
Result = dict[str, Any]


def main() -> None:
    options = parse_arguments()
    options.folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, dict[str, list[Result]]] = {}
    reads: dict[str, dict[str, list[Result]]] = {}
    for case in options.case or CASES:
        source = make(case, options.folder, options.size or SIZES[case])
        ratio, nonzero = gain(source)
        low, high = GAINS[case]
        verdict = "as it should be" if low <= ratio <= high and nonzero >= 0.99 else "NOT AS MEANT"
        print(f"{source.name}: zlib-6 gains {ratio:.2f} (meant: {low:.2f}-{high:.2f}), "
              f"{nonzero:.1%} non-zero: {verdict}", flush=True)  # fmt: skip
        results[source.name] = write_rounds(source, options)
        print_writing(results[source.name])
        if not options.no_reading:
            reads[source.name] = read_rounds(options)
            print_reading(reads[source.name])
    report = {"writing": results, "reading": reads}
    (options.folder / "idx.json").write_text(json.dumps(report, indent=1))
    plot(results, options.folder / "idx.png")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", choices=CASES, help="default: all")
    parser.add_argument("--size", type=int, help="edge in samples; default 512 and 12000")
    parser.add_argument("--pairs", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory-limit", type=int, default=8 << 30, help="bytes")
    parser.add_argument("--no-reading", action="store_true")
    parser.add_argument(
        "--folder", type=Path, default=Path("benchmark-data"), help="data, results and plot"
    )
    return parser.parse_args()


def write_rounds(source: Path, options: argparse.Namespace) -> dict[str, list[Result]]:
    """Each writer in turn; the last outputs stay for the readers."""
    results: dict[str, list[Result]] = {role: [] for role in WRITERS}
    for _ in range(options.pairs):
        for role in WRITERS:
            dest = options.folder / "out" / role
            shutil.rmtree(dest, ignore_errors=True)
            results[role].append(measure(role, source, dest, options))
    return results


def read_rounds(options: argparse.Namespace) -> dict[str, list[Result]]:
    out = options.folder / "out"
    runs = {
        "OpenVisus on its own": ("read_openvisus", out / "reference"),
        "OpenVisus on ours": ("read_openvisus", out / "ours"),
        "ours on ours": ("read_ours", out / "ours"),
    }
    results: dict[str, list[Result]] = {name: [] for name in runs}
    for _ in range(options.pairs):
        for name, (role, source) in runs.items():
            results[name].append(measure(role, source, out, options))
    return results


def measure(role: str, source: Path, dest: Path, options: argparse.Namespace) -> Result:
    """Run one role; its figures."""
    command = [sys.executable, "-m", "benchmarks.idx_roles", role, str(source), str(dest)]
    env = os.environ | {
        "BENCHMARK_THREADS": str(options.threads),
        "BENCHMARK_MEMORY_LIMIT": str(options.memory_limit),
    }
    done = subprocess.run(command, stdout=subprocess.PIPE, env=env, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{role} failed: {done.stdout}")
    result: Result = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def median(results: list[Result], key: str) -> float:
    return float(statistics.median(r[key] for r in results))


def print_writing(results: dict[str, list[Result]]) -> None:
    print(f"{'':12}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'MB out':>9}{'CPU: reference/':>17}"
          f"{'MB: /reference':>16}{'CPU: /floor':>13}")  # fmt: skip
    cpu = {role: median(results[role], "cpu_seconds") for role in WRITERS}
    size = {role: median(results[role], "bytes") for role in WRITERS}
    for role in WRITERS:
        # Ratios of one round, so that what disturbs a round disturbs both of its sides.
        faster = statistics.median(
            a["cpu_seconds"] / b["cpu_seconds"]
            for a, b in zip(results["reference"], results[role], strict=True)
        )
        print(
            f"{role:12}{cpu[role]:9.2f}{median(results[role], 'wall_seconds'):9.2f}"
            f"{median(results[role], 'peak_rss_bytes') / 1e6:9.0f}{size[role] / 1e6:9.1f}"
            f"{faster:17.1f}{size[role] / size['reference']:16.3f}"
            f"{cpu[role] / cpu['floor']:13.2f}",
            flush=True,
        )


def print_reading(results: dict[str, list[Result]]) -> None:
    kinds = list(results["OpenVisus on its own"][0]["cpu_seconds"])
    print(f"{'CPU s':24}" + "".join(f"{kind:>18}" for kind in kinds))
    own = {k: _reading_median(results["OpenVisus on its own"], k) for k in kinds}
    for name, runs in results.items():
        cells = []
        for kind in kinds:
            seconds = _reading_median(runs, kind)
            cells.append(f"{seconds:9.3f} ({seconds / max(own[kind], 1e-9):.2f}x)".rjust(18))
        print(f"{name:24}" + "".join(cells), flush=True)


def _reading_median(runs: list[Result], kind: str) -> float:
    return float(statistics.median(r["cpu_seconds"][kind] for r in runs))


def plot(results: dict[str, dict[str, list[Result]]], path: Path) -> None:
    """Bars of CPU seconds and peak memory; left out where matplotlib is not installed."""
    try:
        import matplotlib  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        print("matplotlib is not installed: no plot")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot  # type: ignore[import-not-found, unused-ignore]

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axis, key, scale, title in (
        (axes[0], "cpu_seconds", 1, "CPU seconds"),
        (axes[1], "peak_rss_bytes", 1e6, "peak memory, MB"),
    ):
        for i, role in enumerate(WRITERS):
            heights = [median(runs[role], key) / scale for runs in results.values()]
            places = [n + (i - 1) * 0.27 for n in range(len(heights))]
            bars = axis.bar(places, heights, 0.26, label=role)
            axis.bar_label(bars, fmt="%.3g", fontsize=7)
        axis.set_xticks(range(len(results)), list(results))
        axis.set_title(title)
        axis.set_yscale("log")
    axes[0].legend()
    figure.savefig(path, dpi=130)
    print(f"plot: {path}")


if __name__ == "__main__":
    main()
