"""The stand-in for the driver's library keeps to the layouts of the real one."""

from __future__ import annotations

import json
import subprocess
import sys

from nvml_shim import gpu
from nvml_shim.fixtures import MakeShim

SIZES = """
import ctypes, json, pynvml
library = ctypes.CDLL("libnvidia-ml.so.1")
names = "c_nvmlMemory_t c_nvmlProcessInfo_v3_t nvmlPciInfo_t c_nvmlFieldValue_t c_nvmlEventData_t"
print(json.dumps([[library.shim_sizeof(n.encode()), ctypes.sizeof(getattr(pynvml, n))] for n in names.split()]))
"""


def test_its_structures_have_the_sizes_of_pynvmls(nvml_shim: MakeShim) -> None:
    """A field more or less would be read as another figure."""
    sizes = json.loads(nvml_shim(gpu()).python("-c", SIZES))

    assert len(sizes) == 5
    assert all(ours == theirs > 0 for ours, theirs in sizes)


def test_a_script_that_cannot_be_read_ends_the_child(nvml_shim: MakeShim) -> None:
    """A mistake in a test's script is not taken for a driver that knows nothing."""
    shim = nvml_shim(gpu(temperature=[]))
    code = "import pynvml; pynvml.nvmlInit()"
    child = subprocess.run(
        [sys.executable, "-c", code], env=shim.environment, capture_output=True, text=True, timeout=240, check=False
    )

    assert child.returncode == 97
    assert "cannot read temperature" in child.stderr


def test_pynvml_counts_its_whole_gpus(nvml_shim: MakeShim) -> None:
    """Programs that go by index see the script's order, without the instances of a GPU that is split."""
    shim = nvml_shim(gpu("GPU-b"), gpu("MIG-1", mig_parent="GPU-b"), gpu("GPU-a"))
    code = (
        "from pynvml import *\n"
        "nvmlInit()\n"
        "print([nvmlDeviceGetUUID(nvmlDeviceGetHandleByIndex(i)) for i in range(nvmlDeviceGetCount())])"
    )

    assert shim.python("-c", code).strip() == "['GPU-b', 'GPU-a']"
