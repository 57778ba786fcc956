"""The service and its HTTP API inside a command, for as long as a context."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

import structlog
import uvicorn

from scientistcloud.cli.home.port import listening_socket
from scientistcloud.service.background import BackgroundService
from scientistcloud.settings import Settings

log = structlog.get_logger(__name__)

API_PORT = 5001
_STOP_SECONDS = 15.0


class ServingThread(threading.Thread):
    """The service in a thread of this process; `error` is what ended it, if anything did."""

    def __init__(self, settings: Settings, ended: Callable[[], None]) -> None:
        super().__init__(name="service", daemon=True)
        self.service = BackgroundService(settings)
        self.error: BaseException | None = None
        self._ended = ended

    def run(self) -> None:
        try:
            self.service.run()
        except BaseException as error:  # raised again by whoever waits for the thread
            self.error = error
            log.exception("The service ended")
        finally:
            self._ended()


@contextmanager
def serving(settings: Settings, ended: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Run the service; leaving releases what it converts and stops all its processes.

    Parameters
    ----------
    ended : callable
        Called when the service ends, whyever.
    """
    thread = ServingThread(settings, ended)
    thread.start()
    try:
        yield
    finally:
        thread.service.stop()
        thread.join(_STOP_SECONDS)
    if thread.error is not None:
        raise thread.error


@contextmanager
def serving_api(settings: Settings, port: int | None) -> Iterator[str | None]:
    """Run the HTTP API on loopback and give its address; None where there is none.

    Parameters
    ----------
    port : int or None
        0 for no API; None for the usual port, or a free one where that is taken.
    """
    listener = listening_socket(port, API_PORT) if port != 0 else None
    if listener is None:
        yield None
        return
    # By name: API and command line are neighbours that know nothing of each other.
    application = import_module("scientistcloud.api.app").create_app(settings)
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, access_log=False))
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="api", daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_STOP_SECONDS)
        listener.close()
