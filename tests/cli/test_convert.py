"""``scientistcloud convert`` as a process: output, exit status, what it leaves behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from scientistcloud.idx.reader import IdxReader
from tests.cli.conftest import Commands, eventually

RESULT_KEYS = [
    "status",
    "datasets",
    "bytes_in",
    "bytes_out",
    "seconds",
    "cpu_seconds",
    "peak_rss_bytes",
    "verified",
]


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 60000, shape, dtype=np.uint16)


def read(path: Path) -> np.ndarray[Any, Any]:
    reader = IdxReader(path)
    return reader.read(0, 0, reader.header.box)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def stack(tmp_path: Path) -> tuple[Path, np.ndarray[Any, Any]]:
    volume = noise((12, 20, 30))
    folder = tmp_path / "stack"
    folder.mkdir()
    for number, page in enumerate(volume):
        tifffile.imwrite(folder / f"slice_{number}.tif", page)
    return folder, volume


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_parameter_without_effect_is_told(
    commands: Commands, stack: tuple[Path, Any], form: list[str]
) -> None:
    done = commands.run("convert", stack[0], "out", "--param", "variabel=t", *form)
    assert done.returncode == 0
    assert "Note: Parameters without effect on tiff files: variabel." in done.stderr


def test_json_is_one_object_with_exactly_the_agreed_keys(
    commands: Commands, stack: tuple[Path, Any]
) -> None:
    folder, volume = stack
    done = commands.run("convert", folder, "out", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result) == RESULT_KEYS
    assert result["status"] == "done"
    assert result["verified"] is True
    (dataset,) = result["datasets"]
    assert dataset["path"] == "visus.idx"
    assert dataset["dims"] == [30, 20, 12]
    assert dataset["timesteps"] == 1
    (field,) = dataset["fields"]
    assert set(field) == {"name", "dtype", "components"}
    assert (field["dtype"], field["components"]) == ("uint16", 1)
    assert result["bytes_in"] == sum(each.stat().st_size for each in folder.iterdir())
    assert 0 < result["cpu_seconds"] < 60
    assert 20e6 < result["peak_rss_bytes"] < 400e6
    np.testing.assert_array_equal(read(commands.folder / "out" / "visus.idx"), volume)
    assert names(commands.folder / "out") == [
        "conversion.log",
        "metadata.json",
        "visus",
        "visus.idx",
    ]


def test_two_dimensional_data_have_two_dims(commands: Commands, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", noise((40, 50)))
    done = commands.run("convert", "image.npy", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["datasets"][0]["dims"] == [50, 40]


def test_for_people_it_names_the_file_to_open(commands: Commands, stack: tuple[Path, Any]) -> None:
    done = commands.run("convert", stack[0], "deep/out", "--verify", "off")
    assert done.returncode == 0, done.stderr
    assert "deep/out/visus.idx: 30 x 20 x 12" in done.stdout
    assert "not verified" in done.stdout


@pytest.mark.parametrize("layout", ["blocks", "arco"])
def test_a_second_conversion_replaces_the_first(
    commands: Commands, tmp_path: Path, layout: str
) -> None:
    for seed in (1, 2):
        np.save(tmp_path / "a.npy", noise((20, 30, 40), seed))
        done = commands.run("convert", "a.npy", "out", "--layout", layout, "--codec", "lz4")
        assert done.returncode == 0, done.stderr
        np.testing.assert_array_equal(read(tmp_path / "out/visus.idx"), noise((20, 30, 40), seed))
    assert not (tmp_path / "out" / ".staging").exists()
    if layout == "blocks":
        assert len(list((tmp_path / "out" / "visus").iterdir())) == 1
    assert commands.run("verify", "out").returncode == 0


def test_unusable_input_is_status_1_and_leaves_nothing(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"II*\0" + b"\xff" * 100)
    done = commands.run("convert", "bad.tif", "deep/er", "--json")
    assert done.returncode == 1
    result = json.loads(done.stdout)
    assert result["status"] == "failed"
    assert set(result["error"]) == {"code", "message", "remedy"}
    assert result["error"]["code"] in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "deep").exists()


def test_a_failed_conversion_leaves_the_former_result(
    commands: Commands, stack: tuple[Path, Any], tmp_path: Path
) -> None:
    folder, volume = stack
    assert commands.run("convert", folder, "out").returncode == 0
    (tmp_path / "bad.tif").write_bytes(b"II*\0" + b"\xff" * 100)
    assert commands.run("convert", "bad.tif", "out").returncode == 1
    np.testing.assert_array_equal(read(tmp_path / "out/visus.idx"), volume)
    assert commands.run("verify", "out").returncode == 0


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["stack", "stack"], 2, "are the same"),
        (["stack", "stack/inner"], 2, "inside the source"),
        (["stack/slice_0.tif", "stack"], 2, "inside the destination"),
        (["stack", "mine"], 2, "no conversion made"),
        (["stack", "mine/file.txt"], 2, "is a file"),
        (["nothing", "out"], 1, "nothing at"),
        (["stack", "out", "--codec", "jpeg"], 2, "--codec"),
        (["stack", "out", "--memory-limit", "much"], 2, "no size"),
        (["stack", "out", "--param", "variable"], 2, "NAME=VALUE"),
        (["stack", "out", "--threads", "0"], 2, "--threads"),
        (["stack"], 2, "DEST"),
        (["stack", "out", "--memory-limit", "10MB"], 1, "at least 96"),
    ],
)
def test_wrong_usage(
    commands: Commands, stack: tuple[Path, Any], words: list[str], status: int, said: str
) -> None:
    (commands.folder / "mine").mkdir()
    (commands.folder / "mine" / "file.txt").write_text("mine")
    done = commands.run("convert", *words)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert (commands.folder / "mine" / "file.txt").read_text() == "mine"
    assert names(commands.folder / "mine") == ["file.txt"]
    assert not (commands.folder / "out").exists()
    assert len(list((commands.folder / "stack").iterdir())) == 12


def test_storage_that_cannot_be_written_is_for_later(
    commands: Commands, stack: tuple[Path, Any]
) -> None:
    done = commands.run("convert", stack[0], "/proc/nowhere/out", "--json")
    assert done.returncode == 75, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == "StorageUnavailable"


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Enough to be caught in the middle of it."""
    path = tmp_path / "large.npy"
    array = np.lib.format.open_memmap(path, "w+", np.uint16, (384, 512, 512))
    array[:] = noise((1, 512, 512))
    array.flush()
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("existing", [False, True])
def test_ctrl_c_leaves_no_trace(
    commands: Commands, large: Path, number: signal.Signals, existing: bool
) -> None:
    out = commands.folder / "out"
    former = noise((20, 30))
    if existing:
        np.save(commands.folder / "small.npy", former)
        assert commands.run("convert", "small.npy", out).returncode == 0
    process = commands.start(
        "convert", large, out, "--threads", 1, "--verify", "full", "--codec", "zlib-ng-6"
    )
    # One of several gigabytes' worth of work: a block file that grows says that it is under way.
    eventually(
        lambda: (
            any(each.stat().st_size for each in out.glob("visus/*/*.bin"))
            and list(out.glob(".staging/*"))
        )
    )
    process.send_signal(number)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 130, output
    assert "Traceback" not in output
    if existing:
        np.testing.assert_array_equal(read(out / "visus.idx"), former)
        assert len(list((out / "visus").iterdir())) == 1
        assert not (out / ".staging").exists()
    else:
        assert not out.exists()


