"""``from SCLib_MongoConnection import get_mongo_connection``: MongoDB as the services see it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_SOURCE = Path(__file__).resolve().parents[1] / "src"
if _SOURCE.is_dir() and str(_SOURCE) not in sys.path:
    sys.path.insert(0, str(_SOURCE))

from pymongo import MongoClient  # noqa: E402

from scientistcloud.database.connection import connect  # noqa: E402
from scientistcloud.errors import BadSettings, DatabaseUnavailable  # noqa: E402
from scientistcloud.settings import load_settings  # noqa: E402

# With what else takes time, the answer comes within 5 s.
TIMEOUT_SECONDS = 4.0


def get_mongo_connection() -> MongoClient[dict[str, Any]]:
    """A client of the MongoDB at ``MONGO_URL`` that has answered a ping.

    Raises
    ------
    scientistcloud.errors.BadSettings
        ``MONGO_URL`` is missing or malformed.
    scientistcloud.errors.DatabaseUnavailable
        No answer within 5 s: with the host, the reason and a remedy, without the password.
    """
    url = load_settings().mongo_url
    if url is None:
        raise BadSettings("MONGO_URL is not set, so there is no MongoDB to connect to.")
    try:
        return connect(url.get_secret_value(), timeout_seconds=TIMEOUT_SECONDS)
    except (BadSettings, DatabaseUnavailable) as error:
        # Python prints an exception's text alone: the remedy belongs into it.
        raise type(error)(f"{error.message} {error.remedy}", remedy=error.remedy) from None


if __name__ == "__main__":
    print(get_mongo_connection())
