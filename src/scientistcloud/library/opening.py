"""`open`: a converted dataset for reading, from a folder or from a server."""

from __future__ import annotations

from pathlib import Path

from scientistcloud.library.dataset import Dataset


def open(path_or_url: str | Path, *, token: str = "") -> Dataset:
    """Open a converted dataset; nothing is read but its header.

    Parameters
    ----------
    path_or_url : str or Path
        The folder of a conversion, its ``visus.idx``, or the address of one that a server of
        scientistcloud offers: ``https://HOST/d/<uuid>/visus.idx`` or ``https://HOST/view/<uuid>``.
    token : str
        For a server: a token, key or link.

    Raises
    ------
    SourceNotFound, CorruptSource, UnsupportedLayout, Refusal

    Examples
    --------
    >>> import numpy, scientistcloud
    >>> _ = scientistcloud.convert(numpy.ones((4, 5), "f4"), tmp / "plane", axes="yx")
    >>> dataset = scientistcloud.open(tmp / "plane")
    >>> dataset.dims, dataset.fields
    ((5, 4), ('data',))
    >>> dataset.read().sum()
    np.float32(20.0)
    """
    text = str(path_or_url)
    if text.startswith(("http://", "https://")):
        from scientistcloud.library.remote import open_remote

        return open_remote(text, token)
    from scientistcloud.library.local import open_local

    return open_local(Path(path_or_url))
