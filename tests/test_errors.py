"""The error tree: codes are unique, survive a process boundary, and are documented."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from scientistcloud.errors import (
    ConversionError,
    DeploymentError,
    PermanentError,
    TransientError,
    UnexpectedError,
    catalogue,
    error_from_dict,
)

ALL = list(catalogue())
DOCS = Path(__file__).parents[1] / "docs"


def test_codes_are_unique() -> None:
    assert len({cls.__name__ for cls in ALL}) == len(ALL)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_an_error_survives_being_sent_to_another_process(cls: type[ConversionError]) -> None:
    error = cls("slice_3.tif is damaged.", remedy="Upload it again.")
    again = error_from_dict(error.to_dict())
    assert type(again) is cls
    assert (again.code, again.message, again.remedy) == (error.code, error.message, error.remedy)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
def test_every_error_says_what_it_means_and_what_to_do(cls: type[ConversionError]) -> None:
    assert issubclass(cls, PermanentError | TransientError | DeploymentError)
    for text in (cls.meaning, cls.cause, cls.remedy_hint):
        assert text.endswith(".")
    if cls not in (PermanentError, TransientError, DeploymentError):
        assert cls.meaning != ConversionError.meaning
        assert cls.cause != ConversionError.cause


def test_an_unknown_code_is_an_unexpected_error() -> None:
    assert type(error_from_dict({"code": "Nonsense", "message": "?"})) is UnexpectedError


def test_the_page_of_errors_is_up_to_date() -> None:
    page = runpy.run_path(str(DOCS / "make_errors.py"))["page"]
    assert (DOCS / "errors.md").read_text(encoding="utf-8") == page()
