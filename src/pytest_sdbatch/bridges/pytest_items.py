"""Benchmarks as pytest items: their parameters, their order, their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch import units
from pytest_sdbatch.bridges import pytest_benchmark, pytest_options, training_items
from pytest_sdbatch.errors import OptionError, SdbatchError
from pytest_sdbatch.grid.case import case_of_id
from pytest_sdbatch.options import BY_SPELLING, Origin, flag_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_sdbatch.grid.case import Case
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.options import Options
    from pytest_sdbatch.pipelines.pool import Loaded
    from pytest_sdbatch.records import Outcome, Record

# Scalars, so that pytest-benchmark can group by them, with names that shadow nobody's fixtures.
PARAMETERS = (
    "sd_model",
    "sd_dtype",
    "sd_device",
    "sd_variant",
    "sd_resolution",
    "sd_steps",
    "sd_batch_size",
    "sd_batch_count",
)
RECORD: pytest.StashKey[Record] = pytest.StashKey()  # what was measured of an item
LOADED: pytest.StashKey[Loaded] = pytest.StashKey()  # the pipeline that the plugin loaded for an item
BENCHMARK: pytest.StashKey[Any] = pytest.StashKey()  # pytest-benchmark's fixture of an item
SUITES = tuple(Path(__file__).parents[1] / name for name in ("suite", "suite_training"))
_SUITE_FILES = ("pytest_sdbatch/suite/test_sweep.py", "pytest_sdbatch/suite_training/test_training.py")
_MEASURING = ("sd_benchmark", training_items.FIXTURE)


def parametrize(metafunc: pytest.Metafunc, host: Host) -> None:
    """Give a test that asks for a case the whole grid, one set of scalar parameters per case.

    Errors are kept in ``host.error``: here pytest would show them as a broken file, with a traceback.
    """
    if "sd_case" not in metafunc.fixturenames:
        return
    from pytest_sdbatch.devices.detect import check_loads_models

    cases: Sequence[Case] = ()
    trains = training_items.trains(metafunc.fixturenames)
    try:
        pytest_options.check_file(host.config)
        refuse_own_parametrization(metafunc.definition)
        with_model = loads_model(metafunc.fixturenames) or (
            trains and training_items.calls_without_step(metafunc.function)
        )
        options = options_of(metafunc.definition, host, with_model=with_model)
        if trains:
            cases = training_items.cases_of(options, host, with_model=with_model, test=metafunc.definition.nodeid)
        else:
            cases = host.cases_of(options, with_model=with_model)
        host.prompts(options)
        host.guarded |= _measures(metafunc.fixturenames) and options.choice("foreign_processes") == "fail"
        if with_model:
            check_loads_models(host.device)
        if not with_model and host.options.origin("models") > Origin.DEFAULT:
            host.hints.append(f"{metafunc.definition.nodeid} brings its own pipeline: models is not for it")
    except SdbatchError as error:
        marked = any(True for _ in metafunc.definition.iter_markers("sdbatch"))
        if host.error is None:
            host.error = error.at(metafunc.definition.nodeid) if marked else error
    for case in cases:
        host.cases[metafunc.definition.nodeid, scalars(case)] = case
    values = [scalars(case) for case in cases]
    names = (*PARAMETERS, training_items.ACCUMULATION) if trains else PARAMETERS
    metafunc.parametrize(names, values, ids=[case.id for case in cases], scope="function")


def loads_model(fixture_names: Sequence[str]) -> bool:
    """Return whether the test uses a pipeline that we load, rather than one of the project's own."""
    if "sd_loaded_pipeline" in fixture_names:
        return True
    # Before 9.1 pytest does not list what an overridden fixture asks of the one it overrides: then
    # an override may still wrap ours, and the model of the grid is the better guess.
    return "sd_pipeline" in fixture_names and pytest.version_tuple < (9, 1)


def options_of(node: pytest.Item, host: Host, *, with_model: bool = True) -> Options:
    """Return the options in force for one test: those of the run, and those of its markers, the closest first.

    ``--sd-models`` is not for a test that brings its own pipeline (*with_model* false): only its marker names that.
    """
    from pytest_sdbatch.measure.stopping import Rules

    keywords: dict[str, object] = {}
    for marker in reversed(list(node.iter_markers("sdbatch"))):
        if marker.args:
            raise OptionError(
                f"@pytest.mark.sdbatch({', '.join(map(repr, marker.args))}): values need a name",
                fix="write @pytest.mark.sdbatch(batch_sizes=...)",
            )
        keywords.update(marker.kwargs)
    run_options = host.options if with_model else host.options.without("models")
    options = run_options.with_marker(keywords)
    options.check()
    Rules.from_options(options)
    return options


