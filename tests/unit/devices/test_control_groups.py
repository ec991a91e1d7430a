"""Limits of control groups, read from folders as the kernel lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_sdbatch.devices import host
from pytest_sdbatch.devices.control_groups import cpu_quota_cores, unified_folders


def quota(folder: Path, membership: str, **files: str) -> float | None:
    """Return what is granted to a process of the groups *membership*; names of files have ``__`` for each slash."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "cgroup").write_text(membership, encoding="utf-8")
    for name, text in files.items():
        path = folder / "groups" / name.replace("__", "/").replace("cpu_", "cpu.")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return cpu_quota_cores(proc=folder / "proc", cgroups=folder / "groups")


@pytest.mark.parametrize(
    ("text", "granted"),
    [
        ("150000 100000\n", 1.5),
        ("50000 100000\n", 0.5),
        ("400000 200000\n", 2.0),
        ("max 100000\n", None),
        ("", None),
        ("100000\n", None),
        ("a b\n", None),
        ("100000 0\n", None),
        ("-1 100000\n", None),
    ],
)
def test_version_2_grants_time_in_a_period(text: str, granted: float | None, tmp_path: Path) -> None:
    """Microseconds of all cores together; "max" is no limit, and what cannot be read is none either."""
    assert quota(tmp_path, "0::/jobs/one\n", jobs__one__cpu_max=text) == granted


@pytest.mark.parametrize(
    ("granted_us", "period_us", "granted"),
    [("250000\n", "100000\n", 2.5), ("-1\n", "100000\n", None), ("1\n", "", None)],
)
@pytest.mark.parametrize("mount", ["cpu", "cpu,cpuacct"])
def test_version_1_has_a_file_for_each_number(
    mount: str, granted_us: str, period_us: str, granted: float | None, tmp_path: Path
) -> None:
    """In the tree of its controller, alone or with another one; -1 is no limit."""
    files = {f"{mount}__docker__a__cpu_cfs_quota_us": granted_us, f"{mount}__docker__a__cpu_cfs_period_us": period_us}

    assert quota(tmp_path, f"9:memory:/x\n4:{mount}:/docker/a\n0::/\n", **files) == granted


def test_the_least_of_a_group_and_those_above_it_holds(tmp_path: Path) -> None:
    """A slice of two cores grants no job in it three."""
    files = {"jobs__cpu_max": "200000 100000", "jobs__one__cpu_max": "300000 100000", "cpu_max": "max 100000"}

    assert quota(tmp_path, "0::/jobs/one\n", **files) == 2.0


def test_a_container_finds_its_own_group_at_the_root(tmp_path: Path) -> None:
    """Without a name space of its own it is told the machine's path, which is not mounted inside."""
    assert quota(tmp_path, "0::/system.slice/docker-1.scope\n", cpu_max="100000 100000") == 1.0


@pytest.mark.parametrize("membership", ["", "0::/../..\n", "nonsense\n", "1:name=systemd:/\n"])
def test_where_there_is_no_limit_nothing_is_granted(membership: str, tmp_path: Path) -> None:
    """Paths that lead out of the mount, and lines that are none, are no error."""
    assert quota(tmp_path, membership) is None


def test_without_control_groups_nothing_is_limited(tmp_path: Path) -> None:
    """Windows and macOS have none."""
    assert cpu_quota_cores(proc=tmp_path, cgroups=tmp_path) is None
    assert unified_folders(proc=tmp_path, cgroups=tmp_path) == []


@pytest.mark.parametrize(("granted", "cores"), [(None, 4), (8.0, 4), (2.9, 2), (0.5, 1)])
def test_cores_that_are_granted_are_whole_ones(
    granted: float | None, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At least one, at most those that the process may run on; their number itself is another fact."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(host, "cpu_quota_cores", lambda: granted)

    assert (host.granted_cores(), host.cpu_cores()) == (cores, 4)
