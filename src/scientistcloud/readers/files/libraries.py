"""Libraries that only some formats need: loaded when a file needs them, missed by name."""

from __future__ import annotations

import importlib
from types import ModuleType

from scientistcloud.errors import MissingLibrary


def load_library(module: str, extra: str, what: str) -> ModuleType:
    """The module of a library that the `extra` of this package brings.

    Parameters
    ----------
    what : str
        What needs it, for people: "GRIB".

    Raises
    ------
    MissingLibrary
        It is not installed; the remedy is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError, RuntimeError) as error:  # a C library may be missing behind it
        library = module.partition(".")[0]
        raise MissingLibrary(
            f"{what} is read with the library {library} of the extra '{extra}', which is not "
            "installed.",
            remedy=f"Install it on this host: python -m pip install 'scientistcloud[{extra}]'",
        ) from error
