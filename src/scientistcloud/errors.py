"""Every error that a conversion can end with. Imports nothing of ours.

::

    ConversionError          stable `code`, a message for the scientist, a remedy
    |- PermanentError        fail now
    |  |- InvalidIdentity    MissingUuid, UnusableUuid, DuplicateUuid
    |  |- RemoteDataset
    |  |- SourceNotFound     SourceEmpty
    |  |- UnrecognizedFormat SensorMismatch
    |  |- AmbiguousFormat
    |  |- CorruptSource      MissingMember
    |  |- UnsupportedLayout  UnlikeSlices, UnsupportedDtype, UnstructuredMesh, DronePhotos
    |  |- UnsafeSource       UnsafeLink, SpecialFile, UnsafeArchive
    |  |- InvalidOptions
    |  |- VerificationFailed
    |  |- ResourceLimit
    |  `- InternalError      a bug, after its retries
    |- TransientError        try again
    |  |- uncounted          DatabaseUnavailable, StorageUnavailable, OutOfSpace, HostBusy,
    |  |                     HostLost, OutOfMemory
    |  `- counted            SourceChanged, AttemptCrashed, AttemptTimedOut, UnexpectedError
    `- DeploymentError       blames no dataset
       |- BadSettings        stops the program at its start
       `- MissingLibrary     releases the claim uncounted; health is degraded

The class alone decides the fate of an attempt. Errors of other libraries are translated once, at
the boundary, with ``raise ... from error``. `catalogue` walks the tree for ``docs/errors.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


def printable(text: str) -> str:
    """`text` on one line, without what a terminal obeys: names of files can hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class ConversionError(Exception):
    """An error with a stable `code`, a `message` for the scientist and a `remedy`.

    Parameters
    ----------
    message : str
        One sentence that names the file (relative to the upload) or the field, in plain words.
    remedy : str, optional
        What to do about it; the class's own remedy where nothing better is known.
    """

    meaning: ClassVar[str] = "The conversion failed."
    cause: ClassVar[str] = "Of many kinds."
    remedy_hint: ClassVar[str] = "Look at conversion.log, then convert again."

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        self.message = printable(message or self.meaning)
        self.remedy = printable(remedy or self.remedy_hint)
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The stable name by which portals and scripts know this error: the class's own."""
        return type(self).__name__

    def to_dict(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


class PermanentError(ConversionError):
    """The same input would fail in the same way: the dataset fails now."""


class InvalidIdentity(PermanentError):
    """The document cannot be tied to one folder."""

    meaning = "The dataset's identity cannot be used."
    cause = "The document's uuid is missing, is no safe name, or belongs to several documents."
    remedy_hint = "Give the dataset a uuid of its own made of letters, digits, '.', '_' and '-'."


class MissingUuid(InvalidIdentity):
    meaning = "The dataset has no uuid, so its files cannot be found."
    cause = "The document was inserted without the field uuid, or with an empty one."


class UnusableUuid(InvalidIdentity):
    meaning = "The dataset's uuid cannot be the name of a folder."
    cause = "The uuid is not text, is longer than 128 characters, or holds characters such as '/'."


class DuplicateUuid(InvalidIdentity):
    meaning = "Several datasets have the same uuid, so it is unclear whose files these are."
    cause = "Two documents were inserted with the same uuid."


class RemoteDataset(PermanentError):
    meaning = "The dataset lies on another server: there is nothing to convert here."
    cause = "google_drive_link names a server that is not Google's."
    remedy_hint = "View it through its link, or upload the files themselves."


class SourceNotFound(PermanentError):
    meaning = "The dataset's upload folder does not exist."
    cause = (
        "The upload folder was removed, or the service looks in another place (JOB_IN_DATA_DIR)."
    )
    remedy_hint = "Upload the files again."


class SourceEmpty(SourceNotFound):
    meaning = "The upload holds no files with data."
    cause = "The upload was interrupted, or holds only empty and hidden files."


class UnrecognizedFormat(PermanentError):
    meaning = "None of the uploaded files is in a format that can be converted."
    cause = "No file begins as one of the known formats does."
    remedy_hint = (
        "Export the data as one of the formats that can be converted, such as TIFF, PNG, NetCDF, "
        "HDF5, Zarr, DICOM, NIfTI, NRRD, MRC, MetaImage, NumPy or IDX (docs/formats.md)."
    )


class SensorMismatch(UnrecognizedFormat):
    meaning = "The files are not what the chosen sensor stands for."
    cause = "The sensor was chosen wrongly when the dataset was uploaded."
    remedy_hint = "Choose the sensor that fits the files, or OTHER to have it found."


class AmbiguousFormat(PermanentError):
    meaning = "The files can be understood in more than one way, and a guess could be wrong."
    cause = "Files of several formats, or single- and multi-page files, lie in one upload."
    remedy_hint = "Upload the parts as separate datasets, or say which one is meant."


class CorruptSource(PermanentError):
    meaning = "A file is damaged or incomplete."
    cause = "The transfer was interrupted, or the program that wrote the file was."
    remedy_hint = "Check the file at its origin and upload it again."


class MissingMember(CorruptSource):
    meaning = "A file that the dataset refers to was not uploaded."
    cause = "The file names another one, as virtual and multi-file datasets do."
    remedy_hint = "Upload the missing file beside the others."


class UnsupportedLayout(PermanentError):
    meaning = "The data are arranged in a way that cannot be shown as a regular grid."
    cause = "The file is valid, but its arrays do not form a grid of one to three axes and time."
    remedy_hint = "Export the data as a regular grid of numbers."


class UnlikeSlices(UnsupportedLayout):
    meaning = "The slices of the stack differ in size or type of sample."
    cause = "Files of different scans or settings were uploaded together."
    remedy_hint = "Remove the odd files, or upload them as a dataset of their own."


class UnsupportedDtype(UnsupportedLayout):
    meaning = "The samples are of a type that viewers cannot show."
    cause = "The samples are complex numbers, text or objects."
    remedy_hint = "Export the data as integers or floating-point numbers."


class UnstructuredMesh(UnsupportedLayout):
    meaning = "The data live on an unstructured mesh, which has no rows and columns."
    cause = "The values belong to cells or nodes that are listed one by one."
    remedy_hint = "Resample the data onto a regular grid."


class DronePhotos(UnsupportedLayout):
    meaning = "Drone photos are not stitched into a mosaic."
    cause = "The sensor RGB or MAPIR stands for a mosaic of drone photos."
    remedy_hint = "Stitch them first, or convert the photos as an image stack (sensor OTHER)."


class UnsafeSource(PermanentError):
    meaning = "The upload holds something that would lead outside its own folder."
    cause = "The upload holds something other than plain files and folders."
    remedy_hint = "Upload plain files only."


class UnsafeLink(UnsafeSource):
    meaning = "A link in the upload leads outside the dataset's own folder."
    cause = "A symbolic link, or a reference within a file, names a path outside the upload."


class SpecialFile(UnsafeSource):
    meaning = "The upload holds a device, pipe or socket instead of a file."
    cause = "A folder with pipes, sockets or devices was copied into the upload as it was."


class UnsafeArchive(UnsafeSource):
    meaning = "The archive cannot be unpacked safely."
    cause = (
        "The archive is encrypted, leads out of its folder, or unpacks to far more than its size."
    )
    remedy_hint = "Pack the plain files again, without links, absolute names or a password."


class InvalidOptions(PermanentError):
    meaning = "A parameter of the conversion is not valid."
    cause = "A parameter has an unknown value, or names something that the file does not hold."
    remedy_hint = "Correct the parameter: conversion_parameters of the dataset, or --param."


class VerificationFailed(PermanentError):
    meaning = "The converted data differ from the source; nothing was published."
    cause = "The disk, the memory of the host or a library failed without saying so."
    remedy_hint = "Report this together with conversion.log."


class ResourceLimit(PermanentError):
    meaning = "The conversion needs more memory or disk than this host allows."
    cause = "A single part of the file has to be decoded as a whole and is too large."
    remedy_hint = "Raise CONVERSION_MEMORY_LIMIT, or split the dataset."


class InternalError(PermanentError):
    meaning = "The conversion failed for a reason that is our fault."
    cause = "An error in this program that all attempts met."
    remedy_hint = "Report this together with conversion.log."


class TransientError(ConversionError):
    """The same input may succeed later. `counted` attempts are limited in number."""

    counted: ClassVar[bool] = False


class DatabaseUnavailable(TransientError):
    meaning = "MongoDB cannot be reached."
    cause = "The server is down or restarting, or the network to it is cut."
    remedy_hint = "Nothing to do: the service goes on when MongoDB is back."


class StorageUnavailable(TransientError):
    meaning = "The storage of the datasets cannot be read or written."
    cause = "The folder is not mounted, read-only, or belongs to another user."
    remedy_hint = "Check that the folder is mounted and writable for the service."


class OutOfSpace(TransientError):
    meaning = "The disk of the converted datasets is full."
    cause = "The disk or the quota of the converted datasets is used up."
    remedy_hint = "Free space; the conversion goes on by itself."


class HostBusy(TransientError):
    """It waits up to eight times as long: what runs now ends some time."""

    meaning = "No host has room for the conversion now."
    cause = "Other conversions hold the memory or the disk that it needs."
    remedy_hint = "Nothing to do: it starts when there is room."


class HostLost(TransientError):
    meaning = "The host that ran the conversion vanished."
    cause = "The host or its service was killed or cut off, so that its lease ran out."
    remedy_hint = "Nothing to do: another host goes on."


class OutOfMemory(TransientError):
    """Tried once more with a smaller plan, then it fails as `ResourceLimit`."""

    meaning = "The conversion ran out of memory."
    cause = "A library took more memory than the plan foresaw, or the host had less than it said."
    remedy_hint = "Nothing to do: it is tried once more with a smaller plan."


class SourceChanged(TransientError):
    counted = True
    meaning = "The files changed while they were being converted."
    cause = "Somebody added, removed or rewrote files after the dataset was queued."
    remedy_hint = "Wait until the upload is complete, then convert again."


class AttemptCrashed(TransientError):
    counted = True
    meaning = "The conversion crashed."
    cause = "A library crashed on the file, or somebody killed its process."
    remedy_hint = "If it happens again, the file is probably damaged: check it at its origin."


class AttemptTimedOut(TransientError):
    counted = True
    meaning = "The conversion made no progress for too long."
    cause = "The storage hangs, or a library loops on a damaged file."
    remedy_hint = "Raise CONVERSION_TIMEOUT if the storage is slow."


class UnexpectedError(TransientError):
    """A bug: kept with its traceback, retried up to the limit, then `InternalError`."""

    counted = True
    meaning = "Something unexpected went wrong."
    cause = "An error in this program."


class DeploymentError(ConversionError):
    """The installation is at fault, not the dataset."""


class BadSettings(DeploymentError):
    meaning = "A setting has a value that cannot be used."
    cause = "A variable or a key of the settings file is misspelt or out of range."
    remedy_hint = "Correct the variable and start again."


class MissingLibrary(DeploymentError):
    meaning = "A library that this format needs is not installed."
    cause = "The package was installed without one of its dependencies."
    remedy_hint = "Install the complete package on this host."


class Stopped(Exception):
    """The conversion was told to stop: not an error of anybody."""


def catalogue(root: type[ConversionError] = ConversionError) -> Iterator[type[ConversionError]]:
    """Every class of the tree, depth first, in the order of definition."""
    for cls in root.__subclasses__():
        yield cls
        yield from catalogue(cls)


def error_from_dict(value: dict[str, str]) -> ConversionError:
    """The error that `ConversionError.to_dict` described, for instance in another process.

    An unknown code becomes `UnexpectedError`.
    """
    classes = {cls.__name__: cls for cls in catalogue()}
    cls = classes.get(value.get("code", ""), UnexpectedError)
    return cls(value.get("message", ""), remedy=value.get("remedy"))
