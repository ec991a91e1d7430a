"""What a driver tells of a GPU, as values: who it is, its memory, the processes on it. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_sdbatch.records import Reading

WHOLE_GPU = "none"  # the MIG profile of a GPU that is not split: a known fact, unlike None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A fact in words, or the reason why it is not known: what Reading is for figures."""

    value: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuIdentity:
    """Which GPU, or which instance of a GPU that is split by MIG."""

    name: Text
    uuid: Text
    mig_profile: Text  # "1g.10gb", or "none" for a whole GPU


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMemory:
    """Memory of the GPU as the driver counts it, bytes; *used* holds all processes and the driver's own part."""

    total_bytes: Reading
    used_bytes: Reading
    free_bytes: Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process with a compute context on the GPU. In a container the number is the host's, not ours."""

    pid: int
    used_bytes: int | None  # None: the driver does not tell (containers, Windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessList:
    """The processes with a compute context; programs that only draw are not among them."""

    processes: tuple[GpuProcess, ...] = ()
    reason: str | None = None  # why the list is not known; None where it is

    def of(self, pid: int | None) -> GpuProcess | None:
        """Return the process with this number."""
        return next((process for process in self.processes if process.pid == pid), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Xids:
    """Numbers of the driver's critical errors, oldest first. Empty without a reason: none happened."""

    numbers: tuple[int, ...] = ()
    reason: str | None = None  # why they are not known, or not all of them
