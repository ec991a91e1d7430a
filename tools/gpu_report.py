"""Measure on a GPU machine all that the project wants to know of it: ``python tools/gpu_report.py results/``.

One command, a quarter of an hour, no network. Parts run one after the other, the most wanted first, each in processes
of its own with a time limit; what a part has written when its time is up is kept. Seven flat files come out, written as
the parts end: environment.json, report.md (what ran, how it ended, what it printed at the end), two files of tests,
traces.tar (A/A runs), sweeps.tar (what fits in how much memory; run files of the sweeps, NVML time lines in them) and
log.txt. On a rented virtual machine a process took 17 to 28 s before it measured anything: hence one for each sweep.

``--device=cpu --minutes=2`` rehearses it with tiny models.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "nvidia-ml-py",
    "pytest",
    "pytest-benchmark",
    "pytest-xdist",
    "pytest-timeout",
    "hypothesis",
    "numpy",
)
# Traces of the gate: what this machine does when nothing changed.
TRACE_PROCESSES, TRACE_ROUNDS = 10, 10
_TAIL_LINES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing to measure: commands that run one after the other until the share of time is used up."""

    name: str
    why: str
    share: float  # of the whole time, at most
    commands: tuple[tuple[str, ...], ...]
    archive: str | None = None  # the tar that takes the .json files it wrote


LIMITS = Part(
    name="limits",
    why="which batch sizes run in how much memory",
    share=0.12,
    archive="sweeps.tar",
    commands=((str(ROOT / "tools" / "memory_limits.py"), "limits.json"),),
)


def parts(*, device: str, full: bool) -> tuple[Part, ...]:
    """Return what is measured, the most wanted first.

    Args:
        device: as ``--sd-device`` takes it.
        full: full-size models and sizes up to out of memory; else the rehearsal with tiny ones.

    """
    return (*_claims(device, full), *_sweeps(device, full))


def _measured(device: str, name: str, model: str, *arguments: str) -> tuple[str, ...]:
    suite = ("-m", "pytest", "--pyargs", "pytest_sdbatch.suite", f"--sd-device={device}", "-p", "no:cacheprovider")
    return (*suite, f"--sd-models={model}", f"--sd-report={name}.json", *arguments)


def _tests(*arguments: str) -> tuple[str, ...]:
    paths = [str(ROOT / "tests" / one) if one.endswith(".py") else one for one in arguments]
    # What another release of torch warns of is no failure of the card's.
    return ("-m", "pytest", *paths, "-m", "gpu", "-q", "-rs", "-W", "default", "-p", "no:cacheprovider")


def _claims(device: str, full: bool) -> tuple[Part, ...]:
    """Return what the project says of GPUs, and what the promise of the gate rests on."""
    return (
        Part(
            name="driver tests",
            why="claims about the device and its driver",
            share=0.05,
            commands=(_tests("gpu/test_driver.py", "unit/devices/test_cuda.py"),),
        ),
        Part(
            name="model tests",
            why="claims about full-size models on the card; nothing of them is timed",
            share=0.25,
            commands=(_tests("gpu/test_sweeps.py", "-n4"),),  # they take turns at the card, and import meanwhile
        ),
        *((LIMITS,) if full else ()),
        Part(
            name="traces",
            why=f"A/A: {TRACE_PROCESSES} processes of {TRACE_ROUNDS} rounds of the same code",
            share=0.3,
            archive="traces.tar",
            commands=tuple(
                _measured(
                    device, f"aa-{number:02}", "sd15" if full else "tiny-sd", "--sd-steps=2", "--sd-batch-sizes=1,4",
                    "-o", f"sd_rounds={TRACE_ROUNDS}", "-o", "sd_warmup_calls=3",
                )
                for number in range(TRACE_PROCESSES)
            ),
        ),
    )  # fmt: skip


