"""``sdbatch merge``: the run files of several machines or shards as one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pytest_sdbatch import units
from pytest_sdbatch.analysis.exit_status import ExitStatus
from pytest_sdbatch.commands.refusal import refused
from pytest_sdbatch.errors import OptionError, RunFileError, SdbatchError

OUTPUT = "--output"
_MOST_NAMED = 20
_EPILOG = """
exit status: 0; 1: a file cannot be read, disagrees with another one, or cannot be written; 2: the command line is wrong
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "merge",
        help="put run files together: sdbatch merge shard-1.json shard-2.json -o all.json",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="RUN.json", help="run files, of shards or whole")
    parser.add_argument(
        "-o", OUTPUT, required=True, type=Path, metavar="ALL.json", help="the new run file, which holds all runs"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Read, merge and write; return the exit status."""
    from pytest_sdbatch.storage.exclusive import check_target

    try:
        if given.output.suffix.lower() != ".json":
            raise OptionError(
                f"{OUTPUT} {given.output}", why="what is merged is a run file", fix=f"name it {given.output.stem}.json"
            )
        check_target(given.output)
        _merge(given.files, given.output)
    except SdbatchError as error:
        return refused(error)
    return ExitStatus.GOOD


def _merge(files: list[Path], output: Path) -> None:
    from pytest_sdbatch.storage.merging import merge
    from pytest_sdbatch.storage.plain import without_collector
    from pytest_sdbatch.storage.run_file import MOST_BYTES, read_run_file, write_run

    size = sum(path.stat().st_size for path in dict.fromkeys(files) if path.is_file())
    if size > MOST_BYTES:
        raise RunFileError(
            f"{output} would be too large",
            why=f"a run file has at most {units.memory(MOST_BYTES)}, and these have {units.memory(size)} together",
            fix="merge fewer of them; sdbatch report and compare take several files",
        )
    with without_collector():
        merged = merge((str(path), read_run_file(path)) for path in files)
        write_run(output, merged.runs)
    cases = len({record.key for run in merged.runs for record in run.records})
    print(f"run file: {output}: {units.count(len(merged.runs), 'run')}, {units.count(cases, 'case')}")
    if merged.twice:
        print(f"{units.count(merged.twice, 'run')} given twice or gone on with: counted once")
    if merged.missing:
        named = ", ".join(merged.missing[:_MOST_NAMED]) + (", ..." if len(merged.missing) > _MOST_NAMED else "")
        print(f"WARNING: {units.count(len(merged.missing), 'shard')} missing: {named}", file=sys.stderr)
