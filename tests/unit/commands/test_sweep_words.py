"""What pytest is given for the words behind ``sdbatch sweep``."""

from __future__ import annotations

import pytest

from pytest_sdbatch.commands.sweep import QUIET, SUITE, TRAINING, pytest_arguments, read, sweep
from pytest_sdbatch.errors import OptionError


def test_train_names_the_shipped_benchmark_of_training() -> None:
    """It stands for the suite; everything else is pytest's."""
    assert pytest_arguments(["--train", "--sd-plan"], None) == [*TRAINING, "--sd-plan", *QUIET]
    assert pytest_arguments(["--sd-plan"], None) == [*SUITE, "--sd-plan", *QUIET]


def test_train_is_refused_where_other_benchmarks_are_named() -> None:
    """Those train by their own fixture."""
    with pytest.raises(OptionError, match="--train with --"):
        pytest_arguments(["--train"], ["benchmarks/"])


@pytest.mark.parametrize(
    ("words", "cluster"),
    [(["--on", "ray"], "ray"), (["--on=ray"], "ray"), (["--on=ray://head:10001"], "ray://head:10001"), ([], None)],
)
def test_on_names_a_cluster_and_is_not_given_to_pytest(words: list[str], cluster: str | None) -> None:
    """What stands around it is."""
    assert read(["-k", "fast", *words, "--sd-plan", "--", "benchmarks/"]) == (
        None, cluster, ["-k", "fast", "--sd-plan", "benchmarks/", *QUIET]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--on"], "--on=--on: no cluster"),
        (["--on=rya"], "did you mean ray?"),
        (["--on=ray://head"], "--on=ray://head: no cluster"),
        (["--on=ray://:10001"], "--on=ray://:10001: no cluster"),
        (["--on=ray", "--processes=2"], "--processes with --on"),
    ],
)
def test_what_names_no_cluster_is_refused(words: list[str], said: str) -> None:
    """With what to write."""
    with pytest.raises(OptionError) as raised:
        read(words)

    assert said in str(raised.value)
    assert raised.value.fix


def test_help_begins_with_the_options_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of pytest come below."""
    assert sweep(["--help", "-p", "no:cacheprovider"]) == 0

    printed = capsys.readouterr().out
    assert printed.startswith("usage: sdbatch sweep [--train] [--processes K | --on ray] [options of pytest]")
    assert max(map(len, printed.splitlines()[:14])) < 120