def _sweeps(device: str, full: bool) -> tuple[Part, ...]:
    """Return the sweeps that are held against published figures."""
    sd15, sdxl = ("sd15", "sdxl") if full else ("tiny-sd", "tiny-sdxl")
    steps = "30" if full else "4"
    published, until_oom = ("1,2,4,8,16,32", "64:4096:x2") if full else ("1,2,4", "8:16:x2")
    few = ("-o", "sd_min_rounds=3", "-o", "sd_max_rounds=5", "-o", "sd_max_seconds=6", "-o", "sd_warmup_calls=2")
    return (
        Part(
            name="sd15",
            why="Stable Diffusion 1.5 at the batch sizes of published figures, then up to out of memory",
            share=0.2,
            archive="sweeps.tar",
            commands=(
                _measured(device, "sd15", sd15, f"--sd-steps={steps}", f"--sd-batch-sizes={published}", *few),
                _measured(device, "sd15-oom", sd15, "--sd-steps=1", f"--sd-batch-sizes={until_oom}", *few),
            ),
        ),
        Part(
            name="sdxl",
            why="Stable Diffusion XL, batch size 1 as published, then up to out of memory",
            share=0.15,
            archive="sweeps.tar",
            commands=(
                _measured(device, "sdxl", sdxl, f"--sd-steps={steps}", "--sd-batch-sizes=1,4", *few),
                _measured(device, "sdxl-oom", sdxl, "--sd-steps=1", f"--sd-batch-sizes={until_oom}", *few),
            ),
        ),
        Part(
            name="compiled",
            why="compiled against eager",
            share=0.3,
            archive="sweeps.tar",
            commands=(
                _measured(
                    device, "sd15-compiled", sd15, f"--sd-steps={steps}", "--sd-batch-sizes=1,4",
                    f"--sd-variants=eager,{'compile' if full else 'compile-regional'}", *few,
                ),
            ),
        ),
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all parts; 0 where every one came to its end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the files go; made where it is missing")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:N, or cpu for the rehearsal")
    parser.add_argument("--minutes", type=float, default=14.0, help="of all parts together")
    names = [part.name for part in parts(device="cuda", full=True)]
    parser.add_argument(
        "--only", action="append", choices=names, help="a part, which has all the time (again: several)"
    )
    given = parser.parse_args(arguments)
    refused = _refused(given.device)
    if refused:
        print(refused, file=sys.stderr)
        return 2
    folder: Path = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + 60 * given.minutes
    (folder / "environment.json").write_text(json.dumps(environment(given.device), indent=2) + "\n", encoding="utf-8")
    words = " ".join(arguments if arguments is not None else sys.argv[1:])
    report = [f"# {given.device}\n", f"`python tools/gpu_report.py {words}`\n"]
    failed = 0
    for part in parts(device=given.device, full=given.device != "cpu"):
        if given.only and part.name not in given.only:
            continue
        share = 1.0 if given.only else part.share
        seconds = min(60 * given.minutes * share, end - time.monotonic())
        ended, said = run(part, folder, seconds)
        failed += ended != "done"
        print(f"{part.name}: {ended} (of {seconds:.0f} s; see {given.folder / 'report.md'})", flush=True)
        report.append(f"## {part.name}: {ended}\n\n{part.why}\n\n```\n{said}\n```\n")
        (folder / "report.md").write_text("\n".join(report), encoding="utf-8")
    return 1 if failed else 0


def _refused(device: str) -> str:
    """Return why nothing could be measured; empty where it can."""
    missing = [name for name in PACKAGES if _version(name) is None]
    if missing:
        return f"not installed: {', '.join(missing)}; pip install {' '.join(missing)}"
    if device == "cpu":
        return ""
    import torch

    if not torch.cuda.is_available():
        return f"no CUDA GPU here (torch {torch.__version__}); --device=cpu rehearses it"
    return ""


def environment(device: str) -> dict[str, object]:
    """Return versions, what the driver says, and the fingerprint as the plugin reads it."""
    smi = shutil.which("nvidia-smi")
    said = _told([smi, "-q"]).stdout if smi else None
    code = (
        "import dataclasses, json, sys; from pytest_sdbatch.devices.detect import open_device; "
        "from pytest_sdbatch.measure.environment import read_environment; "
        "print(json.dumps(dataclasses.asdict(read_environment(open_device(sys.argv[1])))))"
    )
    seen = _told([sys.executable, "-c", code, device])
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in PACKAGES},
        "fingerprint": json.loads(seen.stdout) if seen.returncode == 0 else seen.stderr[-2000:],
        "nvidia-smi": said,
    }


def run(part: Part, folder: Path, seconds: float) -> tuple[str, str]:
    """Run the commands of *part* for *seconds* at most; return how it ended, and the last lines that it printed."""
    end = time.monotonic() + seconds
    ended, said, everything = "done", "", ""
    with TemporaryDirectory() as name:
        for number, command in enumerate(part.commands, start=1):
            left = end - time.monotonic()
            if left <= 0:
                ended = f"time was up after {number - 1} of {len(part.commands)} commands"
                break
            status, said = _run(command, Path(name), left, folder / "log.txt")
            everything += said
            if part.archive is not None:
                _pack(sorted(Path(name).glob("*.json")), folder / part.archive)
            if status is None:
                ended = f"time was up in command {number} of {len(part.commands)}"
                break
            if status != 0:
                ended = f"command {number} of {len(part.commands)} ended with {status}"
                break
    if part.archive is None:
        (folder / f"{part.name.replace(' ', '_')}.txt").write_text(everything, encoding="utf-8")
    return ended, "\n".join(said.splitlines()[-_TAIL_LINES:])


def _run(command: Sequence[str], where: Path, seconds: float, log: Path) -> tuple[int | None, str]:
    """Run ``python command``; the status is None where its time was up, and then it has 20 s to write what it has.

    What it prints goes to *log* at once: nothing is lost with this process, and no grandchild that keeps a pipe open
    (compilers have such) can hold it up.
    """
    with log.open("a+", encoding="utf-8", errors="replace") as file:
        file.write(f"$ python {' '.join(command)}\n")
        file.flush()
        start = file.tell()
        process = subprocess.Popen(
            [sys.executable, *command], cwd=where, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        status = _waited(process, seconds)
        file.seek(start)
        said = file.read()
    return status, said


def _waited(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own group: its children too
    process.wait()
    return None


def _told(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "no answer within a minute")


def _pack(files: Sequence[Path], archive: Path) -> None:
    """Put *files* that it lacks into *archive*."""
    with tarfile.open(archive, "a") as tar:
        there = set(tar.getnames())
        for file in files:
            if file.name not in there:
                tar.add(file, arcname=file.name)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    sys.exit(main())
