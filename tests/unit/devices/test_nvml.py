"""The driver's figures, read by the real pynvml from a compiled stand-in for the driver's library."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from nvml_shim import MIB, gpu
from nvml_shim.fixtures import MakeShim

PARENT = "GPU-parent"
COUNTERS = ("sw_power_cap_ns", "sw_thermal_ns", "hw_thermal_ns", "hw_power_brake_ns")
FIGURES = ("energy_millijoules", *COUNTERS, "temperature_celsius", "sm_clock_mhz", "ecc_uncorrected")


def known(value: Any) -> dict[str, Any]:
    """Return a reading with a value, as a child prints it."""
    return {"value": value, "reason": None}


def test_a_gpu_tells_who_it_is_and_what_it_holds(nvml_shim: MakeShim) -> None:
    """Identity, memory, limits and the driver's version have values, in bytes, watts and MHz."""
    shim = nvml_shim(gpu(used=[500 * MIB], total=[80_000 * MIB], power_limit=[350_500]))
    identity, memory, driver, limit, default, clock = shim.ask(
        "gpu.identity()",
        "gpu.memory()",
        "gpu.driver_version()",
        "gpu.power_limit_watts()",
        "gpu.power_limit_default_watts()",
        "gpu.sm_clock_max_mhz()",
    )

    assert identity["name"] == known("NVIDIA H100 80GB HBM3")
    assert identity["uuid"] == known("GPU-0001")
    assert identity["mig_profile"] == known("none")
    assert memory == {
        "total_bytes": known(80_000 * MIB),
        "used_bytes": known(500 * MIB),
        "free_bytes": known(79_500 * MIB),
    }
    assert (driver, limit, default, clock) == (known("580.126.09"), known(350.5), known(700.0), known(1980))


@pytest.mark.parametrize(
    ("code", "words"),
    [(9, "driver is not loaded"), (18, "different versions"), (999, "does not say why"), (77, "code 77")],
)
def test_a_driver_that_does_not_start_leaves_reasons(nvml_shim: MakeShim, code: int, words: str) -> None:
    """Without a working driver every figure says why, and nothing is asked of the library again."""
    shim = nvml_shim(gpu(), fail=[f"nvmlInitWithFlags {code} 1"])
    why, lost, memory, boundary, processes = shim.ask(
        "gpu.unavailable", "gpu.lost", "gpu.memory()", "gpu.read_boundary()", "gpu.processes()"
    )

    assert words in why
    assert lost is False
    assert {memory["used_bytes"]["reason"], processes["reason"], boundary["xids"]["reason"]} == {why}
    assert {boundary[figure]["reason"] for figure in FIGURES} == {why}
    assert shim.calls() == ["nvmlInitWithFlags"]


