"""Baselines at a URL: an object and then its pointer, and what readers see while two write or one is killed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stores import URL, Scripted, nothing, raising

from pytest_sdbatch.errors import RunFileError
from pytest_sdbatch.grid.case import Case
from pytest_sdbatch.records import Environment, Outcome, Record, Round, Run
from pytest_sdbatch.storage.run_file import runs_in
from pytest_sdbatch.storage.store import Store

MakeRun = Callable[..., Run]
KEY = "main/cpu-1234abcd.json"
BESIDE = "main/cpu-1234abcd"


def read(store: Store, key: str = KEY) -> list[str] | None:
    """Return the ids of the runs under *key*; None where nothing is."""
    found = store.read(key)
    return None if found is None else [run.id for run in runs_in(found.data, found.file)]


def test_runs_come_back_and_the_object_is_named(store: Store, scripted: type[Scripted], make_run: MakeRun) -> None:
    """The line names pointer and object; who reads is told the object, which will never be another one."""
    runs = [make_run(id="20261129T101112131415Z-ab12cd34"), make_run(id="b")]

    said = store.write(KEY, runs)
    found = store.read(KEY)

    assert found is not None
    assert runs_in(found.data, found.file) == tuple(runs)
    name = found.file.removeprefix(f"{URL}/{BESIDE}/")
    assert name.startswith("20261129T101112131415Z-ab12cd34-")
    assert said == f"{URL}/{KEY} names {name}"
    assert scripted.paths() == [KEY, f"{BESIDE}/{name}"]


def test_saving_again_moves_the_pointer_and_keeps_the_object(
    store: Store, scripted: type[Scripted], make_run: MakeRun
) -> None:
    """A job on main renews its baseline on every merge; the earlier one is in force again once its name is back."""
    store.write(KEY, [make_run(id="a")])
    first = scripted.take(KEY)
    scripted.put(KEY, first)
    store.write(KEY, [make_run(id="b")])

    assert read(store) == ["b"]
    assert [path.partition("cpu-1234abcd")[2][:3] for path in scripted.paths()] == [".js", "/a-", "/b-"]
    scripted.put(KEY, first)
    assert read(store) == ["a"]


def test_a_key_without_a_pointer_has_no_baseline(store: Store, make_run: MakeRun) -> None:
    """Nothing is listed and nothing read where nothing is, and objects of other names or devices are none."""
    assert store.stored() == []
    assert store.stored("main") == []
    assert read(store) is None
    for key in ("new/a.json", KEY, "main/b.json"):
        store.write(key, [make_run()])

    assert store.stored() == ["main/b.json", KEY, "new/a.json"]
    assert store.stored("new") == ["new/a.json"]
    assert read(store, "new/b.json") is None


def test_whether_it_may_be_written_is_tried_and_changes_nothing(
    store: Store, scripted: type[Scripted], make_run: MakeRun
) -> None:
    """Beside the objects, where no pointer is looked for."""
    store.check_new(KEY)
    assert scripted.paths() == [f"{BESIDE}/may-write"]
    assert (store.stored(), read(store)) == ([], None)
    store.write(KEY, [make_run(id="a")])
    store.check_new(KEY)
    assert read(store) == ["a"]


# Two who write at once, one of whom may be stopped, step by step, in any order.

Step = tuple[str, bytes]


def a_run(run_id: str) -> Run:
    """Return a small run."""
    case = Case(model="tiny-sd", dtype="fp32", device="cpu", height=64, width=64, steps=4, batch_size=1, batch_count=1)
    rounds = tuple(Round(wall_s=s, cpu_s=s, call_s=(s,)) for s in (0.5, 0.25, 0.75))
    return Run(
        id=run_id,
        started_at="2026-11-23T10:15:00+00:00",
        environment=Environment(must_match={"threads": 2}, drift={}, shown={}),
        options={},
        records=(Record(test="test_x.py::test_it", case=case, outcome=Outcome.OK, rounds=rounds),),
        plugin_version="0.1.0",
    )


def steps_of(run_id: str) -> list[Step]:
    """Return what storing a run does: whole objects that are written, in this order, and nothing else."""
    steps: list[Step] = []
    files = SimpleNamespace(pipe_file=lambda path, data: steps.append((path, data)))
    Store(url=URL, files=files, root="/bucket/baselines").write(KEY, [a_run(run_id)])
    return steps


RUNS = ("a", "b")
STEPS = {run_id: steps_of(run_id) for run_id in RUNS}


def in_memory() -> Store:
    """Return a store that is empty."""
    Scripted.empty()
    return Store(url=URL, files=Scripted(), root="/bucket/baselines")


def test_storing_is_an_object_and_then_a_pointer() -> None:
    """Two steps, the second of which names the first; what follows plays them in every order."""
    (place, _), (pointer, data) = STEPS["a"]

    assert pointer == f"/bucket/baselines/{KEY}"
    assert place == f"/bucket/baselines/{BESIDE}/{json.loads(data)['object']}"


@given(
    order=st.permutations([run_id for run_id in RUNS for _ in STEPS[run_id]]),
    stopped=st.sampled_from([None, *RUNS]),
    after=st.integers(0, 2),
)
def test_nobody_sees_half_a_baseline_and_two_writers_lose_nothing(
    order: list[str], stopped: str | None, after: int
) -> None:
    """After each step a reader finds nothing or what the last pointer names, whole; every object stays.

    A writer that is killed between its steps leaves the baseline that was in force.
    """
    memory, left = in_memory(), {run_id: list(STEPS[run_id]) for run_id in RUNS}
    if stopped is not None:
        del left[stopped][after:]
    in_force, written = None, set()
    for run_id in order:
        if not left[run_id]:
            continue
        path, data = left[run_id].pop(0)
        memory.files.pipe_file(path, data)
        written.add(path)
        in_force = [run_id] if path.endswith(KEY) else in_force
        assert read(memory) == in_force
    assert set(Scripted.store) == written


@given(first=st.sampled_from([None, "a"]), share=st.floats(0, 1, exclude_max=True))
def test_half_a_step_is_never_read_as_a_baseline(first: str | None, share: float) -> None:
    """Where a store does not put objects whole: half an object is not named yet, half a pointer is refused."""
    memory = in_memory()
    for path, data in STEPS[first] if first is not None else ():
        memory.files.pipe_file(path, data)
    before = read(memory)
    (place, whole), (path, pointer) = STEPS["b"]

    memory.files.pipe_file(place, whole[: int(share * len(whole))])
    assert read(memory) == before
    memory.files.pipe_file(path, pointer[: int(share * len(pointer))].rstrip(b"}\n"))
    with pytest.raises(RunFileError, match=r"main/cpu-1234abcd\.json cannot be read"):
        read(memory)


def test_a_writer_that_is_killed_before_the_pointer_leaves_the_old_one(
    store: Store, scripted: type[Scripted], make_run: MakeRun
) -> None:
    """Ctrl-C included; its object is there, and the next who saves goes on as if it were not."""
    store.write(KEY, [make_run(id="a")])
    scripted.before = raising(KeyboardInterrupt(), when=lambda verb, path: verb == "write" and path.endswith(KEY))

    with pytest.raises(KeyboardInterrupt):
        store.write(KEY, [make_run(id="b")])

    assert read(store) == ["a"]
    assert len(scripted.paths()) == 3
    scripted.before = nothing
    store.write(KEY, [make_run(id="c")])
    assert read(store) == ["c"]


def test_a_name_of_a_run_that_is_no_name_of_a_file_is_made_one(store: Store, scripted: type[Scripted]) -> None:
    """Runs of merged files have the ids that somebody wrote."""
    odd = "../\u00e9 /" + "y" * 99

    store.write(KEY, [replace(a_run("x"), id=odd)])

    assert read(store) == [odd]
    assert all(path.startswith("main/cpu-1234abcd") for path in scripted.paths())
