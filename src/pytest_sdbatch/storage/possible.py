"""Values that no measurement gives are refused, whichever way they came: to be written, or from a file."""

from __future__ import annotations

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.records import Environment, MemoryRound, Record
from pytest_sdbatch.storage.plain import LARGEST, join

_AMOUNTS = (  # of a MemoryRound, each a number of bytes
    "limit_bytes", "reserved_bytes", "unreleasable_bytes", "address_space_bytes", "address_space_limit_bytes",
)  # fmt: skip
PEAKS = ("peak_allocated_bytes", "peak_reserved_bytes", "host_peak_bytes")  # of Round: what peak memory may mean

_TEST_OUTCOMES = ("passed", "failed", "skipped", "regressed")


def check_record(record: Record, path: str) -> None:
    """Refuse values that no measurement gives.

    Raises:
        RunFileError: names the key below *path*.

    """
    case = record.case
    sizes = {
        "case.height": case.height,
        "case.width": case.width,
        "case.steps": case.steps,
        "case.batch_size": case.batch_size,
        "case.batch_count": case.batch_count,
        "case.frames": 1 if case.frames is None else case.frames,
        "parallel": record.parallel,
    }
    if case.training is not None:
        sizes["case.training.accumulation"] = case.training.accumulation
        sizes["case.training.processes"] = case.training.processes
        sizes["case.training.rank"] = 1 if case.training.rank is None else case.training.rank
    if min(sizes.values()) < 1:
        name = min(sizes, key=sizes.__getitem__)
        raise RunFileError(f"{join(path, name)}: {sizes[name]} is less than 1")
    if max(sizes.values()) >= LARGEST:
        name = max(sizes, key=sizes.__getitem__)
        raise RunFileError(f"{join(path, name)}: a number beyond 2**63")
    if record.test_outcome not in _TEST_OUTCOMES:
        raise RunFileError(f"{join(path, 'test_outcome')}: {record.test_outcome!r}")
    if record.memory_source not in (None, *PEAKS):
        raise RunFileError(f"{join(path, 'memory_source')}: {record.memory_source!r} is none of {', '.join(PEAKS)}")
    for name, held in (("model_bytes", record.model_bytes.value), ("process_bytes", record.process_bytes.value)):
        if held is not None and (type(held) is float or held < 0):
            raise RunFileError(f"{join(path, name)}.value: {held} is no number of bytes")
    durations = [*record.warmup_s, record.cold_start_s.value or 0, record.load_s.value or 0]
    if record.compilation is not None:
        durations.append(record.compilation.seconds)
    if min(durations) < 0:
        raise RunFileError(f"{path}: a negative time before the rounds")
    if record.memory_round is not None:
        _check_time_line(record.memory_round, join(path, "memory_round"))


def check_environment(environment: Environment, path: str) -> None:
    """Refuse facts of a run that no run has.

    Raises:
        RunFileError: names the key below *path*.

    """
    workers = environment.must_match.get("parallel", 1)  # unknown in a run that was not measured by us
    if type(workers) is not int or workers < 1:
        raise RunFileError(f"{join(path, 'environment.must_match.parallel')}: {workers!r} is no number of workers")


def _check_time_line(made: MemoryRound, path: str) -> None:
    if len(made.time_s) != len(made.used_bytes):
        raise RunFileError(f"{join(path, 'used_bytes')}: {len(made.used_bytes)} entries for {len(made.time_s)} times")
    stages = tuple((made.stage_peak_bytes or {}).values())
    amounts = {name: (value,) for name in _AMOUNTS if (value := getattr(made, name)) is not None}
    columns = {"time_s": made.time_s, "used_bytes": made.used_bytes, "stage_peak_bytes": stages, **amounts}
    for name, column in columns.items():
        if min(column, default=0) < 0:
            raise RunFileError(f"{join(path, name)}: {min(column)} is below 0")
