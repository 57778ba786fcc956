"""The containers' files: checked without a Docker engine, and the image's commands carried out."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pymongo.database import Database

from scientistcloud.settings import VARIABLES
from tests.site import Site, free_port, until

ROOT = Path(__file__).resolve().parents[1]
DOCKER = ROOT / "Docker"
APP = "/app/scientistCloudLib"
WAIT_SECONDS = 60.0


API_ALONE = {
    "AUTH",
    "SECRET_KEY",
    "AUTH0_AUDIENCE",
    "OIDC_ISSUER",
    "OIDC_AUDIENCE",
    "ADMIN_EMAILS",
    "ADMIN_ROLE",
    "PORTAL_SECRET",
    "PORTAL_NETWORKS",
    "CORS_ORIGINS",
    "ROOT_PATH",
    "UPLOAD_QUOTA",
    "UPLOAD_MAX_SIZE",
    "UPLOAD_KEEP_FREE",
    "UPLOAD_QUIET_SECONDS",
    "UPLOAD_EXPIRY_SECONDS",
    "UPLOAD_PATH_FOLDERS",
    "IMPORT_PRIVATE_ADDRESSES",
    "DELETE_GRACE_SECONDS",
    "STREAM_CACHE",
    "STREAM_BOX_LIMIT",
}
"""What the background service, beside which files of strangers are read, is not told."""


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What docker-compose makes of our file, with the values of an operator."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose is not installed")
    folder = tmp_path_factory.mktemp("compose") / "Docker"
    folder.mkdir()
    shutil.copy(DOCKER / "docker-compose.yml", folder)
    template = (DOCKER / ".env.template").read_text()
    values = template.replace("MONGO_URL=\n", "MONGO_URL='mongodb://u:p$x#y@h/?a=b'\n")
    values = values.replace("VISUS_DATASETS=/mnt/visus_datasets", "VISUS_DATASETS=/srv/data")
    (folder / ".env").write_text(values)
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES.values()}
    result = subprocess.run(
        [program, "config"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    value = yaml.safe_load(result.stdout)
    assert isinstance(value, dict)
    return value


def test_services_have_the_names_that_operators_know(compose: dict[str, Any]) -> None:
    fastapi = compose["services"]["fastapi"]
    service = compose["services"]["background-service"]
    assert fastapi["container_name"] == "sclib_fastapi"
    assert service["container_name"] == "sclib_background_service"
    assert "background-service" in service["image"]
    assert fastapi["init"] is service["init"] is True
    # As a mapping or as "127.0.0.1:5001:5001/tcp", by docker-compose's version.
    (port,) = fastapi["ports"]
    assert "127.0.0.1" in str(port), "others reach it through the proxy that speaks TLS"
    assert re.findall(r"5001", str(port)) == ["5001", "5001"]
    assert compose["networks"]["docker_visstore_web"]["external"] is True
    for each in (fastapi, service):
        assert "docker_visstore_web" in each["networks"]
        assert each["healthcheck"]["test"][0] == "CMD"


def test_the_container_has_its_own_path_whatever_the_host_has(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["environment"]["VISUS_DATASETS"] == "/mnt/visus_datasets"
        assert [volume.split(":")[:2] for volume in service["volumes"]] == [
            ["/srv/data", "/mnt/visus_datasets"]
        ]


def test_every_variable_reaches_the_containers_that_read_it(compose: dict[str, Any]) -> None:
    api = compose["services"]["fastapi"]["environment"]
    assert set(api) == set(VARIABLES.values())
    service = compose["services"]["background-service"]["environment"]
    assert set(api) - set(service) == API_ALONE
    for service in compose["services"].values():
        # docker-compose writes a dollar sign as two.
        url = service["environment"]["MONGO_URL"].replace("$$", "$")
        assert url == "mongodb://u:p$x#y@h/?a=b"


def test_containers_get_no_more_than_they_need(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert [each.partition(":")[0] for each in service["tmpfs"]] == ["/tmp"]
        assert "privileged" not in service
        assert "user" not in service  # www-data, as the image says


def _ask_health(site: Site, port: int) -> subprocess.CompletedProcess[str]:
    search = os.pathsep.join(map(str, [ROOT / "src", ROOT / "SCLib_JobProcessing"]))
    return subprocess.run(
        [sys.executable, str(DOCKER / "healthcheck.py"), "background-service"],
        env=site.environment(METRICS_PORT=str(port), PYTHONPATH=search),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_health_check_asks_the_service(site: Site) -> None:
    port = free_port()
    service = site.start(METRICS_PORT=str(port))
    url = f"http://127.0.0.1:{port}/healthz"
    until(lambda: _answers(url), 30, site.logs)
    well = _ask_health(site, port)
    assert (well.returncode, well.stderr) == (0, "")
    service.terminate()
    service.wait(20)
    ill = _ask_health(site, port)
    assert ill.returncode == 1
    assert "has not reported itself" in ill.stderr or "no process" in ill.stderr


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


def test_the_template_names_every_variable_with_its_default() -> None:
    found = dict(re.findall(r"^(\w+)=(.*)$", (DOCKER / ".env.template").read_text(), re.M))
    assert set(found) == set(VARIABLES.values())
    file = yaml.safe_load((DOCKER / "docker-compose.yml").read_text())
    for variable, text in file["x-service"]["environment"].items():
        default = re.search(r":-([^}]*)\}", text)
        if default and found[variable]:
            assert default[1] == found[variable], variable


def _instructions() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n\s*", "", (DOCKER / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


def test_the_final_image_is_slim_unprivileged_and_without_compilers() -> None:
    instructions = _instructions()
    last = max(i for i, (name, _) in enumerate(instructions) if name == "FROM")
    final = instructions[last:]
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", final[0][1])
    assert ("USER", "www-data") in final
    runs = " ".join(rest for name, rest in final if name == "RUN")
    assert "procps" in runs
    assert not re.search(r"\b(gcc|g\+\+|build-essential|cmake|make)\b", runs)
    assert "--require-hashes" in " ".join(rest for name, rest in instructions if name == "RUN")


def _in_image() -> list[Path]:
    """The repository's files that the image gets, as ``.dockerignore`` says."""
    rules = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [rule[1:] for rule in rules if rule.startswith("!")]
    for name in kept:
        assert (ROOT / name).exists(), name
    found = [path for name in kept for path in [ROOT / name, *(ROOT / name).rglob("*")]]
    return [path for path in found if path.is_file() and not fnmatch(path, "*__pycache__*")]


