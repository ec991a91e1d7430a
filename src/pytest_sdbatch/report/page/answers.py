"""The four answers at the top of the page: which split, at what cost, what regressed, what fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pytest_sdbatch import units
from pytest_sdbatch.analysis.sweet_spot import Point
from pytest_sdbatch.analysis.verdict import Verdict
from pytest_sdbatch.nouns import TRAINING, Nouns
from pytest_sdbatch.records import OTHER_BENCHMARKS
from pytest_sdbatch.report import verdicts as told
from pytest_sdbatch.report.answer import answers_of, no_answer, plans_of
from pytest_sdbatch.report.capacity import can_be_predicted, capacity, fits_within
from pytest_sdbatch.report.escape import plain
from pytest_sdbatch.report.layout import UNKNOWN, Column
from pytest_sdbatch.report.page.markup import Section, bullets, heading, paragraph, table
from pytest_sdbatch.report.page.subject import Group, Subject
from pytest_sdbatch.report.splits import DOUBTFUL, Plan, split_blocks, split_notes
from pytest_sdbatch.report.training import epoch_seconds

_MOST = 200  # sentences or rows of a part: beyond it nobody reads
_IMAGES = 1000  # that a price is told of
_WORDS = (
    "Batch size is how many images one call makes together, batch count how many calls follow one another: 4x2, and the"
    " case b4x2, are 8 images in two calls of four."
)
_CHANGED = {
    Verdict.REGRESSED: "bad",
    Verdict.INCOMPARABLE: "bad",
    Verdict.IMPROVED: "good",
}


def which_split(subject: Subject) -> Section:
    """Say the answers, and show all splits of a number of images that was asked for."""
    parts = [paragraph(text, "bad") for text in _doubts(subject)]
    for source, measured, rows in zip(subject.sources, subject.measured, subject.tables, strict=True):
        parts += [heading(source.name)] if len(subject.sources) > 1 else []
        said = answers_of(measured, source.question, table=rows, choose=subject.choose)
        parts.append(bullets(_cut(said or [no_answer(rows)]), "answers"))
        plans = plans_of(measured, source.question, table=rows)
        columns, blocks = split_blocks(plans, source.question)
        for (title, plan), block in zip(_shown(plans), blocks[:_MOST], strict=False):
            of = units.count(plan.splits[0].images, plan.unit)
            same = [other for other in plans.values() if other.what == plan.what]
            parts.append(heading(f"{of} of {plain(plan.what)}" if plan.what and len(same) == 1 else plain(title)))
            heads = [replace(one, header=f"all {of}") if one.key == "all" else one for one in columns]
            lines = [{key: cell.text for key, cell in row.items()} for row in block.rows]
            marked = {at: "good" for at, line in enumerate(lines) if "recommended" in line["how"]}
            parts.append(table(heads, lines, caption=block.heading[0].text, marked=marked))
        parts += [paragraph(text, "dim") for text in split_notes(plans) if not text.startswith(DOUBTFUL)]  # said on top
    trains = subject.nouns == TRAINING
    title = "Which batch size?" if trains else "Which split?"
    return Section(id="answer", title=title, lead="" if trains else _WORDS, content="".join(parts))


def _shown(plans: Mapping[str, Plan]) -> Iterator[tuple[str, Plan]]:
    """Yield the plans that have a table."""
    yield from ((title, plan) for title, plan in plans.items() if plan.splits)


def _doubts(subject: Subject) -> Iterator[str]:
    """Yield what a reader must know before any figure of the page."""
    rows = [row for table in subject.tables for row in table]
    doubtful = sum(row.unreliable for row in rows)
    if doubtful:
        yield (
            f"Do not rely on {doubtful} of {units.count(len(rows), 'case')}, marked {DOUBTFUL}: their times"
            " include waiting for a core, or their rounds differ a lot. Measure again on a quiet machine."
        )
    beside = [source.name for source in subject.sources if source.environment.shown.get(OTHER_BENCHMARKS)]
    if beside:
        where = f" of {', '.join(beside[:_MOST])}" if len(subject.sources) > 1 else ""
        yield f"Another benchmark ran on the machine{where} meanwhile: their times disturb each other."


def what_cost(subject: Subject) -> Section:
    """Say what the recommended batch size costs beside the smallest and the fastest one, for each source."""
    groups = [(view.group, group) for view in subject.views for group in view.groups if group.timed]
    lines = [line for name, group in groups[:_MOST] for line in _costs(name, group)]
    parts = [heading(_words(*groups[0]))] if len(groups) == 1 else []
    if len(groups) > 1 and subject.reported.priced:
        parts += [paragraph(text, "answer") for text in _cheapest(subject)]
    same = {key for key in ("source", "group") if len({line[key] for line in lines}) == 1}
    columns = _cost_columns(subject.nouns)
    shown = [c for c in columns if c.key not in same and any(line[c.key] not in ("", UNKNOWN) for line in lines)]
    marked = {at: "good" for at, line in enumerate(lines) if "recommended" in line["which"]}
    parts.append(
        table(shown, lines, caption="What each choice costs", marked=marked)
        if lines
        else paragraph("No case has figures that may answer.")
    )
    if subject.reported.priced and any(group.plan is not None for _, group in groups):
        parts.append(
            paragraph("Once loaded: the dollars of the splits above include loading, shared by their images.", "dim")
        )
    without = [source.name for source in subject.sources if source.question.price_per_s is None]
    if subject.reported.priced and without:
        parts.append(paragraph(f"No price is known of {', '.join(without[:_MOST])}.", "dim"))
    if not subject.reported.priced:
        how = (
            "No price is known. For dollars: sdbatch report RUN.json --price=2.49/h -o report.html; of several devices"
            " --price=H100:2.49/h,L4:0.71/h"
        )
        parts.append(paragraph(how, "dim"))
    return Section(id="cost", title="At what cost?", content="".join(parts))


def _cost_columns(nouns: Nouns) -> tuple[Column, ...]:
    return (
        Column("source", "", left=True),
        Column("group", "what", left=True),
        Column("which", "", left=True),
        Column("size", "batch size"),
        Column("dollars", f"$ per {_IMAGES}, once loaded"),
        Column("image", f"per {nouns.image}"),
        Column("rate", "throughput"),
        Column("call", f"{nouns.a_call} takes"),
        Column("epoch", "an epoch takes"),
        Column("epoch_dollars", "$ per epoch"),
        Column("peak", "peak memory"),
        Column("energy", f"energy per {nouns.image}"),
    )


def _costs(name: str, group: Group) -> Iterator[Mapping[str, str]]:
    """Yield a line for the smallest, the recommended and the fastest size; one where they are the same."""
    rows = {row.batch_size: row for row, _ in sorted(group.timed, key=lambda one: -(one[0].s_per_image or 0.0))}
    fastest = min(rows.values(), key=lambda row: (row.s_per_image or 0.0, row.batch_size))
    if group.choice is not None:
        fastest = rows[group.choice.best.batch_size]
    words: dict[int, list[str]] = {}
    words.setdefault(min(rows), []).append("smallest")
    if group.recommended is not None:
        words.setdefault(group.recommended, []).append("recommended")
    words.setdefault(fastest.batch_size, []).append("fastest")
    price = group.question.price_per_s
    for size, said in sorted(words.items()):
        row = rows[size]
        image_s = row.s_per_image or 0.0
        epoch_s = epoch_seconds(group.records[row.case], row)
        more = image_s / (fastest.s_per_image or image_s) - 1
        yield {
            "source": group.source,
            "group": name,
            "which": ", ".join([*said, DOUBTFUL] if row.unreliable else said),
            "size": str(size),
            "rate": row.rate_text or UNKNOWN,
            "image": f"{units.duration(image_s)}{f' ({units.change(more)})' if more >= 0.001 else ''}",
            "call": units.duration(row.call_s or 0.0),
            "epoch": UNKNOWN if epoch_s is None else units.duration(epoch_s),
            "epoch_dollars": UNKNOWN if price is None or epoch_s is None else f"${units.number(epoch_s * price)}",
            "energy": UNKNOWN if row.joules_per_image is None else units.energy(row.joules_per_image),
            "peak": UNKNOWN if row.peak_bytes is None else units.memory(row.peak_bytes),
            "dollars": UNKNOWN if price is None else f"${units.number(image_s * price * _IMAGES)}",
        }


def _words(name: str, group: Group) -> str:
    """Return what a group makes, in words; its name where it is of a function of the user's own."""
    case = next(iter(group.records.values())).case
    return plain(name if case.model is None else case.words)


