"""A learning study as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from pytest_sdbatch.analysis.claim_table import claim_table
from pytest_sdbatch.analysis.claims import Claim
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.analysis.recommendation import Recommendation, recommendation
from pytest_sdbatch.analysis.study_figures import figures_of
from pytest_sdbatch.report.escape import markdown
from pytest_sdbatch.report.markdown_table import table_head, table_row
from pytest_sdbatch.report.study_words import about, behind, laws, legend, size_cells, size_columns


def study_markdown(study: Study) -> str:
    """Return *study* as Markdown, all text from outside escaped."""
    figures = figures_of(study)
    claims = claim_table(study, figures)
    lines = [f"{markdown(text)}  " for text in about(study)]
    columns = size_columns(figures)
    lines += ["", *table_head(columns)]
    for row in figures.rows:
        shown = size_cells(row)
        lines.append(table_row(shown[column.key].text for column in columns))
    lines += ["", *(f"{markdown(text)}  " for text in (*legend(study, figures), *laws(study, figures)))]
    lines += ["", *(f"{markdown(text)}  " for text in behind(study)), ""]
    for heading, group in groupby(claims, key=lambda claim: claim.heading):
        lines += [f"### {heading}", "", "| claim | verdict | figures | what would settle it |", "|---|---|---|---|"]
        lines += [_claim_row(claim) for claim in group]
        lines.append("")
    lines += [*_advice(recommendation(study, figures, claims)), ""]
    return "\n".join(lines)


def study_document(study: Study, *, file: str) -> str:
    """Return *study* as a document of its own in Markdown; *file* is its name, as the user wrote it."""
    where = ", ".join(map(markdown, filter(None, (study.command, study.started_at[:10], file))))
    return f"# sdbatch study\n\n{where}\n\n{study_markdown(study)}"


def _claim_row(claim: Claim) -> str:
    figures = "<br>".join(map(markdown, claim.figures))
    verdict = f"**{claim.standing.value}**: {markdown(claim.sentence)}"
    return f"| {markdown(claim.claim)} | {verdict} | {figures} | {markdown(claim.settles)} |"


def _advice(advice: Recommendation) -> Iterator[str]:
    yield f"**Recommended: {markdown(advice.sentence)}**"
    yield ""
    yield from (f"- {markdown(text)}" for text in advice.reasons)
