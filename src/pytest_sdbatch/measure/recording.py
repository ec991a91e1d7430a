"""From what was measured to the record of a case: its outcome, its figures, and what else was on the device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pytest_sdbatch.analysis.limits import unjudged_limits
from pytest_sdbatch.devices.device import Device, Processes
from pytest_sdbatch.errors import SdbatchError
from pytest_sdbatch.measure import validity
from pytest_sdbatch.measure.attempt import Attempt
from pytest_sdbatch.measure.boundaries import missing_energy, without_coarse_energy
from pytest_sdbatch.measure.loop import Measurement
from pytest_sdbatch.measure.workload import Workload
from pytest_sdbatch.pipelines.anatomy import describe
from pytest_sdbatch.pipelines.pool import Loaded
from pytest_sdbatch.records import Derived, Environment, Outcome, Reading, Record, Weights

_NOT_OURS = Reading(reason="the plugin did not load the pipeline")


def record_of(
    workload: Workload, attempt: Attempt, result: Measurement, loaded: Loaded | None, *, test: str, device: Device
) -> Record:
    """Return the record of what was measured, without its surroundings.

    Args:
        workload: that was run.
        attempt: at measuring it.
        result: of that.
        loaded: the pipeline that the plugin loaded, if it did.
        test: name of the test, without our parameters.
        device: where it ran.

    """
    outcome, reason, check = _judge(result, workload, attempt)
    derived = describe(workload.pipeline) if workload.pipeline is not None else Derived()
    return Record(
        test=test,
        case=workload.case,
        outcome=outcome,
        reason=reason,
        rounds=result.rounds,
        warmup_s=result.warmup_s,
        cold_start_s=result.cold_start_s,
        load_s=Reading(value=loaded.load_s) if loaded else _NOT_OURS,
        model_bytes=loaded.model_bytes if loaded else _NOT_OURS,
        memory_source=device.memory_source,
        memory_reason=result.memory_reason,
        unread=result.unread,
        compilation=attempt.compilation(result),
        stopped=result.stopped,
        stages=result.stages,
        output_check=check,
        tracer=result.tracer,
        weights=loaded.weights if loaded else Weights(kind="own"),
        derived=replace(
            derived,
            # Counted before the variant was applied: packed and fused parameters count otherwise.
            parameters=loaded.parameters if loaded else derived.parameters,
            denoiser_batch=result.denoiser_batch,
            denoiser_calls=result.denoiser_calls,
        ),
        trained=workload.trained,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a record is judged by besides its own figures."""

    device: Device
    environment: Environment
    before: Processes  # on the device, before the case
    policy: str  # about other processes there: warn, fail or ignore
    limits: Mapping[str, float]
    measured: Iterable[Record]  # of this run so far


def with_surroundings(record: Record, around: Surroundings) -> Record:
    """Return *record* with what else was on the device, and the outcome that a sound one has because of that."""
    device, memory = around.device, record.memory_round
    after = device.processes()
    rounds, energy_reason = without_coarse_energy(record.rounds, memory.energy_updates if memory else None)
    if energy_reason is None and "energy" not in around.environment.unknown:
        energy_reason = missing_energy(rounds)
    foreign = None if around.policy == "ignore" else validity.foreign_processes(around.before, after)
    record = replace(
        record,
        rounds=rounds,
        energy_reason=energy_reason,
        unread=_unread_meanwhile(record.unread or {}, around.environment),
        process_bytes=after.own_bytes,
        process_source=after.own_source,
        foreign_processes=foreign,
        # Beside processes of our own every case waits, which the record says by itself.
        contention=validity.contention(rounds, around.environment.must_match) if record.is_alone else None,
    )
    if record.outcome is not Outcome.OK:
        return record
    smaller = validity.smaller_s_per_image(around.measured, record)
    slowed = validity.throttled(rounds)
    doubt = (
        (validity.crowded(foreign) if around.policy == "fail" else None)
        or validity.over_limit(record, around.limits, timed=slowed is None)
        or validity.spilled(device, record, smaller)
        or slowed
    )
    if doubt is not None:
        return replace(record, outcome=doubt.outcome, reason=doubt.reason)
    unjudged = unjudged_limits(record, around.limits)
    if not unjudged:
        return record
    return replace(record, reason=f"{'; '.join(unjudged)}: not judged, because something else used its cores")


def _unread_meanwhile(unread: Mapping[str, str], where: Environment) -> Mapping[str, str] | None:
    """Return why rounds lack figures that the device told of as the run began; energy has a reason of its own."""
    return {name: why for name, why in unread.items() if name not in where.unknown and name != "energy"} or None


def _judge(result: Measurement, workload: Workload, attempt: Attempt) -> tuple[Outcome, str | None, str]:
    """Return the outcome, why it is not ok, and what the check of the outputs said."""
    error, fault = attempt.error, result.fault or attempt.fault
    if error is not None:
        reason = error.line if isinstance(error, SdbatchError) else f"{type(error).__name__}: {error}"
        return Outcome.CRASHED, reason, "unchecked"
    if result.failure is not None:
        return result.failure.outcome, result.failure.reason, "unchecked"
    if fault is not None:
        return Outcome.INVALID_ENVIRONMENT, fault, "unchecked"
    verdict = workload.judge(result.outputs)
    outcome = Outcome.OK if verdict.problem is None else verdict.outcome
    return outcome, verdict.problem, verdict.status
