"""Fixtures that several modules share."""

from tests.conversion.owners import root

__all__ = ["root"]
