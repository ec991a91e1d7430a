"""What a pytest run of benchmarks tells GitHub Actions by itself: the summary of the job, and annotations."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_sdbatch import units
from pytest_sdbatch.bridges import github

if TYPE_CHECKING:
    from pytest_sdbatch.analysis.comparison import Comparison
    from pytest_sdbatch.host import Host
    from pytest_sdbatch.options import Options
    from pytest_sdbatch.records import Run

_COMPARISON = 0.6  # share of the summary that a comparison may take
_WRITTEN = "summary of the job: written; -o sd_github=no leaves it and annotations out"


def finish(host: Host) -> None:
    """Write the summary of the job where the runner names a file for it; call it once the verdict is known."""
    most_bytes = github.room() if _speaks(host) else 0
    if most_bytes:
        problem = github.write_summary(_summary(host, most_bytes))
        host.notes.append(problem or _WRITTEN)


def annotate(host: Host) -> None:
    """Print annotations, behind all that pytest prints."""
    reporter = host.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not github.is_there() or not _speaks(host):
        return
    from pytest_sdbatch.records import full_name
    from pytest_sdbatch.report.comparison import summary_line
    from pytest_sdbatch.report.run_summary import counted
    from pytest_sdbatch.report.table import rows

    names = {record.key: full_name(record.test, record.case) for record in host.records}
    known = github.Known(
        root=host.config.rootpath,
        lines={names[key]: line for key, line in host.test_lines.items()},
        failures={names[key]: text for key, text in host.test_failures.items()},
    )
    compared, found = _comparison(host), []
    if compared is not None:
        enforced = host.gate is not None and host.gate.enforced
        unclear = enforced and host.options.choice("fail_on") == "inconclusive"
        found = github.of_comparison(compared, red=enforced, inconclusive=unclear, known=known)
    found += github.of_records(host.records, besides=[one.case for one in found if one.case is not None], known=known)
    if not found and compared is None:
        return
    said = counted(rows(host.records)) if compared is None else summary_line(compared)
    reporter.ensure_newline()
    for annotation in github.with_roll_up(found, said=said):
        reporter.write_line(github.command(annotation))


def tell_runs(runs: Sequence[Run], options: Options) -> Iterator[str]:
    """Tell what several processes measured that told nothing themselves; yield lines for the screen.

    Args:
        runs: of one place, at least one.
        options: in force for them.

    """
    from pytest_sdbatch.report.answer import answer_of_runs
    from pytest_sdbatch.report.measured import of_runs
    from pytest_sdbatch.report.question import question_of
    from pytest_sdbatch.report.run_summary import counted, run_summary
    from pytest_sdbatch.report.table import rows

    if not options.switch("github"):
        return
    records = of_runs(runs).records.values()
    most_bytes, where = github.room(), runs[0].environment
    if most_bytes:
        sentences = answer_of_runs(runs, question_of(options, lambda: where))
        title = f"sdbatch: {units.count(len(runs), 'run')}"
        yield (
            github.write_summary(run_summary(rows(records), sentences, where, most_bytes=most_bytes, title=title))
            or _WRITTEN
        )
    found = github.of_records(records)
    if found and github.is_there():
        github.show(github.with_roll_up(found, said=counted(rows(records))), sys.stdout)


def _speaks(host: Host) -> bool:
    """Return whether this process is the one that tells, and has something to tell."""
    idle = host.is_worker or host.hand_in is not None or host.only_check or host.options.switch("plan")
    return not idle and bool(host.records) and host.options.switch("github")


def _comparison(host: Host) -> Comparison | None:
    return None if host.gate is None else host.gate.comparison


def _summary(host: Host, most_bytes: int) -> str:
    from pytest_sdbatch.bridges import resuming
    from pytest_sdbatch.report.answer import answer_sentences
    from pytest_sdbatch.report.markdown import comparison_markdown
    from pytest_sdbatch.report.question import question_of
    from pytest_sdbatch.report.run_summary import run_summary
    from pytest_sdbatch.report.table import rows

    compared, text = _comparison(host), ""
    sentences = answer_sentences(host.records, question_of(host.options, lambda: host.session.environment))
    word = f"gate: {host.gate.last_word}" if host.gate is not None and host.gate.last_word else ""
    if compared is not None:
        lines = [word] if word else []
        text = comparison_markdown(compared, lines=lines, most_bytes=round(_COMPARISON * most_bytes)) + "\n"
    elif word:
        sentences = [word, *sentences]
    kept = dict.fromkeys(host.kept, resuming.kept_from(host))
    left = most_bytes - len(text.encode("utf-8"))
    title = "sdbatch" if compared is None else "What was measured"
    return text + run_summary(
        rows(host.records, kept), sentences, host.session.environment, most_bytes=left, title=title
    )