def refuse_own_parametrization(node: pytest.Item) -> None:
    """Raise OptionError where a test parametrizes one of our parameters itself."""
    for marker in node.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", ())
        listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
        for name in listed:
            if name in PARAMETERS:
                row = BY_SPELLING[name.removeprefix("sd_")]
                raise OptionError(
                    f"{node.nodeid} parametrizes {name}, which the grid already does",
                    fix=f"write @pytest.mark.sdbatch({row.name}=...)" if row.marker else f"give {flag_of(row)}=...",
                )


def scalars(case: Case) -> tuple[str | int | None, ...]:
    """Return the values of PARAMETERS for *case*, and behind them the accumulation of one that trains."""
    resolution = f"{case.height}x{case.width}"
    values = (
        case.model,
        case.dtype,
        case.device,
        case.variant,
        resolution,
        case.steps,
        case.batch_size,
        case.batch_count,
    )
    return values if case.training is None else (*values, case.training.accumulation)


def case_of(node: pytest.Function, host: Host) -> Case:
    """Return the case of a collected item from its scalar parameters."""
    return host.cases[_key_of(node)]


def case_of_item(item: pytest.Item, host: Host) -> Case | None:
    """Return the case of any item; None where it is no benchmark of ours."""
    callspec = getattr(item, "callspec", None)
    if not isinstance(item, pytest.Function) or callspec is None or not set(PARAMETERS) <= set(callspec.params):
        return None
    # None too for the placeholder that pytest makes of a test whose grid could not be planned.
    return host.cases.get(_key_of(item))


def _key_of(item: pytest.Function) -> tuple[str, tuple[object, ...]]:
    params = item.callspec.params
    accumulation = (params[training_items.ACCUMULATION],) if training_items.ACCUMULATION in params else ()
    return _definition_id(item), (*(params[name] for name in PARAMETERS), *accumulation)


def name_of_test(node: pytest.Function, case: Case) -> str:
    """Return the node id without our parameters; the shipped suite is named for its module, wherever it lies."""
    before, _, after = node.name[len(node.originalname) + 1 : -1].partition(case.id)
    # One dash joins parameters; a second one is a minus sign of the user's own.
    rest = "-".join(part for part in (before.removesuffix("-"), after.removeprefix("-")) if part)
    name = node.originalname + (f"[{rest}]" if rest else "")
    if any(node.path.is_relative_to(suite) for suite in SUITES):
        return f"pytest_sdbatch.suite::{name}"
    assert node.parent is not None
    return f"{node.parent.nodeid}::{name}"


def full_name_of(item: pytest.Item, host: Host) -> str | None:
    """Return the name that run files have for the case of *item*; None where it is no benchmark of ours."""
    case = case_of_item(item, host)
    if case is None or not measures(item):
        return None
    from pytest_sdbatch.records import full_name

    assert isinstance(item, pytest.Function)
    return full_name(name_of_test(item, case), case)


def read_node_id(node_id: str, device: str) -> tuple[str, Case] | None:
    """Return the name and the case of a benchmark of which only the node id is known; None for any other test."""
    file, _, names = node_id.partition("::")
    name, _, rest = names.partition("[")
    parameters = rest.rpartition("]")[0]  # behind it xdist writes a group: test[...]@group
    case = case_of_id(parameters, device=device)
    if case is None:
        return None
    own = parameters.removeprefix(case.id).removeprefix("-")
    where = "pytest_sdbatch.suite" if file.endswith(_SUITE_FILES) else file
    return f"{where}::{name}" + (f"[{own}]" if own else ""), case


def accept(items: list[pytest.Item], host: Host) -> None:
    """Take the collected benchmarks: ordered, and with the timer that pytest-benchmark needs.

    Raises:
        SdbatchError: the first one of collection, or an option that does not go with benchmarks.
    """
    if host.error is not None:
        raise host.error
    benchmarks = [item for item in items if case_of_item(item, host) is not None]
    if benchmarks and pytest_benchmark.codspeed_measures(host.config) and host.only_check:
        host.hints.append("codspeed measures alone: benchmarks of pytest-sdbatch make one round each, unmeasured")
    if benchmarks:
        pytest_benchmark.check_options(host.config)
        host.check_targets()
    for item in benchmarks:
        pytest_benchmark.mark_item(item)
    order(items, host)


