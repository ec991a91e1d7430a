from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from reported import HOSTILE

from pytest_sdbatch.analysis.learning_curve import End, Evaluation
from pytest_sdbatch.analysis.learning_runs import (
    DataFacts,
    NoiseReading,
    Part,
    Quality,
    RatePolicy,
    StepMemory,
    Study,
    TrainingRun,
    TunedRate,
)
from pytest_sdbatch.analysis.noise_scale import NoiseScale, NoiseSplit
from pytest_sdbatch.analysis.scaling import Bounds
from pytest_sdbatch.records import Reading

FEWEST, STEPS = 5500.0, 67.0  # examples and steps of the law that made studies follow
TARGET, START = 0.195, 1.1


def made_run(
    size: int,
    seed: int,
    *,
    part: Part = Part.TABLE,
    data: str = "all",
    count: int | None = None,
    end: End = End.REACHED,
    examples: float | None = None,
    floor: float = 0.05,
) -> TrainingRun:
    """Return a run whose loss falls as a power of the examples, reaching TARGET by the law, seeds 3 % apart."""
    to_target = (FEWEST + STEPS * size if examples is None else examples) * (1 + 0.03 * (seed - 1))
    evaluations = [_evaluation(0, size, count, START, floor)]
    for share in (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.87, 0.94, 1.0):
        steps = max(1, round(share * to_target / size))
        if steps <= evaluations[-1].steps:
            continue
        loss = START * math.exp(-math.log(START / TARGET) * math.sqrt(share))
        evaluations.append(_evaluation(steps, size, count, loss if share < 1 else TARGET * 0.9999, floor))
    return TrainingRun(
        part=part,
        data=data,
        batch_size=size,
        batch_count=count,
        rate=1e-3,
        seed=seed,
        end=end,
        reason=f"the held-out loss was {TARGET}" if end is End.REACHED else "the loss was no finite number at step 9",
        evaluations=tuple(evaluations),
        quality=Quality(
            accuracy=Reading(value=0.9 + 0.001 * seed), frechet=Reading(value=1.0 + 0.1 * seed), images=300
        ),
    )


def _evaluation(steps: int, size: int, count: int | None, loss: float, gap: float) -> Evaluation:
    seconds = steps * (9.8e-3 + 0.248e-3 * size) * (1 + 0.002 * math.sin(steps))
    return Evaluation(
        steps=steps,
        examples=steps * size,
        seconds=seconds,
        wall_s=seconds * 1.01,
        held_out_loss=loss,
        train_loss=loss * (1 - gap),
        bands=(loss * 2, loss, loss * 0.5, loss * 0.2),
        batch_size=size if steps else None,
        batch_count=count,
    )


def made_noise(scale: float = 60.0, examples: int = 0, data: str = "all") -> NoiseReading:
    """Return a reading of so large a noise scale."""
    found = NoiseScale(size=Bounds(estimate=scale, low=0.7 * scale, high=1.5 * scale), batches=32, batch_size=8)
    return NoiseReading(examples=examples, held_out_loss=0.5, data=data, plain=found, adam=None, cpu_s=0.4)


def made_memory(size: int) -> StepMemory:
    """Return the peaks of a step on a GPU."""
    peaks = {"forward": (100 + size) * 2**20, "backward": (120 + 2 * size) * 2**20, "optimizer": 90 * 2**20}
    return StepMemory(batch_size=size, measure="peak_allocated_bytes", phase_bytes=peaks)


def made_study(
    *,
    sizes: tuple[int, ...] = (16, 64, 256),
    seeds: tuple[int, ...] = (0, 1, 2),
    tuned: bool = False,
    ramp: float = 6000.0,
    rates: tuple[TunedRate, ...] = (),
    more: tuple[TrainingRun, ...] = (),
    policy: RatePolicy = RatePolicy.TUNED,
    facts: Mapping[str, str | int | float | None] | None = None,
    metered: bool = False,
) -> Study:
    """Return a study as it might have been measured."""
    runs = [made_run(size, seed) for size in sizes for seed in seeds]
    runs += [made_run(sizes[0], seed, part=Part.RAMP, count=8, examples=ramp) for seed in seeds]
    runs += [made_run(sizes[len(sizes) // 2], seed, part=Part.COUNT, count=4) for seed in seeds]
    all_runs = (*runs, *more)
    part = Bounds(estimate=0.1, low=0.05, high=0.15)
    return Study(
        started_at="2026-01-02T03:04:05+00:00",
        data=DataFacts(
            name="digits", train_images=1438, held_out_images=359, side=8, channels=1, classes=10, parameters=164_625
        ),
        target=TARGET,
        policy=policy,
        rates_from="tuned here" if tuned else "tuned elsewhere: recorded for digits",
        tuned_here=tuned,
        rates_fit=tuned or policy is RatePolicy.TUNED,
        most_examples=57_520,
        runs=tuple(replace(run, joules=Reading(value=0.02 * run.evaluations[-1].examples)) for run in all_runs)
        if metered
        else all_runs,
        noise=(
            *(made_noise(20.0 * (index + 1), examples=1000 * index) for index in range(7)),
            *(made_noise(120.0, examples=9000, data=name) for name in ("all", "one-class", "three-classes", "small")),
        ),
        split=NoiseSplit(image=part, timestep=part, noise=Bounds(estimate=0.8, low=0.7, high=0.9)),
        rates=rates,
        memory=tuple(made_memory(size) for size in sizes) if metered else (),
        facts=facts
        or {"device_kind": "cpu", "device_name": "A CPU", "threads": 1, "torch": "2.13.0", "classifier_accuracy": 0.98},
        command="sdbatch study",
    )


def hostile_study() -> Study:
    """Return a study in which all text that may come from outside tries to be more than text."""
    text = "".join(HOSTILE)
    study = made_study()
    return replace(
        study,
        data=replace(study.data, name=text),
        rates_from=text,
        started_at=text,
        command=text,
        runs=tuple(
            replace(run, reason=text, end=End.NOT_REACHED if run.batch_size == 16 else run.end) for run in study.runs
        ),
        noise=tuple(replace(reading, data=text if at == 0 else reading.data) for at, reading in enumerate(study.noise)),
        facts={**study.facts, "device_name": text, text: text},
    )
