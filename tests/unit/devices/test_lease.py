"""Leases between real processes, and the shares of cores."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.devices import lease
from pytest_sdbatch.errors import DeviceError, DeviceInUse

HOLD = """
import sys, time
from pathlib import Path
from pytest_sdbatch.devices import lease

held = lease.take(sys.argv[2:], wait_s=0, folder=Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds gpu-a until it is killed."""
    command = [sys.executable, "-c", HOLD, str(tmp_path), "gpu-a"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_told_who_holds_it(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """What another process holds cannot be taken; the error names that process and what to do."""
    with pytest.raises(DeviceError) as caught:
        lease.take(["gpu-a"], wait_s=0, folder=tmp_path)

    assert f"gpu-a is in use by another benchmark (process {holder.pid})" in str(caught.value)
    assert "sd_lease_seconds" in caught.value.fix


def test_a_killed_process_leaves_its_lease(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    """Whoever waits gets the lease when its holder is killed, and was told once that it waits."""
    told: list[str] = []

    def kill(said: str) -> None:
        told.append(said)
        holder.send_signal(signal.SIGTERM)
        holder.wait()

    lease.take(["gpu-a"], wait_s=60, on_wait=kill, folder=tmp_path).give_back()

    assert told == [f"waiting for gpu-a, in use by another benchmark (process {holder.pid})"]


@pytest.mark.usefixtures("holder")
def test_all_or_none_is_taken(tmp_path: Path) -> None:
    """Where one of several is not to be had, those before it are free again."""
    with pytest.raises(DeviceError):
        lease.take(["cpu-0", "gpu-a"], wait_s=0, folder=tmp_path)

    take = HOLD.replace("time.sleep(60)", "")
    command = [sys.executable, "-c", take, str(tmp_path), "cpu-0"]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.stdout == "held\n"


def test_what_was_given_back_can_be_taken(tmp_path: Path) -> None:
    """A lease that was given back is free, in this process and for others."""
    lease.take(["gpu-a"], wait_s=0, folder=tmp_path).give_back()

    assert lease.take(["gpu-a"], wait_s=0, folder=tmp_path).names == ("gpu-a",)


@given(cores=st.sets(st.integers(0, 255), min_size=1, max_size=64), of=st.integers(1, 80))
def test_shares_are_disjoint_and_whole(cores: set[int], of: int) -> None:
    """Every core is in one share, shares differ by at most one core, and there are no more of them than cores."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _process: cores, raising=False)
        shares = lease.core_sets(of)

    assert sorted(core for share in shares for core in share) == sorted(cores)
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 1
    assert len(shares) == min(of, len(cores))


@pytest.mark.parametrize(("quota", "shares"), [(None, 4), (8.0, 4), (2.5, 2), (0.5, 1)])
def test_no_more_workers_time_at_once_than_there_is_time_for(
    quota: float | None, shares: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control group that grants two and a half cores of eight has two workers at work, each on half the cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: set(range(8)), raising=False)

    sets = lease.core_sets(4, quota=quota)

    assert len(sets) == shares
    assert sorted(core for share in sets for core in share) == list(range(8))


def test_without_affinity_the_cores_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """MacOS and Windows do not tell the cores of a process: all of the machine's are shared out."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)

    assert lease.core_sets(2) == [(0, 1), (2, 3)]


@pytest.mark.usefixtures("holder")
def test_of_several_choices_the_free_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who would do with either does not wait for the first while the second is free; with none free it says so."""
    monkeypatch.setattr(lease, "private_folder", lambda: tmp_path)

    with_second = lease.take_any([["gpu-a"], ["gpu-b"]], wait_s=60)
    assert with_second.names == ("gpu-b",)
    with pytest.raises(DeviceInUse, match="gpu-a is in use"):
        lease.take_any([["gpu-a"], ["cpu-0", "gpu-a"]], wait_s=0)


def test_a_place_that_keeps_no_locks_is_an_error_with_what_to_do(tmp_path: Path) -> None:
    """A full disk, a folder that went away, a file system without locks: one error, and what was taken is free."""
    (tmp_path / "gpu-a.lock").mkdir()

    with pytest.raises(DeviceError, match="no lease of cpu-0, gpu-a can be kept") as caught:
        lease.take(["cpu-0", "gpu-a"], wait_s=0, folder=tmp_path)

    assert lease.PLACE in caught.value.fix
    lease.take(["cpu-0"], wait_s=0, folder=tmp_path).give_back()


def test_a_folder_that_cannot_be_made_is_an_error_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that can write nowhere, a variable that is mistyped."""
    monkeypatch.setenv(lease.PLACE, str(tmp_path / "missing" / "leases"))

    with pytest.raises(DeviceError, match="no lease of gpu-a can be kept") as caught:
        lease.take(["gpu-a"], wait_s=0)

    assert lease.PLACE in caught.value.fix
    assert lease.take([], wait_s=0).names == (), "nothing has to be kept for it"


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system keeps no process on chosen cores")
def test_a_process_stays_on_its_cores() -> None:
    """All threads of the process stay on the cores of its share, and torch, if it is wanted, starts as many threads."""
    code = (
        "import os, sys, threading, time\n"
        "from pytest_sdbatch.devices import lease\n"
        "early = threading.Thread(target=time.sleep, args=(60,), daemon=True); early.start()\n"
        "(core, *_) = sorted(os.sched_getaffinity(0))\n"
        "lease.stay_on((core,), threads=False)\n"
        "assert 'torch' not in sys.modules\n"
        "lease.stay_on((core,), threads=True)\n"
        "import torch\n"
        "print(os.sched_getaffinity(0) == os.sched_getaffinity(early.native_id) == {core}, torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "True 1\n"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="who owns a folder is told otherwise here")
@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("link", "it is a link or a file"),
        ("file", "it is a link or a file"),
        ("open to all", "other users may look into it or write there"),
        ("open to look at", "other users may look into it or write there"),
        ("another's", "it belongs to another user (number "),
    ],
)
def test_a_folder_that_is_not_this_users_alone_is_refused(
    kind: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases in a place that another user prepared would let him stop every run; what is wrong with it is said."""
    folder = tmp_path / "leases"
    monkeypatch.setenv(lease.PLACE, str(folder))
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod({"open to all": 0o777, "open to look at": 0o755}.get(kind, 0o700))
    if kind == "another's":
        owner = folder.stat().st_uid
        monkeypatch.setattr(os, "getuid", lambda: owner + 1)

    with pytest.raises(DeviceError, match="cannot hold the leases") as caught:
        lease.private_folder()

    assert (caught.value.why or "").startswith(why)


def test_the_private_folder_is_made_for_its_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is made once, and nobody else may look into it."""
    monkeypatch.setenv(lease.PLACE, str(tmp_path / "leases"))

    folder = lease.private_folder()

    assert folder == lease.private_folder()
    assert os.name == "nt" or folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="there the system's folder is the user's own")
def test_jobs_with_temporary_folders_of_their_own_share_the_leases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batch systems set TMPDIR for each job; the usual place of the leases does not follow it."""
    monkeypatch.delenv(lease.PLACE)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "job"))
    monkeypatch.setattr(lease, "_TEMPORARY", str(tmp_path))

    assert lease.private_folder() == tmp_path / f"pytest-sdbatch-{os.getuid()}"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "another job"))
    assert lease.private_folder() == tmp_path / f"pytest-sdbatch-{os.getuid()}"


def test_who_is_present_is_seen_by_others_until_he_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only others, whoever was killed no more, and no file is left of him."""
    monkeypatch.setenv(lease.PLACE, str(tmp_path / "leases"))
    here = "import time; from pytest_sdbatch.devices import lease; held = lease.be_present(); print('here', flush=True)"
    command = [sys.executable, "-c", here + "; time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        mine = lease.be_present()
        assert lease.others_present() == (process.pid,)
        process.kill()
    assert lease.others_present() == ()
    mine.give_back()
    assert [path.stem for path in (tmp_path / "leases").iterdir() if str(process.pid) in path.name] == []