def _cheapest(subject: Subject) -> Iterator[str]:
    """Yield which source makes the images of a view at the lowest price, where several have one."""
    for view in subject.views[:_MOST]:
        priced = [
            (spot.seconds_per_image * group.question.price_per_s * _IMAGES, group, spot)
            for group in view.groups
            if group.question.price_per_s is not None and group.recommended is not None
            if (spot := _point(group, group.recommended)) is not None
        ]
        if len(priced) < 2:
            continue
        dollars, group, spot = min(priced, key=lambda found: found[0])
        others = ", ".join(f"${units.number(cost)} on {one.source}" for cost, one, _ in priced if one is not group)
        yield (
            f"{view.name}: cheapest is {group.source} with batch size {spot.batch_size},"
            f" ${units.number(dollars)} per {_IMAGES}, once loaded; {others}"
        )


def _point(group: Group, size: int) -> Point | None:
    found = [point for point in group.points if point.batch_size == size]
    return min(found, key=lambda point: point.seconds_per_image, default=None)


def what_regressed(subject: Subject) -> Section:
    """Show the verdicts of a comparison, or say how to get some."""
    found = subject.reported.verdicts
    if found is None:
        missing = "Nothing was compared. To compare: sdbatch report NEW.json --baseline BASE.json -o report.html"
        return Section(id="changed", title="What regressed?", content=paragraph(missing, "dim"))
    cases = told.ranked(found)[:_MOST]
    lines = [told.cells(case) for case in cases]
    shown = [c for c in told.COLUMNS if any(line[c.key] not in ("", UNKNOWN) for line in lines)]
    marked = {at: _CHANGED[case.verdict] for at, case in enumerate(cases) if case.verdict in _CHANGED}
    regressed = found.counts[Verdict.REGRESSED] + found.counts[Verdict.INCOMPARABLE]
    parts = [
        paragraph(told.headline(found), "answer bad" if regressed else "answer"),
        table(shown, lines, caption="Verdicts, the worst first", marked=marked),
        bullets(told.lines(found), "dim"),
    ]
    hidden = len(found.cases) - len(cases)
    parts += [paragraph(f"{units.count(hidden, 'more case')}: see the .csv report", "dim")] if hidden else []
    return Section(id="changed", title="What regressed?", content="".join(parts))


