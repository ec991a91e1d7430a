"""An epoch of other data than a training run was planned for: of so many images, at the speed that was measured."""

from __future__ import annotations

import math
from dataclasses import replace

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.records import Record, Run


def with_images(run: Run, images: int, *, spelled: str) -> Run:
    """Return *run* with the epochs of its training cases made of *images*; what generates stays as it is.

    Args:
        run: as it was stored.
        images: in the data that is asked about.
        spelled: the option that asks, for messages.

    Raises:
        OptionError: where a size was measured with several numbers of batches: an epoch of them would be one case.

    """
    records = tuple(_with_images(record, images) for record in run.records)
    if len({record.key for record in records}) < len(records):
        raise OptionError(
            f"{spelled}={images}: run {run.id} has several batches per epoch of one size",
            why="an epoch of so many images has one number of batches",
            fix="leave it out",
        )
    return replace(run, records=records)


def _with_images(record: Record, images: int) -> Record:
    how, trained = record.case.training, record.trained
    if how is None:
        return record
    examples = images * (1 if trained is None else trained.repeats)
    batches = math.ceil(examples / (record.case.batch_size * how.processes))
    return replace(
        record,
        case=replace(record.case, batch_count=batches),
        trained=None if trained is None else replace(trained, images=images),
    )
