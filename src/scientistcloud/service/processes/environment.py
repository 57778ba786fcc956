"""Which variables of the service its conversions get to see."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(
    r"SECRET|TOKEN|PASS|PWD$|CREDENTIAL|PRIVATE|_KEY|KEY_|KEY$|AUTH|COOKIE|SESSION|DSN|WEBHOOK"
    r"|MONGO|POSTGRES|MYSQL|REDIS|DATABASE|SMTP|^(AWS|AZURE|GOOGLE|GCP|ARM|DO|OCI|S3)_"
    r"|^(GITHUB|GITLAB|SSH|KUBE|DOCKER|VAULT|CONSUL|SENTRY|SLACK|OTEL)"
)
_SECRET_VALUE = re.compile(r"://[^/\s@]*@|-----BEGIN|^eyJ[\w-]+\.")
_NEEDED = frozenset({"PWD", "OLDPWD"})


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that can hold no secret: neither by their name nor by their value."""
    return {
        name: value
        for name, value in environment.items()
        if name in _NEEDED or not (_SECRET_NAME.search(name.upper()) or _SECRET_VALUE.search(value))
    }
