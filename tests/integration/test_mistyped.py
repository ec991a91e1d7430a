"""A mistyped name is answered by the name that was meant, before anything is measured."""

from __future__ import annotations

import pytest
from benchmark_run import RunBenchmark

USAGE_ERROR = 4
FILES = {
    "pytest.ini": "[pytest]\n{key} = 6\n",
    "tox.ini": "[tox]\nsd_else = 1\n[pytest]\n{key} = 6\n",
    "setup.cfg": "[tool:pytest]\n{key} = 6\n",
    "pyproject.toml": "[tool.pytest.ini_options]\n{key} = '6'\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_mistyped_key_of_a_file_ends_a_run_of_benchmarks(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester, name: str
) -> None:
    """One error with the key, the file and the key that was meant; a run that measures nothing goes on."""
    (pytester.path / name).write_text(FILES[name].format(key="sd_max_round"))

    measured = run_benchmark("-Wdefault::pytest.PytestConfigWarning")  # as an error pytest's own would come first
    pytester.makepyfile(test_it="def test_plain(): pass")
    plain = pytester.runpytest_inprocess("-p", "no:cacheprovider")

    assert measured.run.ret == USAGE_ERROR
    assert f"sd_max_round in {name}: unknown option" in measured.text
    assert "did you mean sd_max_rounds?" in measured.text
    assert "[1/" not in measured.text
    assert plain.ret == 0


@pytest.mark.parametrize("name", FILES)
def test_a_key_of_a_file_that_there_is_passes(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester, name: str
) -> None:
    """Neither a right key nor one of another program's section is an error."""
    (pytester.path / name).write_text(FILES[name].format(key="sd_max_rounds"))

    assert run_benchmark().run.ret == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-osd_max_round=6"], "did you mean sd_max_rounds?"),
        (["--sd-batchsizes=1,4"], "unknown option --sd-batchsizes\n  do:  did you mean --sd-batch-sizes?"),
        (["--sd-step", "4"], "did you mean --sd-steps?"),
        (["--sd-max-rounds=6"], "it is an ini key: -o sd_max_rounds=..."),
        (["--sd-zzzzzzzz"], "see `pytest --help`"),
        (["--sd-batch-sizes", "1", "4"], "several values are joined by commas\n  do:  --sd-batch-sizes=1,4"),
    ],
)
def test_a_mistyped_flag_is_answered_before_collection(
    run_benchmark: RunBenchmark, arguments: list[str], says: str
) -> None:
    """One error in our words; a value behind a blank is no file that was not found."""
    result = run_benchmark(*arguments)

    assert result.run.ret == USAGE_ERROR
    assert says in result.text
    assert "unrecognized arguments" not in result.text
    assert "collected" not in result.text


def test_flags_that_look_like_ours_may_be_the_project_s(pytester: pytest.Pytester) -> None:
    """What a conftest declares is known; its own words behind it are its own."""
    pytester.makeconftest("def pytest_addoption(parser): parser.addoption('--sd-batchsizes', nargs=2)")
    pytester.makepyfile("def test_it(): pass")

    assert pytester.runpytest_inprocess("--sd-batchsizes", "1", "4").ret == 0


def test_values_in_the_marker_need_a_name(run_benchmark: RunBenchmark) -> None:
    """The error shows them as they were written, and the test once."""
    source = """
        import pytest

        @pytest.mark.sdbatch([1, 2])
        def test_it(sd_benchmark, fake_device):
            sd_benchmark(fake_device.generate)
    """
    text = run_benchmark(source=source).text

    assert "test_it.py::test_it: @pytest.mark.sdbatch([1, 2]): values need a name" in text
    assert text.count("test_it.py::test_it") == 1
