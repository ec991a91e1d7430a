"""What the options of a run ask of its splits."""

from __future__ import annotations

from collections.abc import Callable

from pytest_sdbatch.analysis.splits import Objective
from pytest_sdbatch.grid.prices import price_of
from pytest_sdbatch.options import Options
from pytest_sdbatch.records import Environment
from pytest_sdbatch.report.splits import Question


def question_of(options: Options, environment: Callable[[], Environment]) -> Question:
    """Return what *options* ask of the splits. Images that stronger axes set aside are no longer asked for.

    Args:
        options: of the run.
        environment: returns where it measured; called where a price depends on it.

    """
    prices = options.prices()
    axes = max(options.origin("batch_sizes"), options.origin("batch_counts"))
    wanted = options.text("images") is not None and options.origin("images") >= axes
    name = environment().must_match.get("device_name") if prices else None
    return Question(
        images=options.count("images") if wanted else None,
        objective=Objective(options.choice("objective")),
        price_per_s=price_of(prices, None if name is None else str(name)),
        cold=options.choice("start") == "cold",
        within=options.number("sweet_spot"),
    )
