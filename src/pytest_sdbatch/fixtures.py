"""What a benchmark asks for: ``sd_benchmark``, ``sd_training``, ``sd_pipeline``, ``sd_case``.

Every pytest run imports this, and only benchmarks what the fixtures do: that is imported inside of them.
"""
# A fixture is a thing, not an act.
# ruff: noqa: D401

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_sdbatch.errors import SdbatchError

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

    from pytest_sdbatch.bridges.measuring import SdBenchmark, SdTraining
    from pytest_sdbatch.grid.case import Case


@pytest.fixture
def sd_case(
    request: pytest.FixtureRequest,
    sd_model: str | None,
    sd_dtype: str,
    sd_device: str,
    sd_variant: str,
    sd_resolution: str,
    sd_steps: int,
    sd_batch_size: int,
    sd_batch_count: int,
) -> Case:
    """The point of the grid that this test runs at, a pytest_sdbatch.Case."""
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.host import host_of

    host = host_of(request.config)
    if pytest_items.RECORD in request.node.stash:  # of an earlier attempt: the test is run again
        del request.node.stash[pytest_items.RECORD]
    return pytest_items.case_of(request.node, host)


@pytest.fixture
def sd_loaded_pipeline(request: pytest.FixtureRequest, sd_case: Case) -> Any:
    """The pipeline as the plugin loads it. Ask for ``sd_pipeline`` instead, which a project may override."""
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.bridges.measuring import act_on, leave_out, skip_what_cannot_fit
    from pytest_sdbatch.host import host_of

    host = host_of(request.config)
    if sd_case.model is None:
        leave_out(request)
        pytest.fail("sd_pipeline must be an argument of the test, not asked for while it runs", pytrace=False)
    skip_what_cannot_fit(request.node, host, sd_case)
    record, told = None, ""
    try:
        loaded = host.session.load(sd_case)
        request.node.stash[pytest_items.LOADED] = loaded
    except SdbatchError as error:
        outcome, told = host.session.outcome_of_loading(error), str(error)
        record = host.session.unmeasured(pytest_items.name_of_test(request.node, sd_case), sd_case, error.line, outcome)
    if record is not None:  # behind the except block, so that pytest does not print the error with what caused it
        request.node.stash[pytest_items.RECORD] = record
        leave_out(request)
        act_on(record, told)
    return loaded.pipeline


@pytest.fixture
def sd_pipeline(sd_loaded_pipeline: Any) -> Any:
    """The diffusers pipeline of the case, on its device, with its variant applied.

    A project with a pipeline of its own overrides this fixture in its conftest.
    """
    return sd_loaded_pipeline


@pytest.fixture
def sd_benchmark(request: pytest.FixtureRequest, benchmark: BenchmarkFixture, sd_case: Case) -> SdBenchmark:
    """Measure a pipeline, or a callable that takes a batch: see pytest_sdbatch.SdBenchmark."""
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.bridges.measuring import SdBenchmark

    request.node.stash[pytest_items.BENCHMARK] = benchmark
    return SdBenchmark(request, benchmark, sd_case)


@pytest.fixture
def sd_training(
    request: pytest.FixtureRequest, benchmark: BenchmarkFixture, sd_case: Case, sd_accumulation: int
) -> SdTraining:
    """Measure training steps, of the grid's model or of your own: see pytest_sdbatch.SdTraining."""
    from pytest_sdbatch.bridges import pytest_items
    from pytest_sdbatch.bridges.measuring import SdTraining

    request.node.stash[pytest_items.BENCHMARK] = benchmark
    return SdTraining(request, benchmark, sd_case)
