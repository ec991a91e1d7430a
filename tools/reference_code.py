"""The pages of docs/reference on commands, Python names and files; ``python tools/reference.py`` writes them."""

from __future__ import annotations

import argparse
import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import pytest_sdbatch
from pytest_sdbatch import cli, fixtures, hookspecs, records
from pytest_sdbatch.bridges import measuring
from pytest_sdbatch.commands import calibrate
from pytest_sdbatch.commands.ab import command_line
from pytest_sdbatch.grid import case
from pytest_sdbatch.options import TABLE
from pytest_sdbatch.pipelines import catalog, generation, variants
from pytest_sdbatch.report import calibration, comparison_data
from pytest_sdbatch.report.exports import EXPORTS
from pytest_sdbatch.storage import benchmark_schema, codec, journal, store, study_file

COMMANDS_HEAD = """# The command sdbatch

Made from the parsers of the commands by `python tools/reference.py`. `python -m pytest_sdbatch` is the same command.

| command | what |
|---|---|
"""
SWEEP = """
## sdbatch sweep

`sdbatch sweep [--train] [--processes K | --on ray] [options of pytest] [-- BENCHMARKS and options of pytest]`

Without `--` the shipped suite is measured, with it what is named behind it; a path before it is refused. Every option
of pytest and of its plugins is taken; those of this plugin: [options](options.md).

| option | meaning |
|---|---|
| `--train` | measure training steps instead of generation |
| `--processes K` | K fresh processes one after another, whose runs are written into one file |
| `--on ray` | [on a cluster of Ray](../how-to/many-machines.md#one-command-a-cluster-of-ray), or `ray://HOST:PORT` |

| exit status | when |
|---|---|
{statuses}

Under `--sd-gate` there are 11, 12 and 13 besides: [gate a run inside pytest](../how-to/gate-in-pytest.md#exit-status).
"""
STATUSES = {
    pytest.ExitCode.OK: "all was measured; running out of memory is a result",
    pytest.ExitCode.TESTS_FAILED: "a benchmark failed; with `--processes` or `--on` also: a file could not be written; "
    "with `--on` also: a group failed three times, or no node was left",
    pytest.ExitCode.INTERRUPTED: "it was interrupted: `--sd-resume` goes on",
    pytest.ExitCode.INTERNAL_ERROR: "pytest or a plugin broke",
    pytest.ExitCode.USAGE_ERROR: "the command line, a marker or the configuration is wrong, or, with `--on`, the "
    "cluster; nothing was measured",
    pytest.ExitCode.NO_TESTS_COLLECTED: "there was no test",
}
PYTHON_HEAD = """# Fixtures, hooks and names

Made from the code by `python tools/reference.py`. How they are used: [own benchmarks](../how-to/own-benchmarks.md),
[models, variants and devices](../how-to/extend.md).

## Fixtures

| fixture | what |
|---|---|
"""
MARKER = """
## The marker

`@pytest.mark.sdbatch(NAME=VALUE, ...)` on a test or a class, or as `pytestmark` of a file; the nearest wins. Values
are text as on the command line, numbers or lists. What each means: [options](options.md).

{names}

"""
NAMES_HEAD = """
## Names

`from pytest_sdbatch import ...`. Importing the package imports neither torch nor numpy.

| name | what |
|---|---|
"""
DATA = {
    "Model": catalog,
    "Variant": variants,
    "Batch": generation,
    "Case": case,
    "Run": records,
    "Environment": records,
    "Record": records,
    "Round": records,
    "MemoryRound": records,
    "Reading": records,
    "Weights": records,
    "Derived": records,
    "Compilation": records,
    "Trained": records,
}
# Where it lies, who writes it, what it is, and the schema of those that programs read.
KEPT: tuple[tuple[str, str, str, object], ...] = (
    (
        "`NAME.json`",
        "`--sd-report`, `sdbatch sweep --processes`, `sdbatch merge`",
        "a run file: every record of one or more runs. Never written over",
        codec.SCHEMA,
    ),
    (
        "`benchmarks/baselines/NAME/DEVICE-HASH.json`",
        "`--sd-save`",
        "a run file that later runs are compared with; commit it. Never written over",
        codec.SCHEMA,
    ),
    (
        "`URL/NAME/DEVICE-HASH/RUN-DIGEST.json`",
        "`--sd-save`, where `sd_baselines` is a URL",
        "the same in [a store](../how-to/gate-in-ci.md#a-baseline-in-a-store). Never written over",
        codec.SCHEMA,
    ),
    (
        "`URL/NAME/DEVICE-HASH.json`",
        "the same, last",
        "the pointer to it: `kind`, `schema`, and its name as `object`",
        store.POINTER_SCHEMA,
    ),
    (
        "`URL/NAME/DEVICE-HASH/may-write`",
        "the same, first",
        "a few words, written to see whether it can be; nothing reads them",
        "",
    ),
    (
        "`NAME.html`, `NAME.md`, `NAME.csv`",
        "`--sd-report`, `sdbatch report`",
        "[reports](../how-to/reports.md), made anew at any time",
        "",
    ),
    (
        f"`{journal.FOLDER}/ID.jsonl`",
        "every run that measures",
        f"its journal, for `--sd-resume`: a line per finished case. The last {journal.KEPT} of the same tests are kept",
        codec.SCHEMA,
    ),
    (f"`{journal.FOLDER}/ab-TIME/`", "`sdbatch ab`", "run files and output of each of its processes", codec.SCHEMA),
    (
        f"`{journal.FOLDER}/sweep-TIME/`",
        "`sdbatch sweep --on`",
        "a run file of each group, as soon as it came, and what its process printed last; for `--sd-resume`",
        codec.SCHEMA,
    ),
    (
        "standard output",
        "`sdbatch compare --json`, `sdbatch ab --json`",
        "verdicts, which `sdbatch report --verdicts` reads",
        comparison_data.SCHEMA,
    ),
    ("standard output", "`sdbatch calibrate --json`", "what the machine can detect", calibration.SCHEMA),
    (
        "`NAME.json`",
        "`sdbatch study -o`",
        "a study of learning; `sdbatch study --show` and `sdbatch report` read it",
        study_file.SCHEMA,
    ),
    (
        f"`{journal.FOLDER}/study-KEY/`",
        "`sdbatch study`",
        "runs and state of a study that is not done, for `--resume`",
        study_file.SCHEMA,
    ),
)
FILES = f"""# Files

Made from the code by `python tools/reference.py`.

| file | written by | what | schema |
|---|---|---|---|
{{files}}

## Run files

JSON in the format of pytest-benchmark {benchmark_schema.SCHEMA_VERSION}, so that what reads that reads them.
`benchmarks[]` has an entry per test and case, whose `stats.data` are the rounds of all runs, in seconds. What the
format has no place for:

| key | what |
|---|---|
| `sdbatch.schema` | {", ".join(map(str, codec.READABLE[:-1]))} or {codec.READABLE[-1]}; another one is refused |
| `sdbatch.runs[]` | each run without its records: [`Run`](python.md#run) |
| `benchmarks[].sdbatch.runs[].record` | the record of a case that has numbers: [`Record`](python.md#record) |
| `sdbatch.without_numbers[].runs[].record` | the record of a case that has none: out of memory, skipped, failed ... |

In a record rounds are columns, and durations whole nanoseconds: `wall_s` is `wall_ns`, a list of a number per round.
All else has the names of the classes. Which column is which:
[between rounds](../explanation/measurement.md#between-rounds). `pytest_sdbatch.read_run_file(path)` returns a list of
`Run`.

## Formats for trackers

`sdbatch report RUN.json --format FORMAT -o FILE.json`; how to send them: [trackers](../how-to/trackers.md).

| format | read by | holds |
|---|---|---|
{{formats}}
"""


