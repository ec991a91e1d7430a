"""Tests that train: which they are, whether they train a model of the grid, and their cases."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.options import Origin

if TYPE_CHECKING:
    from pytest_sdbatch.grid.case import Case
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.options import Options

FIXTURE = "sd_training"
ACCUMULATION = "sd_accumulation"  # the parameter that only these tests have


def trains(fixture_names: Sequence[str]) -> bool:
    """Return whether a test that asks for these fixtures trains."""
    return FIXTURE in fixture_names


def calls_without_step(function: Callable[..., Any]) -> bool:
    """Return whether *function* calls ``sd_training()`` with nothing to call itself: it trains the grid's model.

    Read from its text: the grid is made before the test runs. False where there is no text, or no such call in it.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == FIXTURE
    ]
    return bool(calls) and all(not call.args and not call.keywords for call in calls)


def cases_of(options: Options, host: Host, *, with_model: bool, test: str) -> tuple[Case, ...]:
    """Return the cases of the test *test*, and refuse what could not be trained before anything is loaded.

    Raises:
        SdbatchError: the first problem: of the options, of the data, of a package that is missing.
    """
    from pytest_sdbatch.grid.plan import smallest
    from pytest_sdbatch.grid.plan_training import NOT_FOR_TRAINING, plan_training
    from pytest_sdbatch.training.checks import check_cases

    if host.together.count > 1 and (host.options.switch("resume") or host.is_worker):
        raise OptionError(
            f"{'--sd-resume' if host.options.switch('resume') else '-n'} with {host.together.count} processes",
            why="they make the same steps, each of them all",
            fix="leave it out",
        )
    source = host.examples(options)
    cases = plan_training(
        options,
        host.catalog,
        host.defaults,
        with_model=with_model,
        epoch=source.epoch,
        processes=host.together.count,
    )
    check_cases(cases, host.catalog)
    idle = [options.spelled(name) for name in NOT_FOR_TRAINING if options.origin(name) > Origin.INI]
    if idle:
        host.hints.append(f"{test} trains: {' '.join(idle)} {'is' if len(idle) == 1 else 'are'} not for it")
    return (smallest(cases),) if host.only_check else cases


def memory_of(cases: Sequence[Case], host: Host) -> dict[str, str]:
    """Return by case id, in words, what training will hold in memory at least, of the models of the catalog.

    Counted without allocating any of it; nothing is run.
    """
    from pytest_sdbatch import units
    from pytest_sdbatch.training.floor import floor_of

    found: dict[str, str] = {}
    for case in cases:
        entry = host.catalog.architecture(case.model or "")
        floor = None if entry is None or case.training is None else floor_of(case, entry)
        if floor is None:
            continue
        parts = {"weights": floor.weight_bytes, "gradients": floor.gradient_bytes, "optimizer": floor.optimizer_bytes}
        said = ", ".join(f"{name} {units.memory(size)}" for name, size in parts.items())
        found[case.id] = f"at least {units.memory(sum(parts.values()))} ({said}); activations show when it runs"
    return found