def test_without_a_library_there_is_a_reason() -> None:
    """A machine without NVIDIA's driver is the usual one: no figure, no error."""
    code = (
        "import ctypes, sys\n"
        "def refuse(*_, **__): raise OSError('libnvidia-ml.so.1: cannot open shared object file')\n"
        "import pynvml; pynvml.CDLL = refuse\n"
        "from pytest_sdbatch.devices.nvml import open_gpu\n"
        "print(open_gpu(uuid='GPU-1').unavailable)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)

    assert "no NVML library here" in child.stdout


def test_without_pynvml_there_is_a_reason() -> None:
    """A broken installation of nvidia-ml-py is told, and is no error."""
    code = (
        "import sys; sys.modules['pynvml'] = None\n"
        "from pytest_sdbatch.devices.nvml import open_gpu\n"
        "print(open_gpu(uuid='GPU-1').unavailable)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=True)

    assert "pynvml cannot be imported" in child.stdout


@pytest.mark.parametrize(("code", "words"), [(3, "does not offer"), (4, "no permission"), (999, "does not say why")])
def test_a_figure_that_fails_leaves_the_others(nvml_shim: MakeShim, code: int, words: str) -> None:
    """One refused figure carries its reason; those beside it have values."""
    shim = nvml_shim(gpu(fail=[f"nvmlDeviceGetTemperature {code} 1", f"nvmlDeviceGetEnforcedPowerLimit {code} 1"]))
    boundary, limit, lost = shim.ask("gpu.read_boundary()", "gpu.power_limit_watts()", "gpu.lost")

    assert words in boundary["temperature_celsius"]["reason"]
    assert words in limit["reason"]
    assert lost is False
    assert {boundary[figure]["value"] for figure in FIGURES if figure != "temperature_celsius"} == {0, 1755, 1_000_000}


def test_a_library_without_the_versioned_function_is_told(nvml_shim: MakeShim) -> None:
    """Pynvml's error for a missing ``_v3`` is none of its NVMLErrors; the list is unknown and the rest goes on."""
    shim = nvml_shim(gpu(), without_v3=True)
    processes, memory = shim.ask("gpu.processes()", "gpu.memory()")

    assert "do not match" in processes["reason"]
    assert "nvmlDeviceGetComputeRunningProcesses" in processes["reason"]
    assert memory["used_bytes"] == known(500 * MIB)


def test_energy_that_is_not_supported_is_unknown(nvml_shim: MakeShim) -> None:
    """GPUs before Volta count none: the figure is None with the reason, never 0."""
    boundary, _ = nvml_shim(gpu(energy=None)).ask("gpu.read_boundary()", "gpu.lost")

    assert boundary["energy_millijoules"]["value"] is None
    assert "does not offer" in boundary["energy_millijoules"]["reason"]


def test_an_integrated_gpu_has_no_memory_figure(nvml_shim: MakeShim) -> None:
    """Where memory is the system's, NVML does not support the question."""
    memory, own = nvml_shim(gpu(used=None, total=None)).ask("gpu.memory()", "gpu.process_memory(gpu.find_own(None))")

    assert {figure["value"] for figure in memory.values()} == {None}
    assert "does not offer" in memory["used_bytes"]["reason"]
    assert own["used_bytes"]["value"] is None


def test_a_lost_gpu_stays_lost(nvml_shim: MakeShim) -> None:
    """From the call on that finds it gone, every figure has that reason and the driver is not asked again."""
    shim = nvml_shim(gpu(fail=["nvmlDeviceGetMemoryInfo 15 3"]))
    first, second, third, lost, identity, boundary, limit = shim.ask(
        *["gpu.memory()"] * 3,
        "gpu.lost",
        "gpu.identity()",
        "gpu.read_boundary()",
        "gpu.power_limit_watts()",
    )

    assert first["used_bytes"]["value"] == second["used_bytes"]["value"] == 500 * MIB
    assert "GPU is lost" in third["used_bytes"]["reason"]
    assert lost is True
    why = third["used_bytes"]["reason"]
    assert {figure["reason"] for figure in identity.values()} == {why}
    assert {boundary[figure]["reason"] for figure in FIGURES} == {limit["reason"]} == {why}
    assert shim.calls()[-1] == "nvmlDeviceGetMemoryInfo"


def test_two_gpus_in_another_order_are_not_mixed_up(nvml_shim: MakeShim) -> None:
    """CUDA's first GPU may be the driver's second: a GPU is found by UUID or PCI bus id, never by index."""
    small = gpu("GPU-small", pci="00000000:01:00.0", used=[1 * MIB], name="small")
    large = gpu("GPU-large", pci="00000000:41:00.0", used=[2 * MIB], name="large")
    shim = nvml_shim(small, large)
    names = shim.ask(
        "open_gpu(uuid='GPU-large').identity().name.value",
        "open_gpu(uuid='large').identity().name.value",
        "open_gpu(pci_bus_id='0:41:0.0').identity().name.value",
        "open_gpu(uuid='GPU-gone', pci_bus_id='00000000:01:00.0').identity().name.value",
        "open_gpu(uuid='GPU-gone').unavailable",
        "open_gpu().unavailable",
    )

    assert names[:4] == ["large", "large", "large", "small"]
    assert "knows no such GPU" in names[4]
    assert "neither a UUID nor a PCI bus id" in names[5]
    assert not [call for call in shim.calls() if "Index" in call]


def test_the_library_is_started_once(nvml_shim: MakeShim) -> None:
    """Several GPUs and several openings of one share a start."""
    shim = nvml_shim(gpu())
    shim.ask("[open_gpu(uuid='GPU-0001').memory() and None for _ in range(3)]")

    assert [call for call in shim.calls() if "Init" in call] == ["nvmlInitWithFlags"]


def test_a_boundary_takes_few_calls(nvml_shim: MakeShim) -> None:
    """At most 12, with a burst of errors, and the first time too, when it starts to watch for them."""
    shim = nvml_shim(gpu(xids=[31, 13, 45, 62, 63, 0]))
    shim.ask("gpu.unavailable")
    opening = len(shim.calls())
    first, _ = shim.ask("gpu.read_boundary()", "gpu.unavailable")
    one = len(shim.calls()) - 2 * opening
    shim.ask("gpu.read_boundary()", "gpu.read_boundary()")
    two = len(shim.calls()) - 3 * opening - one

    assert first["xids"] == {"numbers": [31, 13, 45, 62], "reason": None}
    assert 0 < one <= 12
    assert two - one < one <= 12
    assert shim.calls().count("nvmlDeviceGetFieldValues") == 3


def test_errors_are_watched_from_the_first_boundary_on(nvml_shim: MakeShim) -> None:
    """The event set is registered once; each boundary has what came since the one before."""
    shim = nvml_shim(gpu(xids=[0, 31, 0, 0]))
    xids = shim.ask(*["gpu.read_boundary().xids"] * 3)

    assert xids == [{"numbers": numbers, "reason": None} for numbers in ([], [31], [])]
    assert shim.calls().count("nvmlDeviceRegisterEvents") == 1


def test_errors_that_cannot_be_watched_are_unknown(nvml_shim: MakeShim) -> None:
    """Without events (Windows, some virtual GPUs) no errors is not claimed, and it is tried once."""
    shim = nvml_shim(gpu(fail=["nvmlDeviceRegisterEvents 3 1"]))
    first, second = shim.ask(*["gpu.read_boundary().xids"] * 2)

    assert first == second
    assert "does not offer" in first["reason"]
    assert shim.calls().count("nvmlEventSetCreate") == 1


def test_counters_become_differences_also_when_they_wrap(nvml_shim: MakeShim) -> None:
    """Energy in joules and lowered clocks in seconds, past the end of 64 bits too; one that was reset is unknown."""
    shim = nvml_shim(
        gpu(
            energy=[2**64 - 1000, 4000],
            fields={74: [0, 2_000_000_000], 269: [5, 5], 270: [7_000, 3], 271: [0]},
            ecc=[1, 3],
        )
    )
    (interval,) = shim.ask("counters.between(gpu.read_boundary(), gpu.read_boundary())")

    assert interval["energy_joules"] == known(5.0)
    assert interval["sw_power_cap_s"] == known(2.0)
    assert interval["sw_thermal_s"] == interval["hw_power_brake_s"] == known(0.0)
    assert interval["hw_thermal_s"]["value"] is None
    assert "backwards" in interval["hw_thermal_s"]["reason"]
    assert interval["ecc_uncorrected"] == known(2)


@pytest.mark.parametrize(("driver", "first"), [("575.57.08", 251), ("580.65.06", 251), ("580.82.07", 269)])
def test_slowdowns_are_read_under_the_drivers_own_numbers(nvml_shim: MakeShim, driver: str, first: int) -> None:
    """Their field numbers moved between releases; under the others a driver has power smoothing."""
    other = 251 + 269 - first
    fields = {74: [1], first: [2], first + 1: [3], first + 2: [4]} | {other + i: [999] for i in range(3)}
    (told,) = nvml_shim(gpu(fields=fields), driver=driver).ask("gpu.read_boundary()")

    assert [told[figure]["value"] for figure in COUNTERS] == [1, 2, 3, 4]


def test_an_old_driver_counts_the_power_limit_alone(nvml_shim: MakeShim) -> None:
    """Where no header has numbers for slowdowns they are unknown, and the others are read."""
    (told,) = nvml_shim(gpu(fields={74: [9], 251: [1], 269: [1]}), driver="570.86.10").ask("gpu.read_boundary()")

    assert told["sw_power_cap_ns"] == known(9)
    assert all("not documented" in told[figure]["reason"] for figure in COUNTERS[1:])


def test_a_field_can_be_unknown_alone(nvml_shim: MakeShim) -> None:
    """Each field of the one call has its own return code."""
    (told,) = nvml_shim(gpu(fields={74: [9], 270: [4], 271: [5]})).ask("gpu.read_boundary()")

    assert "does not offer" in told["sw_thermal_ns"]["reason"]
    assert (told["sw_power_cap_ns"], told["hw_power_brake_ns"]) == (known(9), known(5))


def test_a_gpu_can_be_found_lost_by_a_field(nvml_shim: MakeShim) -> None:
    """The call as a whole succeeds then; the field's own code says it, and nothing more is asked."""
    shim = nvml_shim(gpu(fail=["field.269 15 1"]))
    told, lost = shim.ask("gpu.read_boundary()", "gpu.lost")

    assert lost is True
    assert "GPU is lost" in told["sw_thermal_ns"]["reason"]
    assert told["temperature_celsius"]["reason"] == told["xids"]["reason"] == told["sw_thermal_ns"]["reason"]
    assert shim.calls()[-1] != "nvmlEventSetWait_v2"


def test_a_field_of_another_kind_is_not_read_as_a_counter(nvml_shim: MakeShim) -> None:
    """A type that the documentation does not have for it is a reason, no figure and no error."""
    (told,) = nvml_shim(gpu(value_type=[1])).ask("gpu.read_boundary()")

    assert all("no counter" in told[figure]["reason"] for figure in COUNTERS)


def test_a_mig_instance_has_its_own_memory_and_its_boards_clocks(nvml_shim: MakeShim) -> None:
    """Temperature, clocks and limits are the parent's; energy of the whole GPU is not passed off as the instance's."""
    name = "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    instance = gpu("MIG-1", name=name, mig_parent=PARENT, used=[3 * MIB], temperature=None, pci="-")
    shim = nvml_shim(instance, gpu(PARENT, temperature=[71], power_limit=[310_000]))
    identity, memory, boundary, facts = shim.ask("gpu.identity()", "gpu.memory()", "gpu.read_boundary()", "gpu.facts()")

    assert identity["mig_profile"] == known("1g.10gb")
    assert memory["used_bytes"] == known(3 * MIB)
    assert boundary["temperature_celsius"] == known(71)
    assert "MIG instance" in boundary["energy_millijoules"]["reason"]
    assert facts["must_match"] == {"mig_profile": "1g.10gb", "power_limit_watts": 310.0}


def test_a_mig_parent_that_may_not_be_asked_is_a_reason(nvml_shim: MakeShim) -> None:
    """In a container the board's figures are refused; those of the instance are read."""
    instance = gpu("MIG-1", mig_parent=PARENT, fail=["nvmlDeviceGetDeviceHandleFromMigDeviceHandle 4 1"])
    shim = nvml_shim(instance, gpu(PARENT))
    memory, boundary = shim.ask("gpu.memory()", "gpu.read_boundary()")

    assert memory["used_bytes"] == known(500 * MIB)
    for figure in (boundary["sm_clock_mhz"], boundary["xids"]):
        assert "cannot be reached" in figure["reason"]
        assert "no permission" in figure["reason"]


def test_a_gpu_that_is_split_does_not_tell_its_memory(nvml_shim: MakeShim) -> None:
    """The parent of MIG instances answers an ordinary user with no permission."""
    refused = ["nvmlDeviceGetMemoryInfo 4 1", "nvmlDeviceGetComputeRunningProcesses_v3 4 1"]
    memory, processes, own, profile = nvml_shim(gpu(fail=refused, mig_mode=[1])).ask(
        "gpu.memory()",
        "gpu.processes()",
        "gpu.process_memory(gpu.find_own(gpu.footing()))",
        "gpu.identity().mig_profile",
    )

    assert "no permission" in memory["used_bytes"]["reason"]
    assert "split by MIG" in processes["reason"]
    assert own["used_bytes"]["value"] is None
    assert own["step"] == "device-delta"
    assert "which instance this process has is not known" in profile["reason"]


@pytest.mark.parametrize(
    ("changes", "value", "words"),
    [
        ({"mig_mode": [0]}, "none", ""),
        ({"fail": ["nvmlDeviceGetMigMode 4 1"]}, None, "no permission"),
        ({"mig_mode": [1]}, None, "split by MIG"),
        ({"name": "NVIDIA H100", "mig_parent": "GPU-0001"}, None, "no profile in the name"),
    ],
)
def test_a_profile_is_told_only_where_it_is_sure(
    nvml_shim: MakeShim, changes: dict[str, Any], value: str | None, words: str
) -> None:
    """A record is compared with those of the same profile: a whole GPU is "none", the unknown is None."""
    (profile,) = nvml_shim(gpu(**changes)).ask("gpu.identity().mig_profile")

    assert profile["value"] == value
    assert words in (profile["reason"] or "")


def test_facts_of_a_gpu_that_is_not_there_are_unknown(nvml_shim: MakeShim) -> None:
    """What NVML would add to a record is None with a reason under the same key."""
    there, gone = nvml_shim(gpu()).ask("gpu.facts()", "open_gpu(uuid='GPU-gone').facts()")

    assert there["must_match"] == {"mig_profile": "none", "power_limit_watts": 700.0}
    assert there["drift"] == {"gpu_driver": "580.126.09"}
    assert there["shown"] == {"power_limit_default_watts": 700.0, "sm_clock_max_mhz": 1980}
    assert there["unknown"] == {}
    figures = gone["must_match"] | gone["drift"] | gone["shown"]
    assert set(figures.values()) == {None}
    assert gone["unknown"].keys() == figures.keys()