def test_what_the_image_copies_and_runs_is_there() -> None:
    inside = {str(path.relative_to(ROOT)) for path in _in_image()}
    for name, rest in _instructions():
        if name == "COPY" and not rest.startswith(("--from", ". ")):
            assert rest.split()[0] in inside
    file = yaml.safe_load((DOCKER / "docker-compose.yml").read_text())
    commands = [service["command"] for service in file["services"].values()]
    checks = [service["healthcheck"]["test"] for service in file["services"].values()]
    for word in (word for command in (*commands, *checks) for word in command):
        if "/" in word:
            assert word in inside, word


class Image:
    """The image's content in a folder: its paths lead there instead of to the root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.app = root / APP.lstrip("/")
        self.variables: dict[str, str] = {}

    def local(self, text: str) -> str:
        return re.sub(r"(?<![\w/])/(app|opt|tmp|mnt)\b", f"{self.root}/\\1", text)

    def build(self) -> None:
        """Carry out the Dockerfile's commands one by one, but for apt-get."""
        for folder in ("app", "opt", "tmp", "usr/local/bin"):
            (self.root / folder).mkdir(parents=True)
        for name, rest in _instructions():
            if name == "COPY" and not rest.startswith("--from"):
                self._copy(*rest.split())
            elif name == "RUN" and not rest.startswith("apt-get"):
                self.run(self.local(rest), shell=True).check_returncode()
            elif name == "ENV":
                words = [word.partition("=") for word in shlex.split(rest)]
                self.variables |= {key: self.local(value) for key, _, value in words}

    def _copy(self, source: str, target: str) -> None:
        if source != ".":
            place = self.root / target.lstrip("/")
            shutil.copy(ROOT / source, place)
            return
        for path in _in_image():
            place = self.app / path.relative_to(ROOT)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)

    def environment(self, **more: str) -> dict[str, str]:
        known = ("PIP_", "SSL_", "http", "HTTP", "no_proxy", "NO_PROXY", "LANG")
        base = {key: value for key, value in os.environ.items() if key.startswith(known)}
        path = self.variables.get("PATH", f"{Path(sys.executable).resolve().parent}:{os.defpath}")
        base["PATH"] = f"{self.root}/usr/local/bin:{path}"
        return base | {key: v for key, v in self.variables.items() if key != "PATH"} | more

    def _as_user(self) -> dict[str, Any]:
        """As www-data, where we may become it and it may run this Python."""
        python = Path(sys.executable).resolve()
        if os.getuid() != 0 or not all(
            each.stat().st_mode & 1 for each in [python, *python.parents]
        ):
            return {}
        return {"user": 33, "group": 33, "extra_groups": []}

    def run(
        self, command: Any, *, shell: bool = False, as_user: bool = False, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            shell=shell,
            cwd=self.app if self.app.is_dir() else self.root,
            env=self.environment(**variables),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            **(self._as_user() if as_user else {}),
        )

    def start(self, command: list[str], log: Path, **variables: str) -> subprocess.Popen[bytes]:
        with log.open("wb") as out:
            return subprocess.Popen(
                command,
                cwd=self.app,
                env=self.environment(**variables),
                stdout=out,
                stderr=subprocess.STDOUT,
                **self._as_user(),
            )


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    root = Path("/tmp") / f"scientistcloud-image-{os.getpid()}"
    root.mkdir(mode=0o755)
    try:
        built = Image(root)
        built.build()
        yield built
    finally:
        shutil.rmtree(root)


