"""How a command ends where it refuses."""

from __future__ import annotations

import json
import sys

from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.errors import OptionError, SdbatchError


def as_json(error: SdbatchError, status: int) -> str:
    """Return *error* for machines, with the exit status of the command that it ends."""
    return json.dumps({"exit_status": status, "error": error.what, "why": error.why, "fix": error.fix})


def refused(error: SdbatchError) -> ExitStatus:
    """Print *error* of a command that works on files, and return the status: of a wrong command line, or of a file."""
    print(f"ERROR: {error}", file=sys.stderr)
    return ExitStatus.USAGE if isinstance(error, OptionError) else ExitStatus.NOT_WRITTEN
