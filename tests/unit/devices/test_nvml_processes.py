"""Our own process among those on the GPU, as the real pynvml lists them: on a host, and in containers."""

from __future__ import annotations

from typing import Any

from nvml_shim import MIB, Shim, gpu
from nvml_shim.fixtures import MakeShim

PROBE = 512 * MIB
FOREIGN = f"900:{4000 * MIB}"
# What a caller does: look, start CUDA, find itself (with an allocation that this script's lists already show), ask.
STEPS = (
    "(before := gpu.footing()) and None",
    "(own := gpu.find_own(before, probe=lambda size: __import__('contextlib').nullcontext(size)))",
    "gpu.process_memory(own)",
    "process_memory.others(own, gpu.processes())",
)


def steps(shim: Shim) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return who this process is, what it holds, and who else is there."""
    _, own, memory, others = shim.ask(*STEPS)
    return own, memory, others


def test_a_process_finds_itself_by_its_number(nvml_shim: MakeShim) -> None:
    """Outside of containers the list has our own number: the first step; a foreign process stays foreign."""
    own, memory, others = steps(nvml_shim(gpu(processes=[FOREIGN, f"{FOREIGN} self:{700 * MIB}"])))

    assert (own["step"], own["reason"]) == ("own-pid", None)
    assert memory == {"used_bytes": {"value": 700 * MIB, "reason": None}, "step": "own-pid"}
    assert others == {"processes": [{"pid": 900, "used_bytes": 4000 * MIB}], "at_least": 1, "reason": None}


def test_in_a_container_the_one_that_appeared_is_this_one(nvml_shim: MakeShim) -> None:
    """With the host's numbers, the one process that is new since before CUDA started is ours: the second step."""
    own, memory, others = steps(nvml_shim(gpu(processes=[FOREIGN, f"{FOREIGN} 4242:{700 * MIB}"])))

    assert (own["step"], own["pid"]) == ("appeared", 4242)
    assert memory["used_bytes"]["value"] == 700 * MIB
    assert [process["pid"] for process in others["processes"]] == [900]


def test_a_known_allocation_tells_two_newcomers_apart(nvml_shim: MakeShim) -> None:
    """Two appeared at once: ours is the one that grew by the 512 MiB of the probe: the third step."""
    new = f"{FOREIGN} 4242:{700 * MIB} 4243:{800 * MIB}"
    grown = f"{FOREIGN} 4242:{700 * MIB + PROBE + 2 * MIB} 4243:{801 * MIB}"
    own, memory, others = steps(nvml_shim(gpu(processes=[FOREIGN, new, grown, new])))

    assert (own["step"], own["pid"]) == ("probe", 4242)
    assert memory["used_bytes"]["value"] == 700 * MIB
    assert [process["pid"] for process in others["processes"]] == [900, 4243]


def test_what_cannot_be_told_apart_is_the_devices_difference(nvml_shim: MakeShim) -> None:
    """Neither number, nor newcomer, nor growth: the whole GPU's growth, under a label that says so: the fourth step."""
    lists = [FOREIGN, f"{FOREIGN} 4242:{700 * MIB} 4243:{800 * MIB}"]
    own, memory, others = steps(nvml_shim(gpu(processes=lists, used=[1000 * MIB, 2500 * MIB])))

    assert (own["step"], own["pid"]) == ("device-delta", None)
    assert "0 processes grew" in own["reason"]
    assert memory == {"used_bytes": {"value": 1500 * MIB, "reason": None}, "step": "device-delta"}
    assert [process["pid"] for process in others["processes"]] == [900]
    assert others["at_least"] == 2
    assert "not known" in others["reason"]


def test_a_list_without_bytes_is_never_zero(nvml_shim: MakeShim) -> None:
    """Where usedGpuMemory is not available (WDDM, containers) the device's difference stands in."""
    own, memory, others = steps(
        nvml_shim(gpu(processes=["900:unknown", "900:unknown self:unknown"], used=[1000 * MIB, 1700 * MIB]))
    )

    assert own["step"] == "device-delta"
    assert "without its bytes" in own["reason"]
    assert memory["used_bytes"]["value"] == 700 * MIB
    assert others["processes"] == [{"pid": 900, "used_bytes": None}]
    assert others["reason"] is None


def test_a_list_that_is_refused_leaves_the_devices_difference(nvml_shim: MakeShim) -> None:
    """Without permission to list processes memory is still told, and nothing is said of others."""
    refused = ["nvmlDeviceGetComputeRunningProcesses_v3 4 1"]
    own, memory, others = steps(nvml_shim(gpu(fail=refused, used=[1000 * MIB, 1700 * MIB])))

    assert own["step"] == "device-delta"
    assert memory["used_bytes"]["value"] == 700 * MIB
    assert others["processes"] == []
    assert "no permission" in others["reason"]


def test_a_sampling_thread_and_the_measuring_one_share_a_gpu(nvml_shim: MakeShim) -> None:
    """Memory is read from one thread while another reads boundaries; every call comes back with its own value."""
    shim = nvml_shim(gpu(used=list(range(60)), energy=list(range(60))))
    sampling = "(futures := __import__('concurrent.futures').futures.ThreadPoolExecutor(1)) and None"
    used = "(later := futures.submit(lambda: [gpu.memory().used_bytes.value for _ in range(60)])) and None"
    _, _, energies, memories = shim.ask(
        sampling, used, "[gpu.read_boundary().energy_millijoules.value for _ in range(60)]", "later.result()"
    )

    assert energies == memories == list(range(60))


def test_memory_over_time_is_played_by_the_clock(nvml_shim: MakeShim) -> None:
    """The stand-in can change what it holds by elapsed time, for samplers: here a peak that lasts."""
    shim = nvml_shim(gpu(used=None, used_ms="0:100 30:900"))
    first, _, last = shim.ask(
        "gpu.memory().used_bytes.value", "__import__('time').sleep(0.05)", "gpu.memory().used_bytes.value"
    )

    assert first in (100, 900)
    assert last == 900
