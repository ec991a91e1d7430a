"""What pytest is given for the words behind ``sdbatch sweep``."""

from __future__ import annotations

import pytest

from pytest_sdbatch.commands.sweep import QUIET, SUITE, TRAINING, pytest_arguments
from pytest_sdbatch.errors import OptionError


def test_train_names_the_shipped_benchmark_of_training() -> None:
    """It stands for the suite; everything else is pytest's."""
    assert pytest_arguments(["--train", "--sd-plan"], None) == [*TRAINING, "--sd-plan", *QUIET]
    assert pytest_arguments(["--sd-plan"], None) == [*SUITE, "--sd-plan", *QUIET]


def test_train_is_refused_where_other_benchmarks_are_named() -> None:
    """Those train by their own fixture."""
    with pytest.raises(OptionError, match="--train with --"):
        pytest_arguments(["--train"], ["benchmarks/"])