def order(items: list[pytest.Item], host: Host) -> None:
    """Sort the benchmarks among *items* by what they load, then by test, then as the grid was written; in place.

    Each pipeline is loaded once and sizes ascend where they were written so, even if another plugin shuffled the
    items before: what counts is the order of collection. All other tests keep their positions.
    """
    planned = {key: number for number, key in enumerate(host.cases)}
    first: dict[object, int] = {}
    for (test, _), case in host.cases.items():
        first.setdefault(case.pool_key, len(first))
        first.setdefault((case.pool_key, test), len(first))
    places = [(index, item) for index, item in enumerate(items) if case_of_item(item, host) is not None]

    def wanted(item: pytest.Item) -> tuple[int, ...]:
        assert isinstance(item, pytest.Function)
        key = _key_of(item)
        pool_key = host.cases[key].pool_key
        return first[pool_key], first[pool_key, key[0]], planned[key]

    benchmarks = sorted((item for _, item in places), key=wanted)
    for (index, _), item in zip(places, benchmarks, strict=True):
        items[index] = item


def expect(items: Sequence[pytest.Item], host: Host) -> None:
    """Tell the host which benchmarks will run, in order."""
    cases = [(item, case) for item in items if (case := case_of_item(item, host)) is not None]
    host.expect([(case, measures(item)) for item, case in cases])
    measured = ((item, case) for item, case in cases if isinstance(item, pytest.Function) and measures(item))
    host.tests = [name_of_test(item, case) for item, case in measured]
    idle = sum(not measures(item) for item, _ in cases)
    if idle:
        tests = units.count(idle, "test")
        host.hints.append(f"{tests} with sd_pipeline or sd_case, but without sd_benchmark: run, not measured")
    host.progress.expect(item.nodeid for item, _ in cases if measures(item))


def measures(item: pytest.Item) -> bool:
    """Return whether *item* asks for ``sd_benchmark`` or ``sd_training``, and not for the case alone."""
    return isinstance(item, pytest.Function) and _measures(item.fixturenames)


def _measures(fixture_names: Sequence[str]) -> bool:
    return any(name in fixture_names for name in _MEASURING)


def refuse_idle(item: pytest.Item, host: Host) -> None:
    """Fail a benchmark that ended without calling ``sd_benchmark``: it would pass for ever and measure nothing."""
    if not measures(item) or host.only_check or RECORD in item.stash or case_of_item(item, host) is None:
        return
    leave_out(item)
    assert isinstance(item, pytest.Function)
    if training_items.trains(item.fixturenames):
        pytest.fail("sd_training was asked for and never called: write sd_training()", pytrace=False)
    pytest.fail("sd_benchmark was asked for and never called: write sd_benchmark(sd_pipeline)", pytrace=False)


def leave_out(item: pytest.Item) -> None:
    """Tell pytest-benchmark that *item* has no row for it, where its fixture was made: else it warns of that."""
    pytest_benchmark.leave_out(item.stash.get(BENCHMARK, None))


def outcome_of(raised: BaseException) -> Outcome:
    """Return how a case ended whose test *raised* before it was measured to its end."""
    from pytest_sdbatch.records import Outcome

    if isinstance(raised, pytest.skip.Exception):
        return Outcome.SKIPPED
    is_timeout = isinstance(raised, pytest.fail.Exception) and str(raised).endswith("from pytest-timeout.")
    return Outcome.TIMEOUT if is_timeout else Outcome.CRASHED


def reason_of(raised: pytest.ExceptionInfo[BaseException]) -> str:
    """Return why a test ended: of a user's exception with its class, of pytest's and ours without."""
    error = raised.value
    if isinstance(error, SdbatchError):
        return error.line
    if isinstance(error, (pytest.skip.Exception, pytest.fail.Exception)):
        return str(error)
    return raised.exconly(tryshort=True)


def leave(item: pytest.Item, host: Host) -> None:
    """Drop what *item* holds and free its pipeline when no benchmark to come needs it.

    Not in a fixture's tear-down: there the arguments of the test still hold the pipeline.
    """
    case = case_of_item(item, host)
    if case is not None:
        if LOADED in item.stash:
            del item.stash[LOADED]
        host.done_with(case)


def _definition_id(node: pytest.Function) -> str:
    assert node.parent is not None
    return f"{node.parent.nodeid}::{node.originalname}"
