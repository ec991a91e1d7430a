"""``sdbatch report --format``: runs as a tracker of benchmarks reads them, in a file or on the screen."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pytest_sdbatch import units
from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.commands.refusal import refused
from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError
from pytest_sdbatch.plain_text import plain

# As report.exports has them, which is imported only by who wants one; a test compares.
FORMATS = ("github-action-benchmark", "github-action-benchmark-smaller", "bencher")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format``."""
    parser.add_argument(
        "--format",
        choices=FORMATS,
        metavar="FORMAT",  # the names side by side are wider than a terminal
        help="figures for a tracker, into the one .json file that -o names, else on the screen: images/s for "
        "github-action-benchmark, the same tool's smaller-is-better figures as github-action-benchmark-smaller, or "
        "Bencher's metrics as bencher",
    )


def export_runs(name: str, runs: Sequence[Path], outputs: Sequence[Path], *, besides: Sequence[str] = ()) -> int:
    """Write the runs of the files *runs* in the format *name* and return the exit status.

    Args:
        name: one of FORMATS.
        runs: run files of one device.
        outputs: the one file to write, or none: it is printed.
        besides: options that were given and mean nothing here.

    """
    try:
        if besides:
            raise OptionError(
                f"--format with {' and '.join(besides)}",
                why="a tracker is told figures alone",
                fix="leave one of them out",
            )
        over = _check(name, outputs)
        _export(name, runs, outputs, over=over)
    except SdbatchError as error:
        return refused(error)
    return ExitStatus.GOOD


def _check(name: str, outputs: Sequence[Path]) -> bool:
    """Refuse outputs that cannot be, and return whether the file is there and is an export, which may be replaced."""
    from pytest_sdbatch.storage.exclusive import check_target

    if len(outputs) > 1:
        raise OptionError(f"--format {name} with {len(outputs)} files", why="it is one file", fix="name one by -o")
    if not outputs:
        return False
    (path,) = outputs
    if path.suffix.lower() != ".json":
        raise OptionError(f"--format {name} into {path}", why="the format is JSON", fix=f"name it {path.stem}.json")
    over = path.is_file() and not path.is_symlink() and _is_export(path)
    check_target(path, over=over)
    return over


def _is_export(path: Path) -> bool:
    from pytest_sdbatch.storage.exclusive import read_whole
    from pytest_sdbatch.storage.run_file import MOST_BYTES

    try:
        found = json.loads(read_whole(path, most_bytes=MOST_BYTES))
    except (RunFileError, ValueError, RecursionError):
        return False
    if isinstance(found, list):
        return bool(found) and all(isinstance(one, dict) and {"name", "value", "unit"} <= one.keys() for one in found)
    return isinstance(found, dict) and bool(found) and all(map(_is_measures, found.values()))


def _is_measures(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) and "value" in one for one in value.values())


def _export(name: str, files: Sequence[Path], outputs: Sequence[Path], *, over: bool) -> None:
    from pytest_sdbatch.report.exports import EXPORTS, export
    from pytest_sdbatch.storage.exclusive import write_new
    from pytest_sdbatch.storage.plain import without_collector
    from pytest_sdbatch.storage.run_file import read_run_file

    with without_collector():
        runs = {run.id: run for path in files for run in read_run_file(path)}  # one that is named twice counts once
        made = export(name, list(runs.values()))
    for path in outputs:
        write_new(path, made.text.encode("utf-8"), over=over)
        row = EXPORTS[name]
        print(f"{plain(str(path))}: {units.count(made.values, 'figure')} ({row.contents}); to be read by {row.reader}")
    if not outputs:
        sys.stdout.write(made.text)
    if made.left_out:
        ended = ", ".join(f"{count} {how}" for how, count in Counter(how for _, how in made.left_out).items())
        cases = units.count(len(made.left_out), "case")
        print(f"left out, without figures: {cases} ({ended})", file=sys.stderr)
