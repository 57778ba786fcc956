"""HDF5, NetCDF-4 and NeXus files that refer to what is not theirs."""

from __future__ import annotations

from collections.abc import Callable

import h5py
import numpy as np
import pytest

from tests.security.victim import Victim

OUTSIDE = ["../other/secret.raw", "{root}/upload/other/secret.raw", "/etc/passwd"]
NAMES = ["a.h5", "a.nc", "a.nxs", "a.mat"]


def external_link(file: h5py.File, target: str) -> None:
    file["data"] = h5py.ExternalLink(target, "/data")


def external_storage(file: h5py.File, target: str) -> None:
    file.create_dataset("data", (10, 10), "u1", external=[(target, 0, 100)])


def virtual(file: h5py.File, target: str) -> None:
    layout = h5py.VirtualLayout((10, 10), "u1")
    layout[...] = h5py.VirtualSource(target, "data", (10, 10))
    file.create_virtual_dataset("data", layout, fillvalue=0)


@pytest.mark.parametrize("refer", [external_link, external_storage, virtual])
@pytest.mark.parametrize("target", OUTSIDE)
@pytest.mark.parametrize("name", NAMES)
def test_references_that_lead_out(
    refer: Callable[[h5py.File, str], None], target: str, name: str, victim: Victim
) -> None:
    target = target.format(root=victim.root)
    if refer is not external_storage and "secret" in target:
        with h5py.File(victim.secret, "w") as secret:
            secret["data"] = np.full((10, 10), 7, "u1")
    with h5py.File(victim.upload / name, "w", libver="latest") as file:
        refer(file, target)
    code, message = victim.refusal()
    assert code == "UnsafeLink", message


@pytest.mark.parametrize("refer", [external_link, external_storage, virtual])
def test_references_by_a_link_that_leads_out(
    refer: Callable[[h5py.File, str], None], victim: Victim
) -> None:
    (victim.upload / "b.h5").symlink_to(victim.secret)
    with h5py.File(victim.upload / "a.h5", "w") as file:
        refer(file, "b.h5")
    assert victim.refusal()[0] == "UnsafeLink"


def test_a_second_dataset_beside_a_good_one(victim: Victim) -> None:
    """The good one may be shown; the other one is never opened."""
    with h5py.File(victim.upload / "a.h5", "w") as file:
        file["image"] = np.arange(400, dtype="u2").reshape(20, 20)
        external_storage(file, str(victim.secret))
    last = victim.convert()
    assert "done" in last or last["failed"]["code"] == "UnsafeLink"


def test_links_in_circles(victim: Victim) -> None:
    with h5py.File(victim.upload / "a.h5", "w") as file:
        for name, other in (("a", "b"), ("b", "a")):
            file[name] = h5py.SoftLink(f"/{other}")
        file["group/up"] = h5py.SoftLink("/group")
        file["group/again"] = file["group"]
        file["group/outside"] = h5py.ExternalLink("a.h5", "/group")
        file["virtual"] = h5py.SoftLink("/group/up/up/up/again/virtual")
    code, _ = victim.refusal()
    assert code in {"UnrecognizedFormat", "UnsupportedLayout", "CorruptSource"}


def test_a_virtual_dataset_of_itself(victim: Victim) -> None:
    layout = h5py.VirtualLayout((4, 4), "f8")
    layout[...] = h5py.VirtualSource(".", "data", (4, 4))
    with h5py.File(victim.upload / "a.h5", "w", libver="latest") as file:
        file.create_virtual_dataset("data", layout, fillvalue=0)
    last = victim.convert()
    assert "failed" in last
    assert last["failed"]["code"] != "UnexpectedError"
