"""``sdbatch ab`` end to end: real tiny pipelines in a scratch repository, slowed code and unchanged code.

The slower candidate has a denoiser with twice the layers; the other one differs from its base by a comment.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.harness.report import Line
from pytest_sdbatch.analysis.config import Config
from pytest_sdbatch.analysis.estimate import locations, student_quantile
from pytest_sdbatch.storage.sides import read_side_runs

TITLE = "sdbatch ab, end to end"
HALVES = ("slowed", "unchanged")
SLOWED, UNCHANGED = 10, 20
_REGRESSED = 10
_LAYERS = 6  # so many that they are most of a call
_WORDS = (
    *("--base=main", "--json", "--", "benchmarks/", "--sd-models=tiny-sd", "--sd-device=cpu", "--sd-batch-sizes=1"),
    *("-o", "sd_max_rounds=5"),  # a process: they differ by more than rounds do, and the jobs are many
)
_FILES = {
    "app.py": f"LAYERS = {_LAYERS}\n",
    "benchmarks/conftest.py": """
import pytest


@pytest.fixture
def sd_pipeline(sd_loaded_pipeline):
    from diffusers import UNet2DConditionModel

    import app

    config = {**sd_loaded_pipeline.unet.config, "layers_per_block": app.LAYERS}
    sd_loaded_pipeline.unet = UNet2DConditionModel.from_config(config)
    return sd_loaded_pipeline
""",
    "benchmarks/test_app.py": """
def test_text_to_image(sd_benchmark, sd_pipeline):
    sd_benchmark(sd_pipeline)
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one call of the command came to."""

    status: int
    case: dict[str, Any]
    differences: tuple[float, ...]  # candidate - base in ln s, by pair


def run(half: str | None = None) -> list[Line]:
    """Measure, and return the findings.

    Args:
        half: one of :data:`HALVES`; None: both, which take hours.

    """
    lines: list[Line] = []
    with TemporaryDirectory() as name:
        root = Path(name).resolve()
        _make(root)
        if half in (None, "slowed"):
            code = f"LAYERS = {2 * _LAYERS}\n"
            lines += _of_slowed([_job(root, code, f"slowed {number}") for number in range(SLOWED)])
        if half in (None, "unchanged"):
            code = f"LAYERS = {_LAYERS}\n# "
            lines += _of_unchanged(
                [_job(root, f"{code}{number}\n", f"unchanged {number}") for number in range(UNCHANGED)]
            )
    return lines


def _of_slowed(jobs: Sequence[_Job]) -> Iterator[Line]:
    found = sum(job.case["verdict"] == "regressed" and job.status == _REGRESSED for job in jobs)
    named = sum(any(text.startswith("stage: denoiser") for text in job.case["growth"]) for job in jobs)
    slower = [job.case["time"]["estimate"] for job in jobs]
    yield Line(
        what=f"a denoiser of twice the layers, {len(jobs)} jobs: regressed, with exit status {_REGRESSED}",
        figure=f"{found} of {len(jobs)}",
        goal="9 of 10",
        met=found >= 0.9 * len(jobs),
    )
    yield Line(
        what="the denoiser named as what grew",
        figure=f"{named} of {found}",
        goal="wherever regressed",
        met=named >= found,
    )
    yield Line(
        what="how much slower the pipeline was (median of the jobs)",
        figure=f"{statistics.median(slower):+.0%}",
        goal=">= +60 %",
        met=statistics.median(slower) >= 0.6,
    )


def _of_unchanged(jobs: Sequence[_Job]) -> Iterator[Line]:
    verdicts = [job.case["verdict"] for job in jobs]
    counts = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts))
    yield Line(
        what=f"a comment changed, {len(jobs)} jobs: regressed",
        figure=f"{verdicts.count('regressed')} ({counts})",
        goal="0",
        met="regressed" not in verdicts,
    )
    differences = [value for job in jobs for value in job.differences]
    spread = math.sqrt(statistics.fmean(value**2 for value in differences))  # about 0: nothing changed
    yield Line(
        what=f"stdev between the processes of a pair, of {len(differences)} pairs of unchanged code",
        figure=f"{spread:.2%}",
    )
    unclear = [job for job in jobs if job.case["verdict"] == "inconclusive"]
    yield _agreement("the stdev of its own pairs", [_over(job, statistics.stdev(job.differences)) for job in unclear])
    # Of four pairs a stdev is known to a factor of 0.3 to 1.8, of eight to 0.5 to 1.5: no job can be held to that of
    # all of them, but the middle one can.
    ratios = [_over(job, spread) for job in unclear]
    yield _agreement("this stdev (median)", [statistics.median(ratios)] if ratios else [])


def _over(job: _Job, spread: float) -> float:
    time = job.case["time"]
    return float(time["minimum_detectable_effect"] / _detectable(spread, time["pairs"]))


def _agreement(of: str, ratios: Sequence[float]) -> Line:
    return Line(
        what=f"the effect that each inconclusive job says it can detect, over that of {of}",
        figure=", ".join(f"{ratio:.2f}" for ratio in ratios) or "no job was inconclusive",
        goal="0.5 to 2",
        met=all(0.5 <= ratio <= 2 for ratio in ratios) if ratios else None,
    )


def _detectable(spread: float, pairs: int) -> float:
    """Return the minimum detectable effect of *pairs* pairs of one suspect with this stdev."""
    reach = student_quantile(pairs - 1, 1 - Config().final_alpha) + student_quantile(pairs - 1, 0.8)
    return math.expm1(reach * spread / math.sqrt(pairs))


def _make(root: Path) -> None:
    for name, text in _FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    identity = ("-c", "user.name=Harness", "-c", "user.email=harness@example.org")
    for arguments in (("init", "--quiet", "--initial-branch=main"), ("add", "."), ("commit", "--quiet", "-m", "base")):
        subprocess.run(["git", *identity, "-C", str(root), *arguments], check=True)


def _job(root: Path, code: str, name: str) -> _Job:
    (root / "app.py").write_text(code, encoding="utf-8")
    call = "import sys; from pytest_sdbatch.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", call, "ab", *_WORDS],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},  # so that work on other cores is no part of the noise
    )
    data = json.loads(done.stdout)
    if not data.get("cases"):
        raise RuntimeError(f"{name}: {data}\n{done.stderr}")
    (case,) = data["cases"]
    job = _Job(status=done.returncode, case=case, differences=tuple(_differences(root)))
    time = case["time"]
    print(  # all that is known of it: a run of hours may be cut off
        f"{name}: exit status {done.returncode}, {case['verdict']} ({case['reason']}), {time['estimate']:+.1%} from "
        f"{time['pairs']} pairs, finds {time['minimum_detectable_effect']:.1%}; stdev of {len(job.differences)} pairs "
        f"{statistics.stdev(job.differences):.2%}; grew: {', '.join(case['growth']) or '-'}",
        file=sys.stderr,
        flush=True,
    )
    return job


def _differences(root: Path) -> Iterator[float]:
    """Yield what the pairs of the latest job differ by, of their only case."""
    folder = max((root / ".sdbatch").glob("ab-*"))
    for base in sorted(folder.glob("pair-*-base.json")):
        candidate = base.with_name(base.name.replace("base", "candidate"))
        there, here = (
            locations({name: found.seconds for name, found in read_side_runs(path)[0].cases.items()})
            for path in (base, candidate)
        )
        yield from (here[name] - there[name] for name in there)