def _compose_services() -> dict[str, Any]:
    services = yaml.safe_load((DOCKER / "docker-compose.yml").read_text())["services"]
    assert isinstance(services, dict)
    return services


def _wait_for(
    check: Callable[[], Any], what: str, log: Path, process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not check():
        assert process.poll() is None, f"it ended before {what}:\n{log.read_text()}"
        assert time.monotonic() < deadline, f"waited too long for {what}:\n{log.read_text()}"
        time.sleep(0.2)


@pytest.mark.image
@pytest.mark.timeout(900)
def test_what_operators_type_inside_a_container_works(image: Image, mongo_url: str) -> None:
    code = "from SCLib_MongoConnection import get_mongo_connection; print(get_mongo_connection())"
    shown = image.run(["python3", "-c", code], as_user=True, MONGO_URL=mongo_url)
    assert shown.stdout.startswith("MongoClient("), shown.stderr
    command = ["python3", "SCLib_JobProcessing/SCLib_BackgroundService.py", "--help"]
    assert image.run(command, as_user=True).returncode == 0
    assert image.run(["scientistcloud", "--version"], as_user=True).returncode == 0


@pytest.mark.image
@pytest.mark.timeout(900)
def test_both_services_run_from_the_image_and_their_health_checks_ask_them(
    image: Image, mongo_url: str, database: Database[dict[str, Any]], tmp_path: Path
) -> None:
    data = image.root / "mnt" / "visus_datasets"
    (data / "upload" / "scan").mkdir(parents=True)
    (data / "converted").mkdir(mode=0o777)
    (data / "converted").chmod(0o777)
    _write_tiff(image, data / "upload" / "scan" / "a.tif")
    variables = {"MONGO_URL": mongo_url, "DB_NAME": database.name, "VISUS_DATASETS": str(data)}
    services = _compose_services()
    log = tmp_path / "log"
    check = services["background-service"]["healthcheck"]["test"][1:]
    down = image.run(check, as_user=True, **variables)
    assert down.returncode == 1
    background = image.start(services["background-service"]["command"], log, **variables)
    try:
        database["visstoredatas"].insert_one({"uuid": "scan", "status": "conversion queued"})
        _wait_for(
            lambda: database["visstoredatas"].find_one({"uuid": "scan", "status": "done"}),
            "the conversion",
            log,
            background,
        )
        assert (data / "converted" / "scan" / "visus.idx").is_file()
        _wait_for(
            lambda: image.run(check, as_user=True, **variables).returncode == 0,
            "health",
            log,
            background,
        )
    finally:
        background.terminate()
        background.wait(WAIT_SECONDS)


@pytest.mark.image
@pytest.mark.timeout(900)
def test_the_api_runs_from_the_image_and_its_health_check_asks_it(
    image: Image, mongo_url: str, tmp_path: Path
) -> None:
    services = _compose_services()
    check = services["fastapi"]["healthcheck"]["test"][1:]
    down = image.run(check, as_user=True)
    assert down.returncode == 1
    log = tmp_path / "log"
    api = image.start(
        services["fastapi"]["command"], log, MONGO_URL=mongo_url, AUTH="token", SECRET_KEY="k" * 32
    )
    try:
        _wait_for(lambda: image.run(check, as_user=True).returncode == 0, "health", log, api)
    finally:
        api.terminate()
        api.wait(WAIT_SECONDS)


def _write_tiff(image: Image, path: Path) -> None:
    code = f"import numpy, tifffile; tifffile.imwrite({str(path)!r}, numpy.eye(64, dtype='u2'))"
    image.run(["python3", "-c", code]).check_returncode()
