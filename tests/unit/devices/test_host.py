"""Memory of the process, read from a real and from a broken /proc."""

from __future__ import annotations

import gc
import mmap
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_sdbatch.devices.host import HostMemory, cpu_cores, cpu_model, drivers_spill, return_free_heap

MIB = 1 << 20
on_linux = pytest.mark.skipif(platform.system() != "Linux", reason="the figure exists on Linux only")


def make_proc(folder: Path, **files: str) -> Path:
    """Return a /proc whose own process has *files*."""
    own = folder / "proc" / "self"
    own.mkdir(parents=True)
    for name, text in files.items():
        (own / name).write_text(text, encoding="utf-8")
    return folder / "proc"


@on_linux
def test_the_address_space_and_its_limit_are_told() -> None:
    """What is mapped and never touched counts; a limit is seen by the process that has it."""
    import resource

    before = HostMemory().address_space()
    block = mmap.mmap(-1, 64 * MIB)
    during = HostMemory().address_space()
    block.close()
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))\n"
        "from pytest_sdbatch.devices.host import HostMemory; print(HostMemory().address_space().limit.value)"
    )
    limited = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert before.used.value is not None
    assert during.used.value is not None
    assert during.used.value - before.used.value >= 64 * MIB
    assert (during.peak.value or 0) >= during.used.value
    assert int(limited.stdout) == 2**33
    if resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY:
        assert before.limit.reason == "not limited"


@on_linux
def test_the_peak_covers_what_was_freed_again_and_is_forgotten_on_reset() -> None:
    """64 MiB that were touched and freed are in the peak until it is reset."""
    memory = HostMemory()
    gc.collect()
    memory.reset_peak()
    before = memory.peak().value
    block = bytearray(64 * MIB)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    del block
    with_block = memory.peak().value
    memory.reset_peak()
    after = memory.peak().value

    assert before is not None
    assert with_block is not None
    assert after is not None
    assert with_block - before > 60 * MIB
    assert with_block - after > 60 * MIB


def test_without_proc_the_peak_is_unknown_with_the_reason(tmp_path: Path) -> None:
    """On Windows and macOS there is no /proc: the peak is None and says which file is missing."""
    memory = HostMemory(proc=tmp_path / "nothing")
    memory.reset_peak()

    assert memory.peak().value is None
    assert "clear_refs" in (memory.peak().reason or "")


def test_a_missing_reset_file_is_not_created(tmp_path: Path) -> None:
    """A /proc that hides clear_refs gives a reason, and nothing is written there."""
    proc = make_proc(tmp_path, status="VmHWM:\t  100 kB\n")
    memory = HostMemory(proc=proc)
    memory.reset_peak()

    assert memory.peak().value is None
    assert not (proc / "self" / "clear_refs").exists()


def test_a_reset_that_is_not_permitted_is_told(tmp_path: Path) -> None:
    """Where clear_refs cannot be opened for writing the peak of the whole life is not passed off as a round's."""
    proc = make_proc(tmp_path, status="VmHWM:\t  100 kB\n")
    (proc / "self" / "clear_refs").mkdir()  # opening it for writing fails for root too
    memory = HostMemory(proc=proc)
    memory.reset_peak()

    assert memory.peak().value is None
    assert "cannot be reset" in (memory.peak().reason or "")


def test_a_peak_is_never_older_than_who_asks(tmp_path: Path) -> None:
    """A high-water mark of unknown age is not reported: it is reset before the first reading."""
    proc = make_proc(tmp_path, status="VmHWM:\t  100 kB\n", clear_refs="")

    assert HostMemory(proc=proc).peak().value == 102_400
    assert (proc / "self" / "clear_refs").read_text() == "5"


@pytest.mark.parametrize("status", ["VmRSS:\t 7 kB\n", "VmHWM:\n", "VmHWM:\t 12 pages\n", ""])
def test_a_status_without_a_readable_peak_gives_a_reason(tmp_path: Path, status: str) -> None:
    """Sandboxes leave VmHWM out; the reason names the file."""
    memory = HostMemory(proc=make_proc(tmp_path, status=status, clear_refs=""))
    memory.reset_peak()

    assert memory.peak().value is None
    assert "VmHWM" in (memory.peak().reason or "")


def test_the_peak_is_in_bytes(tmp_path: Path) -> None:
    """The kernel's kB are 1024 bytes."""
    memory = HostMemory(proc=make_proc(tmp_path, status="Name:\tpython\nVmHWM:\t  100 kB\n", clear_refs=""))
    memory.reset_peak()

    assert memory.peak().value == 102_400


def test_available_memory_is_limited_by_the_control_group(tmp_path: Path) -> None:
    """In a container with 100 MiB of which 40 are used, 10 of them droppable file pages, 70 are left."""
    group = tmp_path / "groups" / "jobs" / "one"
    group.mkdir(parents=True)
    (group / "memory.max").write_text(f"{100 * MIB}\n")
    (group / "memory.current").write_text(f"{40 * MIB}\n")
    (group / "memory.stat").write_text(f"anon 5\ninactive_file {10 * MIB}\n")
    (group.parent / "memory.max").write_text("max\n")
    proc = make_proc(tmp_path, cgroup="0::/jobs/one\n")

    assert HostMemory(proc=proc, cgroups=tmp_path / "groups").available().value == 70 * MIB


def test_available_memory_is_the_machines_where_no_group_limits_it(tmp_path: Path) -> None:
    """Without a control group, or with version 1, the machine's figure stands."""
    import psutil

    for text in ("4:memory:/old\n", "0::/\n"):
        folder = tmp_path / text[0]
        memory = HostMemory(proc=make_proc(folder, cgroup=text), cgroups=folder / "groups")

        assert 0 < (memory.available().value or 0) <= psutil.virtual_memory().total
        assert memory.resident().value or MIB < 0


def test_freeing_the_heap_works_or_does_nothing() -> None:
    """Every platform takes the call."""
    return_free_heap()


def test_the_cpus_name_is_read_where_it_is_told(tmp_path: Path) -> None:
    """An x86 cpuinfo has a model name; without one the architecture stands in."""
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some   CPU 9\n")

    assert cpu_model(proc=tmp_path) == "Some CPU 9"
    assert cpu_model(proc=tmp_path / "nothing") in (platform.processor(), platform.machine(), None)


def test_cores_are_those_this_process_may_use() -> None:
    """Affinity counts, not the machine."""
    cores = cpu_cores()

    assert cores is not None
    assert cores >= 1


@pytest.mark.parametrize(
    ("system", "release", "spill"),
    [
        ("Windows", "11", True),
        ("Linux", "5.15.167.4-microsoft-standard-WSL2", True),
        ("Linux", "6.8.0-45-generic", False),
        ("Darwin", "24.1.0", False),
    ],
)
def test_drivers_spill_on_windows_and_under_wsl(system: str, release: str, spill: bool) -> None:
    """Elsewhere an allocation that does not fit fails."""
    assert drivers_spill(system=system, release=release) is spill
