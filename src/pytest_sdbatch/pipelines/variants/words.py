"""Variants as they are written: names joined by ``+``."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping
from types import MappingProxyType

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.pipelines.variants import conflicts
from pytest_sdbatch.pipelines.variants.entry import Variant
from pytest_sdbatch.pipelines.variants.table import EAGER, VARIANTS, in_order, lookup

NO_VARIANTS: Mapping[str, Variant] = MappingProxyType({})


def canonical(text: str, *, extra: Mapping[str, Variant] = NO_VARIANTS) -> str:
    """Return the names of *text*, joined by ``+``, in canonical order.

    Args:
        text: as written in an option.
        extra: a project's own variants by name; none is called like one of ours.

    Raises:
        OptionError: for an unknown name, one given twice, or two that do not go together.

    """
    names = [name.strip() for name in text.split("+")]
    if "" in names and len(names) > 1:
        raise OptionError(f"variant {text!r}: nothing beside a +", fix="give names joined by +")
    for name in names:
        if lookup(name, extra) is None:
            known = [*VARIANTS, *extra]
            near = difflib.get_close_matches(name.lower(), known, n=2, cutoff=0.5)
            raise OptionError(
                f"unknown variant {name!r}" + (f" in {text!r}" if name != text else ""),
                fix=f"did you mean {' or '.join(near)}?" if near else f"use {', '.join(known)}, joined by +",
            )
        if names.count(name) > 1:
            raise OptionError(f"variant {text!r} names {name} twice", fix="give each name once")
    if EAGER in names and len(names) > 1:
        rest = "+".join(name for name in names if name != EAGER)
        raise OptionError(
            f"variant {text!r}: eager stands alone", why="it means that nothing is changed", fix=f"use {rest}"
        )
    for first, second in itertools.combinations(names, 2):
        why = conflicts.reason(first, second)
        if why is not None:
            raise OptionError(
                f"variant {text!r}: {first} and {second} do not go together",
                why=why,
                fix="use one of them, or both one after the other, separated by a comma",
            )
    return "+".join(in_order(names, extra))