def commands_page() -> str:
    """Return the page of commands: a table of all, and for each its options and exit statuses."""
    parser = cli.command_parser()
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    told = {choice.dest: choice.help or "" for choice in commands._choices_actions}
    overview = "".join(f"| `sdbatch {name}` | {cell(text)} |\n" for name, text in told.items())
    statuses = "\n".join(f"| {int(code)} | {text} |" for code, text in STATUSES.items())
    own = {"ab": command_line._parser(), "calibrate": calibrate._parser()}
    parts = [COMMANDS_HEAD, overview, SWEEP.format(statuses=statuses)]
    for name, given in commands.choices.items():
        if name != "sweep":
            parts.append(_command(name, own.get(name, given)))
    return "".join(parts)


def _command(name: str, parser: argparse.ArgumentParser) -> str:
    rows = []
    for action in parser._actions:
        if action.dest == "help":
            continue
        value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
        words = [f"{flag} {value}" if action.nargs != 0 else flag for flag in action.option_strings] or [str(value)]
        rows.append(
            f"| {', '.join(f'`{cell(word)}`' for word in words)} | {cell((action.help or '') % vars(action))} |"
        )
    lead = [f"{parser.description}\n\n"] if parser.description else []
    table = ["| option | meaning |\n|---|---|\n", "\n".join(rows), "\n"]
    return "".join([f"\n## sdbatch {name}\n\n", *lead, *table, *_epilog(parser)])


