"""Settings: where values come from, what is refused, and how the refusal reads."""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from scientistcloud import host
from scientistcloud.errors import BadSettings
from scientistcloud.settings import VARIABLES, Settings, load_settings, parse_size

DOCS = Path(__file__).resolve().parents[1] / "docs"
GIB = 1024**3


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)


def _file(tmp_path: Path, **values: object) -> Path:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(values))
    return path


def test_defaults_are_those_of_the_operators() -> None:
    settings = load_settings()
    assert settings.mongo_url is None
    assert settings.secret_key is None
    assert (settings.db_name, settings.collection) == ("scientistcloud", "visstoredatas")
    assert settings.visus_datasets == Path("/mnt/visus_datasets")
    assert settings.in_data_dir == Path("/mnt/visus_datasets/upload")
    assert settings.out_data_dir == Path("/mnt/visus_datasets/converted")
    assert settings.timeout_seconds == 7200
    assert (settings.max_attempts, settings.retry_delay_seconds) == (3, 30)
    assert (settings.cpu_limit, settings.metrics_port) == (4, 9090)
    assert (settings.lease_seconds, settings.renew_seconds) == (15, 3)
    assert (settings.foreign_claim_minutes, settings.grace_seconds) == (180, 3600)
    assert set(settings.origins().values()) == {"default"}
    assert set(settings.origins()) == set(Settings.model_fields)


def test_command_line_beats_environment_beats_file_beats_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _file(tmp_path, db_name="of_file", in_data_dir="/in/file", out_data_dir="/out/file")
    monkeypatch.setenv("DB_NAME", "of_environment")
    monkeypatch.setenv("JOB_IN_DATA_DIR", "/in/environment")
    settings = load_settings(file, {"db_name": "of_line", "cpu_limit": None})
    assert settings.db_name == "of_line"
    assert settings.in_data_dir == Path("/in/environment")
    assert settings.out_data_dir == Path("/out/file")
    origins = settings.origins()
    assert origins["db_name"] == "command line"
    assert origins["in_data_dir"] == "environment"
    assert origins["out_data_dir"] == f"settings file {file}"
    assert origins["cpu_limit"] == "default"


def test_folders_follow_visus_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISUS_DATASETS", "/data")
    settings = load_settings()
    assert settings.in_data_dir == Path("/data/upload")
    assert settings.out_data_dir == Path("/data/converted")


def test_relative_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(overrides={"visus_datasets": Path("data")})
    assert settings.out_data_dir == tmp_path / "data" / "converted"


def test_a_file_with_nothing_but_the_database(tmp_path: Path) -> None:
    settings = load_settings(_file(tmp_path, db_name="scientistcloud"))
    assert settings.db_name == "scientistcloud"
    assert settings.origins()["db_name"].startswith("settings file")
    assert settings.warnings() == ()


def test_unknown_keys_are_reported_and_known_ones_without_effect_are_not(tmp_path: Path) -> None:
    file = _file(tmp_path, db_name="x", sync_data_dir="/s", auth_dir="/a", colour="red", size=3)
    (warning,) = load_settings(file).warnings()
    assert warning == f"{file}: unknown keys, ignored: colour, size"


