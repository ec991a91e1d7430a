"""The control groups that this process is in: where their limits lie, and the CPU time that they grant.

Containers and batch systems limit a process in this way, and leave it all cores of the machine to run on. Linux alone
has them, in two versions; where there are none nothing is limited.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
_CPU_MOUNTS = ("cpu", "cpu,cpuacct", "cpuacct,cpu")  # version 1 has a tree for each controller, or for several


def unified_folders(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> list[Path]:
    """Return the folders of version 2, from the group of this process to the root, which is a container's own group."""
    own = next((path for controllers, path in _memberships(proc) if not controllers), None)
    return [] if own is None else _up_from(cgroups, own)


def cpu_quota_cores(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> float | None:
    """Return the cores' worth of CPU time that this process may use, 1.5 of them, say; None: as much as there is.

    Each group grants its members as much together, and the least of a group and those above it holds.

    Args:
        proc: where the kernel's process files are mounted.
        cgroups: where the control groups are mounted.

    """
    found = [_unified_quota(folder) for folder in unified_folders(proc=proc, cgroups=cgroups)]
    for controllers, path in _memberships(proc):
        if "cpu" in controllers:
            folders = [folder for mount in _CPU_MOUNTS for folder in _up_from(cgroups / mount, path)]
            found += [_legacy_quota(folder) for folder in folders]
    return min((quota for quota in found if quota is not None), default=None)


def _memberships(proc: Path) -> Iterator[tuple[list[str], str]]:
    """Yield controllers (none: version 2) and path of each group that this process is in."""
    try:
        lines = (proc / "self" / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path.startswith("/"):
            yield [name for name in controllers.split(",") if name], path.removeprefix("/")


def _up_from(root: Path, path: str) -> list[Path]:
    group = root / path
    return [group, *(parent for parent in group.parents if parent.is_relative_to(root))]


def _unified_quota(folder: Path) -> float | None:
    try:
        granted, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None  # the root of the machine has none, and a hardened container hides it
    return None if granted == "max" else _cores(granted, period)


def _legacy_quota(folder: Path) -> float | None:
    try:
        granted, period = ((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii") for name in ("quota", "period"))
    except (OSError, ValueError):
        return None
    return _cores(granted, period)  # -1 for no limit


def _cores(granted_us: str, period_us: str) -> float | None:
    try:
        granted, period = int(granted_us), int(period_us)
    except ValueError:
        return None
    return granted / period if granted > 0 and period > 0 else None