def test_what_a_killed_conversion_left_is_taken_over(commands: Commands, large: Path) -> None:
    out = commands.folder / "out"
    process = commands.start("convert", large, out, "--threads", 1, "--codec", "zlib-ng-6")
    eventually(lambda: list(out.glob("visus/*/*.bin")))
    process.kill()
    process.wait(20)
    assert (out / ".staging").is_dir()
    np.save(commands.folder / "small.npy", noise((20, 30)))
    done = commands.run("convert", "small.npy", out)
    assert done.returncode == 0, done.stderr
    assert not (out / ".staging").exists()
    assert len(list((out / "visus").iterdir())) == 1
    np.testing.assert_array_equal(read(out / "visus.idx"), noise((20, 30)))


def test_the_later_of_two_conversions_into_one_folder_wins(commands: Commands, large: Path) -> None:
    out = commands.folder / "out"
    process = commands.start("convert", large, out, "--threads", 1, "--codec", "zlib-ng-6")
    eventually(lambda: list(out.glob("visus/*/*.bin")))
    process.send_signal(signal.SIGSTOP)
    np.save(commands.folder / "small.npy", noise((20, 30)))
    done = commands.run("convert", "small.npy", out)
    process.send_signal(signal.SIGCONT)
    assert done.returncode == 0, done.stderr
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 75, output
    assert "took over" in output
    np.testing.assert_array_equal(read(out / "visus.idx"), noise((20, 30)))
    assert commands.run("verify", out).returncode == 0
    assert names(out / "visus") == [next((out / "visus").iterdir()).name]


