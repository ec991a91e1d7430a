"""What the commands say of names that they do not know."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sdbatch.cli import main
from pytest_sdbatch.commands.parser import Parser, refuse_paths
from pytest_sdbatch.errors import OptionError

USAGE, PYTEST_USAGE = 2, 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--versoin", "unknown option --versoin: did you mean --version?"),
        ("swepe", "unknown command swepe: did you mean sweep?"),
        ("zzz", "unknown command zzz: there are sweep, ab, models, "),
        ("study --dta x", "unknown option --dta: did you mean --data?"),
        ("report a.json --baselin b.json", "unknown option --baselin: did you mean --baseline?"),
        ("report a.json --sd-price=2/h", "unknown option --sd-price: did you mean --price?"),
        ("report a.json --zzz", "unknown option --zzz: see sdbatch report --help"),
        ("compare a.json --candidat b.json", "did you mean --candidate?"),
        ("merge a.json --outptu b.json", "did you mean --output?"),
        ("calibrate --proceses=3", "did you mean --processes?"),
        ("ab --bsae main", "did you mean --base?"),
    ],
)
def test_a_mistyped_name_is_answered_by_what_was_meant(
    words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every command, before anything else that is wrong with its words; nothing is taken for an abbreviation."""
    with pytest.raises(SystemExit) as ended:
        main(words.split())

    assert ended.value.code == USAGE
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sweep --trian --sd-plan", "unknown option --trian\n  do:  did you mean --train?"),
        ("sweep -- . --processes=3", "--processes is of the command, not of pytest\n  do:  write it before --"),
        ("calibrate --train -- .", "--train with --"),
    ],
)
def test_what_pytest_does_not_know_may_be_the_command_s(
    words: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once pytest and the project have said what they know."""
    assert main(words.split()) == PYTEST_USAGE
    assert says in capsys.readouterr().err


def test_what_is_passed_on_is_refused_only_where_it_is_nearly_the_command_s_own() -> None:
    """All else may be pytest's, or a project's."""
    parser = Parser(passes_on=True)
    parser.add_argument("--base")

    found, rest = parser.parse_known_args(["--basetemp=x", "--base", "main", "--", "--bsae"])

    assert found.base == "main"
    assert rest == ["--basetemp=x", "--", "--bsae"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with benchmarks, from which the command is started."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "test_it.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("ab --base main benchmarks/", "ab --base main -- benchmarks/"),
        ("ab --base=a --json benchmarks/test_it.py::test_it", "ab --base=a --json -- benchmarks/test_it.py::test_it"),
        ("ab --base main benchmarks/ -- --sd-steps=4", "ab --base main -- benchmarks/ --sd-steps=4"),
        ("sweep benchmarks --sd-batch-sizes=1 --sd-plan", "sweep --sd-batch-sizes=1 --sd-plan -- benchmarks"),
        ("sweep -k benchmarks --sd-plan benchmarks", "sweep -k benchmarks --sd-plan -- benchmarks"),
        ("sweep --processes=2 --train -x benchmarks", "sweep --processes=2 -x -- benchmarks"),
        ("calibrate --processes 3 --json benchmarks", "calibrate --processes 3 --json -- benchmarks"),
    ],
)
def test_benchmarks_before_the_dashes_are_refused(
    words: str, line: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """They would be run beside the shipped ones; the line that was meant is given."""
    try:
        status = main(words.split())
    except SystemExit as ended:
        status = int(ended.code or 0)

    assert status in (USAGE, PYTEST_USAGE)
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith(f" sdbatch {line}")


@pytest.mark.parametrize(
    "words", [["-k", "benchmarks"], ["--rootdir", "benchmarks"], ["nowhere.py"], ["--sd-models", "benchmarks"], []]
)
def test_what_may_be_the_value_of_a_flag_is_no_path(words: list[str], project: Path) -> None:
    """Pytest alone knows all flags; what is not there, it says itself."""
    refuse_paths(words, None, command="sdbatch sweep")
    with pytest.raises(OptionError):
        refuse_paths([*words, "-q", "benchmarks"], None, command="sdbatch sweep")
