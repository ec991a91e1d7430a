"""All claims in their order, and what they are worth."""

from __future__ import annotations

from pytest_sdbatch import units
from pytest_sdbatch.analysis import claims_balance, claims_count, claims_size
from pytest_sdbatch.analysis.claims import Claim, Evidence
from pytest_sdbatch.analysis.learning_runs import Study
from pytest_sdbatch.analysis.study_figures import Figures


def claim_table(study: Study, figures: Figures) -> tuple[Claim, ...]:
    """Return all claims, in the order in which they are made: batch size, batch count, the balance of both."""
    evidence = Evidence(study=study, figures=figures)
    return (
        *claims_size.claims(evidence),
        *claims_count.claims(evidence),
        *claims_balance.claims(evidence),
    )


def measured_on(study: Study) -> str:
    """Return on what the claims were measured, and what that is worth."""
    data = study.data
    threads = study.facts.get("threads")
    where = study.facts.get("device_name") or "a device whose model is not known"
    at = f", {units.count(threads, 'thread')}" if isinstance(threads, int) else ""
    return (
        f"{data.name}: {units.count(data.train_images, 'image')} of {data.side}x{data.side} to train on, "
        f"{units.magnitude(data.parameters)} parameters, {where}{at}: this shows how to measure it, not that it holds "
        "for another model"
    )