@pytest.mark.parametrize("empty", ["", None])
def test_empty_values_count_as_unset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty: str | None
) -> None:
    monkeypatch.setenv("METRICS_PORT", "")
    monkeypatch.setenv("DB_NAME", "")
    settings = load_settings(_file(tmp_path, db_name=empty, in_data_dir=empty))
    assert settings.metrics_port == 9090
    assert settings.origins()["metrics_port"] == "default"
    assert settings.db_name == "scientistcloud"


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://u:p%40ss@h1,h2:27018/?replicaSet=rs&w=majority&retryWrites=true",
        "mongodb+srv://u:p@cluster.example.org/db?tls=true&appName=a%20b ",
    ],
)
def test_the_mongo_url_is_kept_exactly(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MONGO_URL", url)
    settings = load_settings()
    assert settings.mongo_url is not None
    assert settings.mongo_url.get_secret_value() == url


def test_secrets_show_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URL", "mongodb://u:hunter2@h/")
    monkeypatch.setenv("SECRET_KEY", "hunter3")
    settings = load_settings()
    text = f"{settings} {settings!r} {settings.in_force()}"
    assert "hunter" not in text
    assert "(hidden)" in text


def test_what_is_in_force_is_told_where_nothing_was_set() -> None:
    settings = load_settings()
    told = {row.variable: row.value for row in settings.in_force()}
    assert told["JOB_MAX_CONCURRENT"] == str(settings.concurrency)
    assert told["CONVERSION_MEMORY_LIMIT"] == str(settings.memory_limit_bytes)


def test_a_bad_mongo_url_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_URL", "http://u:hunter2@h/")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    error = caught.value
    assert "MONGO_URL" in error.message
    assert "mongodb://" in error.message
    assert "hunter2" not in f"{error} {error.__cause__!r} {error.__context__!r}"


@pytest.mark.parametrize(
    ("minutes", "seconds", "expected", "origin"),
    [
        ("1", None, 60, "environment"),
        (None, "30", 30, "environment"),
        ("2", "7000", 120, "environment"),
        ("240", None, 7200, "default"),
        ("0.5", "31", 30, "environment"),
    ],
)
def test_the_smaller_timeout_rules(
    monkeypatch: pytest.MonkeyPatch,
    minutes: str | None,
    seconds: str | None,
    expected: float,
    origin: str,
) -> None:
    if minutes:
        monkeypatch.setenv("JOB_TIMEOUT_MINUTES", minutes)
    if seconds:
        monkeypatch.setenv("CONVERSION_TIMEOUT", seconds)
    settings = load_settings()
    assert settings.timeout_seconds == expected
    assert settings.origins()["timeout_seconds"] == origin


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("JOB_MAX_CONCURRENT", "many", "a whole number from 1"),
        ("JOB_MAX_CONCURRENT", "0", "a whole number from 1"),
        ("JOB_TIMEOUT_MINUTES", "-1", "above 0"),
        ("JOB_TIMEOUT_MINUTES", "nan", "above 0"),
        ("CONVERSION_TIMEOUT", "inf", "above 0"),
        ("JOB_MAX_RETRY_ATTEMPTS", "2.5", "a whole number from 1"),
        ("JOB_RETRY_DELAY_SECONDS", "soon", "0 or more"),
        ("CONVERSION_MEMORY_LIMIT", "lots", "such as 8G"),
        ("CONVERSION_MEMORY_LIMIT", "95MB", "not below 96 MB"),
        ("CONVERSION_CPU_LIMIT", "0", "a whole number from 1"),
        ("METRICS_PORT", "65536", "65535"),
        ("DB_NAME", "a/b", "a name"),
        ("COLLECTION_VISSTOREDATAS", "system.users", "system."),
        ("LEASE_SECONDS", "0", "above 0"),
        ("LEASE_RENEW_SECONDS", "15", "below LEASE_SECONDS"),
        ("LOG_FORMAT", "xml", "console or json"),
        ("LOG_LEVEL", "chatty", "debug, info, warning or error"),
    ],
)
def test_a_bad_value_names_variable_value_and_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert variable in caught.value.message
    assert value in caught.value.message
    assert allowed in caught.value.message


def test_all_bad_values_are_named_at_once_and_consequences_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LEASE_SECONDS", "x")
    monkeypatch.setenv("METRICS_PORT", "y")
    with pytest.raises(BadSettings) as caught:
        load_settings()
    assert "LEASE_SECONDS" in caught.value.message
    assert "METRICS_PORT" in caught.value.message
    assert "LEASE_RENEW_SECONDS" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "is not JSON"), ("[]", "must hold an object"), ('{"db_name": 5}', "DB_NAME = 5")],
)
def test_a_bad_settings_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(text)
    with pytest.raises(BadSettings, match="settings file") as caught:
        load_settings(path)
    assert said in caught.value.message
    assert str(path) in caught.value.message


