"""NVIDIA's management library (NVML): what the driver knows of a GPU. The only file that imports ``pynvml``.

No call raises: a figure is a value, or None with the reason in words. A GPU that cannot be reached at all, or that was
lost on the way, is an object like any other whose figures are all None, see :attr:`NvmlGpu.unavailable`.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Mapping
from typing import Any

from pytest_sdbatch.devices.counters import SW_POWER_CAP_FIELD, Boundary, slowdown_fields
from pytest_sdbatch.devices.gpu import WHOLE_GPU, GpuIdentity, GpuMemory, GpuProcess, ProcessList, Text, Xids
from pytest_sdbatch.devices.process_memory import Footing, OwnRow, Probe, ProcessMemory, find_own, memory_of
from pytest_sdbatch.records import Fact, Reading

# Return codes of nvml.h. 3 and 4 are daily life: consumer cards, integrated GPUs, containers and MIG.
_SUCCESS, _NOT_SUPPORTED, _TIMEOUT, _GPU_IS_LOST = 0, 3, 10, 15
_WORDS = {
    1: "NVML was not started",
    2: "NVML does not take the request for this GPU",
    _NOT_SUPPORTED: "this GPU or its driver does not offer it",
    4: "no permission: in a container, or on a GPU that is split by MIG, only the administrator may ask",
    6: "NVML knows no such GPU",
    9: "the NVIDIA driver is not loaded",
    12: "there is no NVML library here: no NVIDIA driver is installed, or it is hidden from this process",
    13: "the driver's NVML library does not have the function",
    _GPU_IS_LOST: "the GPU is lost: it fell off the bus or does not answer any more",
    16: "the GPU must be reset",
    17: "the operating system blocked the request",
    18: "the NVML library and the loaded driver are of different versions: restart the machine or reload the driver",
    20: "out of memory",
    999: "the driver does not say why",
}
# Where the union of a field's value holds a counter, by nvmlValueType_t: unsigned int, long, long long.
_COUNTERS = {1: "uiVal", 2: "ulVal", 3: "ullVal"}
_SM_CLOCK, _GPU_SENSOR, _UNCORRECTED, _SINCE_LOAD, _XID_EVENTS = 1, 0, 1, 0, 8
# A burst of errors must not make a boundary long; what is left comes with the next one.
_MOST_XIDS = 4


class _NoAnswer(Exception):
    """NVML did not give the figure; the reason in words."""

    def __init__(self, reason: str, *, code: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


def _words(code: int) -> str:
    return f"{_WORDS.get(code, 'NVML error')} (NVML code {code})"


def _call(name: str, *arguments: Any) -> Any:
    """Call a function of pynvml.

    Raises:
        _NoAnswer: for whatever went wrong.

    """
    import pynvml

    try:
        return getattr(pynvml, name)(*arguments)
    except pynvml.NVMLError as error:
        raise _NoAnswer(_words(error.value), code=error.value) from error
    except (pynvml.NVMLLibraryMismatchError, AttributeError) as error:
        raise _NoAnswer(f"pynvml and the driver's NVML library do not match: one of them lacks {name}") from error
    except (OSError, ValueError) as error:  # a library that is damaged, a text that is no UTF-8
        raise _NoAnswer(f"{name} failed: {error}") from error


@functools.cache
def _start() -> str | None:
    """Start NVML, once in a process; return why it cannot be. It is never stopped: the process's end does that."""
    try:
        with warnings.catch_warnings():
            # The deprecated distribution called pynvml warns here, and a warning may be an error in a user's tests.
            warnings.simplefilter("ignore")
            import pynvml  # noqa: F401
    except ImportError as error:
        return f"pynvml cannot be imported: {error}"
    try:
        _call("nvmlInit")
    except _NoAnswer as no:
        return no.reason
    return None


def open_gpu(*, uuid: str | None = None, pci_bus_id: str | None = None) -> NvmlGpu:
    """Return the GPU with this identity. An index would not do: CUDA counts another way than the driver.

    Args:
        uuid: of a GPU or a MIG instance, with its prefix (``GPU-``, ``MIG-``) or, as torch tells it, without.
        pci_bus_id: ``domain:bus:device.function`` in hexadecimal; taken where the UUID leads to no GPU.

    """
    reason = _start()
    if reason is not None:
        return NvmlGpu(None, unavailable=reason)
    attempts = []
    if uuid is not None:
        prefixes = ("",) if uuid.startswith(("GPU-", "MIG-")) else ("GPU-", "MIG-")
        attempts += [("nvmlDeviceGetHandleByUUID", prefix + uuid) for prefix in prefixes]
    if pci_bus_id is not None:
        attempts.append(("nvmlDeviceGetHandleByPciBusId", pci_bus_id))
    reason = "neither a UUID nor a PCI bus id is known of it"
    for name, identity in attempts:
        try:
            return NvmlGpu(_call(name, identity))
        except _NoAnswer as no:
            reason = no.reason
    return NvmlGpu(None, unavailable=reason)