def _epilog(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield what stands at the end of a command's help: exit statuses as a table, all else as it is."""
    for paragraph in re.findall(r"[^\n].*?(?=\n\n|$)", (parser.epilog or "").strip(), flags=re.DOTALL):
        head, _, rest = paragraph.partition("\n")
        if not head.startswith("exit status, the first"):
            yield f"\n{paragraph}\n"
            continue
        yield "\n| exit status | when; the first that applies |\n|---|---|\n"
        for line in rest.splitlines():
            status = re.fullmatch(r" *(\d+)  (.*)", line)
            yield f"| {status[1]} | {cell(status[2])} |\n" if status else f"\n{line}\n"


def python_page() -> str:
    """Return the page of what a project's code may use."""
    functions = {node.name: node for node in _tree(fixtures).body if isinstance(node, ast.FunctionDef)}
    own = [node for node in functions.values() if any("fixture" in ast.unparse(d) for d in node.decorator_list)]
    parts = [PYTHON_HEAD, *(f"| `{node.name}` | {cell(_first(ast.get_docstring(node)))} |\n" for node in own)]
    axes = [argument.arg for argument in functions["sd_case"].args.args if argument.arg != "request"]
    parts.append(
        f"\nA test is parametrized by {', '.join(f'`{name}`' for name in axes)}, which a test may ask for, too.\n"
    )
    for name, called in (("sd_benchmark", measuring.SdBenchmark), ("sd_training", measuring.SdTraining)):
        signature = re.sub(r"self, ", "", _signature(called.__call__))
        parts.append(f"\n### {name}{signature}\n\n{_prose(inspect.getdoc(called.__call__) or '')}\n")
    parts.append(MARKER.format(names=", ".join(f"`{row.name}`" for row in TABLE if row.marker)))
    parts.append("## Hooks\n\n| hook | what |\n|---|---|\n")
    hooks = [value for name, value in vars(hookspecs).items() if name.startswith("pytest_sdbatch_")]
    for hook in hooks:
        signature = f"{hook.__name__}({', '.join(inspect.signature(hook).parameters)})"
        parts.append(f"| `{signature}` | {cell(' '.join((inspect.getdoc(hook) or '').replace('``', '`').split()))} |\n")
    parts.append(NAMES_HEAD)
    told = {name: _first(inspect.getdoc(getattr(pytest_sdbatch, name))) for name in pytest_sdbatch.__all__}
    parts += [f"| `{name}` | {cell(text)} |\n" for name, text in told.items()]
    parts += [_fields(name, module) for name, module in DATA.items()]
    return "".join(parts)


def files_page() -> str:
    """Return the page of files."""
    formats = "\n".join(f"| `{name}` | `{row.reader}` | {row.contents} |" for name, row in EXPORTS.items())
    files = "\n".join(f"| {' | '.join(map(str, row))} |" for row in KEPT)
    return FILES.format(files=files, formats=formats)


def _fields(name: str, module: ModuleType) -> str:
    """Return a section with the fields of a class: name, type, default, and the comment behind each in the source."""
    module = sys.modules[getattr(module, name).__module__]  # which a package may only have it from
    (node,) = (node for node in _tree(module).body if isinstance(node, ast.ClassDef) and node.name == name)
    lines = inspect.getsource(module).splitlines()
    rows = ["| field | type | what |", "|---|---|---|"]
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and not ast.unparse(field.target).startswith("_"):
            comment = lines[(field.end_lineno or 0) - 1].partition("  # ")[2]
            rows.append(
                f"| `{ast.unparse(field.target)}` | `{cell(ast.unparse(field.annotation))}` | {cell(comment)} |"
            )
        elif isinstance(field, ast.FunctionDef) and not field.name.startswith("_"):
            called = "" if any(ast.unparse(found) == "property" for found in field.decorator_list) else "()"
            kind = cell(ast.unparse(field.returns)) if field.returns else ""
            rows.append(f"| `{field.name}{called}` | `{kind}` | {cell(_first(ast.get_docstring(field)))} |")
    return f"\n### {name}\n\n{_prose(ast.get_docstring(node) or '')}\n\n" + "\n".join(rows) + "\n"


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def _signature(function: object) -> str:
    """Return the arguments of *function* without their types."""
    given = inspect.signature(function)  # type: ignore[arg-type]
    bare = [argument.replace(annotation=inspect.Parameter.empty) for argument in given.parameters.values()]
    return str(given.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def _first(text: str | None) -> str:
    """Return the first paragraph of a docstring as one line of Markdown."""
    return " ".join((text or "").partition("\n\n")[0].split()).replace("``", "`")


def _prose(text: str) -> str:
    """Return a docstring in Markdown: arguments become a list, what is returned or raised a paragraph."""
    text = text.replace("``", "`")
    text = re.sub(r"^Args:\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(Returns|Raises):\n +", r"\1: ", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4}(\w+): ", r"- `\1`: ", text, flags=re.MULTILINE)
    text = re.sub(r"^ {4,}", "  ", text, flags=re.MULTILINE)
    return re.sub(r"\*(\w+)\*", r"`\1`", text)


def cell(text: str) -> str:
    """Return *text* for a table, where a bar would begin the next column."""
    return text.replace("|", r"\|")