def test_it_imports_only_what_it_uses(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", noise((20, 30)))
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "scientistcloud", "convert", "a.npy", "out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "numpy" in imported
    heavy = {"pymongo", "fastapi", "uvicorn", "tifffile", "h5py", "netCDF4", "zarr", "PIL"}
    assert not imported & (heavy | {"rich", "imagecodecs", "structlog", "asyncio", "pydantic"})


def test_parameters_come_from_the_command_line_or_a_file(
    commands: Commands, stack: tuple[Path, Any]
) -> None:
    looked = commands.run("inspect", stack[0], "--json")
    assert looked.returncode == 0, looked.stderr
    plan = json.loads(looked.stdout)
    assert plan["datasets"][0]["dims"] == [30, 20, 12]
    assert plan["parameters"]["arrangement"] == "depth"
    plan["parameters"]["arrangement"] = "time"
    (commands.folder / "plan.json").write_text(json.dumps(plan))
    for name, param in (("a", "arrangement=time"), ("b", "@plan.json")):
        done = commands.run("convert", stack[0], name, "--param", param, "--json")
        assert done.returncode == 0, done.stderr
        (dataset,) = json.loads(done.stdout)["datasets"]
        assert (dataset["dims"], dataset["timesteps"]) == ([30, 20], 12)


def test_inspect_tells_what_would_be_made(commands: Commands, stack: tuple[Path, Any]) -> None:
    done = commands.run("inspect", stack[0])
    assert done.returncode == 0, done.stderr
    for said in ("TIFF stack: 12 file(s)", "slice_2.tif", "30 x 20 x 12", "uint16", "of memory"):
        assert said in done.stdout
    assert commands.run("inspect", "nothing").returncode == 1


def test_verify_names_damage(commands: Commands, stack: tuple[Path, Any]) -> None:
    assert commands.run("convert", stack[0], "out").returncode == 0
    intact = commands.run("verify", "out", "--json")
    assert intact.returncode == 0, intact.stderr
    assert json.loads(intact.stdout)["status"] == "intact"
    (blocks,) = (commands.folder / "out").glob("visus/*/0000.bin")
    data = bytearray(blocks.read_bytes())
    data[-5] ^= 1
    blocks.write_bytes(data)
    damaged = commands.run("verify", "out", "--json")
    assert damaged.returncode == 1
    (damage,) = json.loads(damaged.stdout)["damages"]
    assert damage["path"].endswith("0000.bin")
    assert commands.run("verify", "out").stdout.endswith("checked.\n")
    assert commands.run("verify", "nothing").returncode == 1
