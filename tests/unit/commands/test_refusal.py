"""How a command that only reads and writes files ends where it refuses."""

from __future__ import annotations

import pytest

from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.commands.refusal import refused
from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError


@pytest.mark.parametrize(
    ("error", "status"),
    [(OptionError("--x: wrong"), ExitStatus.USAGE), (RunFileError("a.json: torn"), ExitStatus.NOT_WRITTEN)],
)
def test_a_wrong_word_and_a_wrong_file_end_differently(
    error: SdbatchError, status: ExitStatus, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was wrong is said on the error stream alone."""
    assert refused(error) is status
    assert capsys.readouterr() == ("", f"ERROR: {error}\n")
