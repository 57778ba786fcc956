"""What is behind an error of a conversion: often something that others have done meanwhile."""

from __future__ import annotations

from pathlib import Path

from scientistcloud.conversion.publishing.publish import Publication, StagingLost
from scientistcloud.errors import PermanentError, SourceChanged
from scientistcloud.readers.files.listing import scan


def raise_cause(error: Exception, publication: Publication, root: Path, fingerprint: str) -> None:
    """Raise what is behind `error`, if it is anything else.

    Parameters
    ----------
    root : Path
        Of the source.
    fingerprint : str
        What its files were like at the beginning.

    Raises
    ------
    StagingLost
        A new owner has taken over what this attempt was reading and writing.
    SourceChanged
        A failed verification may come from that too: the copy read one version, the comparison
        another.
    """
    if not publication.staging.is_dir():
        raise StagingLost(f"{publication.staging} was taken away") from error
    if isinstance(error, PermanentError) and scan(root).fingerprint() != fingerprint:
        raise SourceChanged from error
