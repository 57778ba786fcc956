"""Folders of unpacked archives: free names, and where the data really are."""

from __future__ import annotations

from pathlib import Path


def unused(path: Path) -> Path:
    """`path`, or with a number behind it where something has that name already."""
    for number in range(2, 1000):
        if not path.exists():
            return path
        path = path.with_name(f"{path.name}-{number}")
    return path


def is_inside_zarr(path: Path, root: Path) -> bool:
    """Chunks of Zarr arrays may look like compressed files; they are none of ours."""
    folders = [folder for folder in path.parents if folder.is_relative_to(root)]
    return any(_is_zarr(folder) for folder in folders)


def _is_zarr(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (".zgroup", ".zarray", "zarr.json"))


def inner_folder(folder: Path) -> Path:
    """The folder in which everything lies: `folder`, or the only one inside it, and so on."""
    while True:
        entries = list(folder.iterdir())
        if len(entries) != 1 or not entries[0].is_dir() or _is_zarr(entries[0]):
            return folder
        folder = entries[0]