def what_fits(subject: Subject) -> Section:
    """Say how large a batch the memory holds: measured, and predicted."""
    parts: list[str] = []
    limit = subject.reported.memory_limit_bytes
    for number, source in enumerate(subject.sources):
        said: list[str] = []
        for view in subject.views:
            for group in (one for one in view.groups if one.color == number):
                largest = capacity(list(group.records.values())) or _largest(group)
                said += [f"{view.name}: {largest}"] if largest else []
                said += [] if limit is None else fits_within(group.records.values(), limit)
        parts += [heading(source.name)] if len(subject.sources) > 1 else []
        parts.append(bullets(_cut(said), "answers") or paragraph("No case ended well, so none is known to fit."))
    if limit is None:
        how = "For another card: sdbatch report RUN.json --memory=24GiB -o report.html predicts its largest batch."
        if not any(can_be_predicted(group.records.values()) for view in subject.views for group in view.groups):
            how = "What fits another card can be predicted from more batch sizes: three or more that ended well."
        parts.append(paragraph(how, "dim"))
    return Section(id="fits", title="What fits?", content="".join(parts))


def _largest(group: Group) -> str:
    sizes = [row.batch_size for row in group.rows if row.counts]
    return f"at least {max(sizes)} fit" if sizes else ""


def _cut(texts: list[str]) -> list[str]:
    more = len(texts) - _MOST
    return [*texts[:_MOST], f"and {units.count(more, 'more sentence')}"] if more > 0 else texts
