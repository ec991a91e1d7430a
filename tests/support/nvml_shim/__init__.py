"""GPUs on a machine without one: a compiled stand-in for the driver's library, loaded by the real ``pynvml``.

``nvml_shim(gpu(...), gpu(...))`` (a fixture, see fixtures.py) gives a :class:`Shim`. Its ``environment`` makes any
child process see those GPUs: LD_LIBRARY_PATH leads with the folder that holds our libnvidia-ml.so.1, which is where
dlopen looks first, so ``pynvml`` needs no help. It is read when a process starts, hence children only, and no test sees
the GPUs of another.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("nvml_shim.c")
LIBRARY = "libnvidia-ml.so.1"
COMPILER = shutil.which("cc")
MIB = 1 << 20

# Reads the expressions it is given, one after the other, in one namespace; prints what each one gave.
_ASKING = """
import dataclasses, json, sys
from pytest_sdbatch.devices import counters, process_memory
from pytest_sdbatch.devices.nvml import open_gpu

def plain(value):
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value

names = {"counters": counters, "process_memory": process_memory, "open_gpu": open_gpu}
names["gpu"] = open_gpu(**json.loads(sys.argv[1]))
print(json.dumps([plain(eval(expression, names)) for expression in sys.argv[2:]]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimGpu:
    """The lines of one device in the script; see the head of nvml_shim.c."""

    uuid: str
    lines: tuple[str, ...]


def gpu(
    uuid: str = "GPU-0001",
    *,
    name: str = "NVIDIA H100 80GB HBM3",
    pci: str = "00000000:65:00.0",
    processes: Sequence[str] = ("",),
    fail: Sequence[str] = (),
    fields: Mapping[int, Sequence[int]] | None = None,
    mig_parent: str | None = None,
    **figures: Sequence[int] | str | None,
) -> ShimGpu:
    """Return a GPU that answers everything, changed by what is given.

    Args:
        uuid: with its prefix.
        name: with the profile behind `` MIG `` for an instance.
        pci: domain:bus:device.function.
        processes: a list of ``PID:BYTES`` for each time the processes are listed.
        fail: ``FUNCTION CODE N``, for this device.
        fields: values by number; without it all clock events are 0.
        mig_parent: UUID of the GPU it is an instance of.
        figures: values by key, next at every call; None: not supported.

    """
    usual: dict[str, Sequence[int] | str | None] = {
        "total": [80_000 * MIB],
        "used": [500 * MIB],
        "energy": [1_000_000],
        "temperature": [40],
        "sm_clock": [1755],
        "sm_clock_max": [1980],
        "power_limit": [700_000],
        "power_limit_default": [700_000],
        "ecc": [0],
        "xids": [0],
    }
    fields = {74: [0], 269: [0], 270: [0], 271: [0]} if fields is None else fields
    lines = [f"name={name}", f"pci={pci}"]
    if mig_parent is not None:
        lines.append(f"mig_parent={mig_parent}")
    lines += [f"processes={text}" for text in processes]
    lines += [f"fail={text}" for text in fail]
    figures = usual | figures | {f"field.{number}": values for number, values in fields.items()}
    for key, values in figures.items():
        if values is not None:
            lines.append(f"{key}={values if isinstance(values, str) else ' '.join(map(str, values))}")
    return ShimGpu(uuid=uuid, lines=tuple(lines))


def build(folder: Path, *, flags: Sequence[str] = ()) -> Path:
    """Compile the library into *folder* and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-std=gnu11", "-O1", "-shared", "-fPIC", "-pthread", f"-Wl,-soname,{LIBRARY}", *flags]
    subprocess.run([str(COMPILER), *options, "-o", str(folder / LIBRARY), str(SOURCE)], check=True, timeout=120)
    return folder


@dataclass
class Shim:
    """A machine with scripted GPUs, for child processes."""

    environment: dict[str, str]
    log: Path
    identity: dict[str, str] = field(default_factory=dict)  # what open_gpu is called with

    def python(self, *arguments: str) -> str:
        """Run Python with *arguments* there and return what it printed."""
        child = subprocess.run(
            [sys.executable, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert child.returncode == 0, child.stderr
        return child.stdout

    def ask(self, *expressions: str) -> list[Any]:
        """Open the GPU as ``gpu`` in a fresh process and return the values of *expressions*, dataclasses as dicts."""
        answers: list[Any] = json.loads(self.python("-c", _ASKING, json.dumps(self.identity), *expressions))
        return answers

    def calls(self) -> list[str]:
        """Return the names of the functions that were called, by all children, in order."""
        return self.log.read_text(encoding="ascii").split() if self.log.exists() else []


def write(folder: Path, library: Path, gpus: Sequence[ShimGpu], *, driver: str, fail: Sequence[str]) -> Shim:
    """Write the script of a machine and return what its processes need."""
    lines = [f"driver={driver}", *(f"fail={text}" for text in fail)]
    for device in gpus:
        lines += [f"device={device.uuid}", *device.lines]
    script = folder / "gpus.txt"
    script.write_text("\n".join(lines) + "\n", encoding="ascii")
    log = folder / "calls.txt"
    paths = [str(library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(paths),
        "NVML_SHIM_SCRIPT": str(script),
        "NVML_SHIM_LOG": str(log),
    }
    return Shim(environment=environment, log=log, identity={"uuid": gpus[0].uuid} if gpus else {})
