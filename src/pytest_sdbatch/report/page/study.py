"""The page of a learning study: what to train with, what each size took, the figures, every claim, and where it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from pytest_sdbatch import units
from pytest_sdbatch.analysis.claim_table import claim_table
from pytest_sdbatch.analysis.claims import Claim, Standing
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.analysis.recommendation import Recommendation, recommendation
from pytest_sdbatch.analysis.study_figures import Figures, figures_of
from pytest_sdbatch.report.layout import Column
from pytest_sdbatch.report.page import laws, learning
from pytest_sdbatch.report.page.document import document
from pytest_sdbatch.report.page.markup import Section, bullets, details, heading, paragraph, table, tagged
from pytest_sdbatch.report.study_words import about, behind, legend, size_cells, size_columns

_MOST = 200  # rows or sentences of a part: beyond it nobody reads
_TAGS = {Standing.SUPPORTED: "good", Standing.NOT_SUPPORTED: "differs", Standing.CANNOT_TELL: ""}
_RATES = (
    Column("size", "batch size"),
    Column("rate", "best learning rate"),
    Column("optimum", "both neighbours are worse", left=True),
    Column("tried", "rates tried: examples to the target", left=True),
)


def study_page(study: Study, *, file: str) -> str:
    """Return *study* as a page that needs no other file; *file* is its name, as the user wrote it."""
    figures = figures_of(study)
    claims = claim_table(study, figures)
    before = [_advice(recommendation(study, figures, claims), claims), _sizes(study, figures)]
    drawn = [
        learning.losses(study),
        laws.examples(study, figures),
        laws.seconds(study, figures),
        laws.speed(study, figures),
        *([laws.memory(study, figures)] if study.memory else []),
        laws.noise(study, figures),
        learning.ramp(study),
        learning.batch_count(study),
    ]
    after = [_claims(claims, study), *([_rates(study)] if study.rates else []), _where(study, file)]
    return document(
        title="Training: batch size or batch count?",
        about=f"{units.count(len(study.runs), 'run')}, {study.started_at[:10]}: {file}. {'; '.join(about(study))}.",
        parts=(before, drawn, after),
        views=[""],
        cases={},
    )


def _advice(advice: Recommendation, claims: Sequence[Claim]) -> Section:
    counts = Counter(claim.standing for claim in claims)
    told = ", ".join(f"{counts[standing]} {standing.value}" for standing in Standing)
    return Section(
        id="answer",
        title="What to train with",
        content="".join(
            (
                paragraph(f"Recommended: {advice.sentence}", "answer"),
                bullets(advice.reasons, "answers"),
                paragraph(f"Of {units.count(len(claims), 'claim')} about batch size and count: {told}. See below."),
            )
        ),
    )


def _sizes(study: Study, figures: Figures) -> Section:
    lines = [{key: cell.text for key, cell in size_cells(row).items()} for row in figures.rows[:_MOST]]
    fastest = figures.fastest
    marked = {at: "good" for at, row in enumerate(figures.rows[:_MOST]) if row is fastest}
    hidden = len(figures.rows) - len(lines)
    notes = [*legend(study, figures)]
    notes = [*notes[:_MOST], f"and {units.count(len(notes) - _MOST, 'more note')}"] if len(notes) > _MOST else notes
    return Section(
        id="sizes",
        title="What each batch size took",
        content="".join(
            (
                table(size_columns(figures), lines, caption="What each batch size took", marked=marked),
                paragraph(f"{units.count(hidden, 'more size')}: the figures show them") if hidden else "",
                bullets(notes, "dim"),
            )
        ),
    )


def _claims(claims: Sequence[Claim], study: Study) -> Section:
    parts = []
    for title, group in groupby(claims, key=lambda claim: claim.heading):
        parts.append(heading(title))
        parts += [_claim(claim) for claim in group]
    return Section(
        id="claims",
        title="What is said of it, and what was measured",
        lead=" ".join(behind(study)),
        content="".join(parts),
    )


def _claim(claim: Claim) -> str:
    said = tagged(claim.standing.value, _TAGS[claim.standing], claim.sentence)
    more = bullets(claim.figures) + paragraph(f"What would settle it: {claim.settles}.", "dim")
    return heading(claim.claim, 4) + said + details("Figures", more)


def _rates(study: Study) -> Section:
    lines = [
        {
            "size": str(rate.batch_size),
            "rate": f"{rate.rate:.3g}",
            "optimum": "yes" if rate.interior else "no: it lies at the end of those tried",
            "tried": "; ".join(
                f"{tried:.3g}: {'not reached' if examples is None else units.number(examples)}"
                for tried, examples in rate.tried
            ),
        }
        for rate in study.rates[:_MOST]
    ]
    return Section(id="rates", title="Learning rates", content=table(_RATES, lines, caption="Learning rates tried"))


def _where(study: Study, file: str) -> Section:
    facts = [("file", file), ("command", study.command or "not known"), ("began", study.started_at)]
    facts += [(name.replace("_", " "), _text(value)) for name, value in study.facts.items()]
    lines = [{"fact": name, "value": value} for name, value in facts[:_MOST]]
    columns = (Column("fact", "fact", left=True), Column("value", "value", left=True))
    return Section(id="where", title="Where it ran", content=table(columns, lines, caption="Where it ran"))


def _text(value: object) -> str:
    if isinstance(value, float):
        return units.number(value)
    return "not known" if value is None else str(value)
