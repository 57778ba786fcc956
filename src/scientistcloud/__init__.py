"""scientistcloud: uploaded scientific datasets become streamable multiresolution ones.

What notebooks and pipelines import: `convert`, `inspect`, `verify`, `open`, `Client`, and the
errors (`ConversionError` and its kinds). Each is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scientistcloud.release import __version__

if TYPE_CHECKING:
    from scientistcloud.client.client import Client
    from scientistcloud.conversion.result import ConversionResult
    from scientistcloud.errors import (
        ConversionError,
        DeploymentError,
        PermanentError,
        TransientError,
    )
    from scientistcloud.library.converting import convert
    from scientistcloud.library.dataset import Dataset
    from scientistcloud.library.inspecting import Inspection, inspect
    from scientistcloud.library.opening import open
    from scientistcloud.library.verifying import VerifyReport, verify
    from scientistcloud.refusals import Refusal

__all__ = [
    "Client",
    "ConversionError",
    "ConversionResult",
    "Dataset",
    "DeploymentError",
    "Inspection",
    "PermanentError",
    "Refusal",
    "TransientError",
    "VerifyReport",
    "__version__",
    "convert",
    "inspect",
    "open",
    "verify",
]

_HOMES = {
    "Client": "client.client",
    "ConversionError": "errors",
    "ConversionResult": "conversion.result",
    "Dataset": "library.dataset",
    "DeploymentError": "errors",
    "Inspection": "library.inspecting",
    "PermanentError": "errors",
    "Refusal": "refusals",
    "TransientError": "errors",
    "VerifyReport": "library.verifying",
    "convert": "library.converting",
    "inspect": "library.inspecting",
    "open": "library.opening",
    "verify": "library.verifying",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