class NvmlGpu:
    """A GPU, or a MIG instance, as the driver sees it. Made by :func:`open_gpu`.

    Of an instance, memory and processes are its own; temperature, clocks, power, counters and errors are the board's.
    Every method may be called from any thread, but :meth:`read_boundary`: it belongs to the one that measures.

    Args:
        handle: NVML's; None where there is none.
        unavailable: why there is none.

    """

    def __init__(self, handle: Any, *, unavailable: str | None = None) -> None:
        self._handle = handle
        self._unavailable = unavailable
        self._lost = False
        self._no_board: str | None = None
        self._board: Any = handle
        self._events: Any = None
        self._no_events: str | None = None
        self._is_mig = handle is not None and self._is_instance()
        if self._is_mig:
            try:
                self._board = self._ask("nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle)
            except _NoAnswer as no:
                self._no_board = f"the GPU of this MIG instance cannot be reached: {no.reason}"

    @property
    def unavailable(self) -> str | None:
        """Why no figure can be read, from the start or since the GPU was lost; None while some can."""
        return self._unavailable

    @property
    def lost(self) -> bool:
        """Whether the GPU was there and was lost: whoever uses it should stop."""
        return self._lost

    def identity(self) -> GpuIdentity:
        """Return who this is."""
        name = self._text("nvmlDeviceGetName", self._handle)
        return GpuIdentity(
            name=name,
            uuid=self._text("nvmlDeviceGetUUID", self._handle),
            mig_profile=self._mig_profile(name),
        )

    def driver_version(self) -> Text:
        """Return the driver's version: ``580.126.09``."""
        return self._text("nvmlSystemGetDriverVersion")

    def memory(self) -> GpuMemory:
        """Return the memory in use now, of all processes. One call of some microseconds, made for a sampling thread."""
        try:
            told = self._ask("nvmlDeviceGetMemoryInfo", self._handle)
        except _NoAnswer as no:
            unknown = Reading(reason=no.reason)
            return GpuMemory(total_bytes=unknown, used_bytes=unknown, free_bytes=unknown)
        return GpuMemory(
            total_bytes=Reading(value=int(told.total)),
            used_bytes=Reading(value=int(told.used)),
            free_bytes=Reading(value=int(told.free)),
        )

    def processes(self) -> ProcessList:
        """Return the processes with a compute context. Takes milliseconds and the driver's lock: not while timing."""
        try:
            told = self._ask("nvmlDeviceGetComputeRunningProcesses", self._handle)
        except _NoAnswer as no:
            return ProcessList(reason=no.reason)
        return ProcessList(processes=tuple(GpuProcess(pid=int(p.pid), used_bytes=p.usedGpuMemory) for p in told))

    def footing(self) -> Footing:
        """Return what is on the GPU; to be called before this process starts CUDA."""
        return Footing(processes=self.processes(), memory=self.memory())

    def find_own(self, before: Footing | None, *, probe: Probe | None = None) -> OwnRow:
        """Find this process among those on the GPU, after CUDA started. See :mod:`~.devices.process_memory`."""
        return find_own(os.getpid(), before, self.processes, probe=probe)

    def process_memory(self, own: OwnRow) -> ProcessMemory:
        """Return what this process holds now. Lists the processes: not while timing."""
        return memory_of(own, self.processes(), self.memory())

    def sm_clock_max_mhz(self) -> Reading:
        """Return the highest clock of the multiprocessors."""
        return self._board_reading("nvmlDeviceGetMaxClockInfo", _SM_CLOCK)

    def power_limit_watts(self) -> Reading:
        """Return the limit that is enforced: the lowest of those that anyone set."""
        return self._watts("nvmlDeviceGetEnforcedPowerLimit")

    def power_limit_default_watts(self) -> Reading:
        """Return the limit that the GPU comes with."""
        return self._watts("nvmlDeviceGetPowerManagementDefaultLimit")

    def energy_millijoules(self) -> Reading:
        """Return the energy taken since the driver was loaded; it is the whole GPU's, so an instance has none."""
        if self._is_mig and self._unavailable is None:
            return Reading(reason="the energy counter is the whole GPU's, and this is a MIG instance of it")
        return self._board_reading("nvmlDeviceGetTotalEnergyConsumption")

    def read_boundary(self) -> Boundary:
        """Return what is read before and after a round: about 6 calls, at most 12 (the first starts to watch XIDs)."""
        cap, *slowdown = self._clock_events()
        return Boundary(
            energy_millijoules=self.energy_millijoules(),
            sw_power_cap_ns=cap,
            sw_thermal_ns=slowdown[0],
            hw_thermal_ns=slowdown[1],
            hw_power_brake_ns=slowdown[2],
            temperature_celsius=self._board_reading("nvmlDeviceGetTemperature", _GPU_SENSOR),
            sm_clock_mhz=self._board_reading("nvmlDeviceGetClockInfo", _SM_CLOCK),
            ecc_uncorrected=self._board_reading("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _SINCE_LOAD),
            xids=self._xids(),
        )

    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return what the driver adds to a device's facts, in the shape of :meth:`Device.facts`."""
        told: dict[str, dict[str, Reading | Text]] = {
            "must_match": {"mig_profile": self.identity().mig_profile, "power_limit_watts": self.power_limit_watts()},
            "drift": {"gpu_driver": self.driver_version()},
            "shown": {
                "power_limit_default_watts": self.power_limit_default_watts(),
                "sm_clock_max_mhz": self.sm_clock_max_mhz(),
            },
        }
        facts: dict[str, dict[str, Fact]] = {
            kind: {key: figure.value for key, figure in figures.items()} for kind, figures in told.items()
        }
        flat = {key: figure for figures in told.values() for key, figure in figures.items()}
        facts["unknown"] = {key: figure.reason for key, figure in flat.items() if figure.value is None}
        return facts

    def _ask(self, name: str, *arguments: Any) -> Any:
        """Call NVML, unless the GPU is gone, and notice when it goes."""
        if self._unavailable is not None:
            raise _NoAnswer(self._unavailable)
        try:
            return _call(name, *arguments)
        except _NoAnswer as no:
            self._notice(no.code)
            raise

    def _notice(self, code: int | None) -> None:
        if code == _GPU_IS_LOST:
            self._lost = True
            self._unavailable = _words(_GPU_IS_LOST)

    def _ask_board(self, name: str, *arguments: Any) -> Any:
        if self._no_board is not None and self._unavailable is None:
            raise _NoAnswer(self._no_board)
        return self._ask(name, self._board, *arguments)

    def _text(self, name: str, *arguments: Any) -> Text:
        try:
            return Text(value=str(self._ask(name, *arguments)))
        except _NoAnswer as no:
            return Text(reason=no.reason)

    def _board_reading(self, name: str, *arguments: Any) -> Reading:
        try:
            return Reading(value=int(self._ask_board(name, *arguments)))
        except _NoAnswer as no:
            return Reading(reason=no.reason)

    def _watts(self, name: str) -> Reading:
        milliwatts = self._board_reading(name)
        return milliwatts if milliwatts.value is None else Reading(value=milliwatts.value / 1000)

    def _is_instance(self) -> bool:
        try:
            return bool(self._ask("nvmlDeviceIsMigDeviceHandle", self._handle))
        except _NoAnswer:
            return False  # drivers and systems that know no MIG

    def _mig_profile(self, name: Text) -> Text:
        """Return the profile out of an instance's name: ``NVIDIA H100 80GB HBM3 MIG 1g.10gb``."""
        if self._unavailable is not None or name.value is None:
            return Text(reason=name.reason or self._unavailable)
        if not self._is_mig:
            return self._whole_or_split()
        _, mark, profile = name.value.rpartition(" MIG ")
        return Text(value=profile) if mark else Text(reason=f"no profile in the name {name.value!r}")

    def _whole_or_split(self) -> Text:
        """Return that this is a whole GPU, unless it is split: then the process is on an instance of it."""
        try:
            is_split, _ = self._ask("nvmlDeviceGetMigMode", self._handle)
        except _NoAnswer as no:
            return Text(value=WHOLE_GPU) if no.code == _NOT_SUPPORTED else Text(reason=no.reason)
        if is_split:
            return Text(reason="the GPU is split by MIG, and which instance this process has is not known")
        return Text(value=WHOLE_GPU)

    @functools.cached_property
    def _slowdown_fields(self) -> tuple[int, int, int] | None:
        return slowdown_fields(self.driver_version().value)

    def _clock_events(self) -> list[Reading]:
        """Return the four counters of lowered clocks, with one call."""
        fields = [SW_POWER_CAP_FIELD, *(self._slowdown_fields or ())]
        try:
            told = [self._field(value) for value in self._ask_board("nvmlDeviceGetFieldValues", fields)]
        except _NoAnswer as no:
            return [Reading(reason=no.reason)] * 4
        if self._slowdown_fields is None:
            told += [Reading(reason="it is not documented under which number this driver counts it")] * 3
        return told

    def _field(self, told: Any) -> Reading:
        if told.nvmlReturn != _SUCCESS:
            self._notice(told.nvmlReturn)
            return Reading(reason=_words(told.nvmlReturn))
        if told.valueType not in _COUNTERS:
            return Reading(reason=f"NVML gives it as no counter (value type {told.valueType})")
        return Reading(value=int(getattr(told.value, _COUNTERS[told.valueType])))

    def _xids(self) -> Xids:
        """Return the critical errors since the last time; the first time, start to watch for them."""
        if self._events is None and self._no_events is None:
            self._watch()
        if self._no_events is not None or self._unavailable is not None:
            return Xids(reason=self._unavailable or self._no_events)
        numbers: list[int] = []
        while len(numbers) < _MOST_XIDS:
            try:
                numbers.append(int(self._ask("nvmlEventSetWait", self._events, 0).eventData))
            except _NoAnswer as no:
                return Xids(numbers=tuple(numbers), reason=None if no.code == _TIMEOUT else no.reason)
        return Xids(numbers=tuple(numbers))

    def _watch(self) -> None:
        try:
            events = self._ask("nvmlEventSetCreate")
            self._ask_board("nvmlDeviceRegisterEvents", _XID_EVENTS, events)
        except _NoAnswer as no:
            self._no_events = no.reason
        else:
            self._events = events