def test_a_missing_settings_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="cannot be read: No such file"):
        load_settings(tmp_path / "absent.json")


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("8G", 8 * GIB),
        ("8g", 8 * GIB),
        ("1.5 GiB", 3 * GIB // 2),
        ("7Gi", 7 * GIB),
        ("96MB", 96_000_000),
        ("512M", 512 * 1024**2),
        ("3kB", 3000),
        ("3KiB", 3072),
        ("12B", 12),
        ("1000", 1000),
        ("1T", 1024 * GIB),
    ],
)
def test_sizes(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "G", "-1G", "1X", "8 G B", "1e9", "5i", "5iB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


def test_a_limit_below_the_host_is_kept_and_one_above_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONVERSION_MEMORY_LIMIT", "96MB")
    assert load_settings().memory_limit_bytes == 96_000_000
    monkeypatch.setenv("CONVERSION_MEMORY_LIMIT", "900T")
    settings = load_settings()
    assert settings.memory_limit_bytes == host.usable_memory_bytes()
    assert settings.concurrency == 1


def test_concurrency_is_as_given_or_what_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONVERSION_MEMORY_LIMIT", "100MB")
    expected = min(5, host.cores(), host.usable_memory_bytes() // 100_000_000)
    assert load_settings().concurrency == expected
    monkeypatch.setenv("JOB_MAX_CONCURRENT", "17")
    assert load_settings().concurrency == 17


def test_attempts_share_the_memory_when_no_limit_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOB_MAX_CONCURRENT", "64")
    settings = load_settings()
    share_bytes = host.usable_memory_bytes() // 64
    assert settings.memory_limit_bytes == max(96_000_000, min(8 * GIB, share_bytes))


def _host(root: Path, cgroup: str, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_limit_of_a_container_counts_as_the_host_version_2(tmp_path: Path) -> None:
    root = _host(
        tmp_path,
        "0::/pod/box\n",
        pod__box__memory_DOT_max="max\n",
        pod__memory_DOT_max="300000000\n",
        pod__box__cpu_DOT_max="50000 100000\n",
    )
    assert host.memory_bytes(root) == 300_000_000
    assert host.cores(root) == 1


def test_the_limit_of_a_container_counts_as_the_host_version_1(tmp_path: Path) -> None:
    root = _host(tmp_path, "7:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n")
    memory = root / "sys/fs/cgroup/memory"
    memory.mkdir(parents=True)
    (memory / "memory.limit_in_bytes").write_text("200000000\n")
    assert host.memory_bytes(root) == 200_000_000


def test_without_control_groups_the_machine_counts(tmp_path: Path) -> None:
    assert host.memory_bytes(tmp_path) > 10**8
    assert host.cores(tmp_path) >= 1


def test_numbers_of_the_kernel_are_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "vmstat").write_text("oom_kill_events 9\n\noom_kill 3\n")
    (tmp_path / "proc" / "meminfo").write_text("MemFree: 7 kB\nMemAvailable:   0 kB\n")
    assert host.oom_kills(tmp_path) == 3
    assert host.free_memory_bytes(tmp_path) == 0
    (tmp_path / "proc" / "meminfo").write_text("MemFree: 7 kB\n")
    assert host.free_memory_bytes(tmp_path) == host.memory_bytes(tmp_path)
    assert host.oom_kills(tmp_path / "elsewhere") == 0


def test_settings_survive_pickling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_NAME", "elsewhere")
    settings = pickle.loads(pickle.dumps(load_settings()))
    assert settings.db_name == "elsewhere"
    assert settings.origins()["db_name"] == "environment"


def test_settings_load_without_the_driver_of_mongodb() -> None:
    code = "import sys, scientistcloud.settings; print('pymongo' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "False"


def test_the_page_of_settings_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("make_settings", DOCS / "make_settings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (DOCS / "settings.md").read_text() == module.page()
