"""Variants as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.pipelines.variants import VARIANTS, Variant, canonical
from pytest_sdbatch.pipelines.variants.conflicts import reason

NAMES = [name for name in VARIANTS if name not in ("eager", "attn:BACKEND")] + ["attn:native"]
OWN = {name: Variant(name=name, what="of a project") for name in ("my-kernels", "freeze")}


def compatible(names: list[str]) -> list[str]:
    """Return *names* without those that do not go with one before them."""
    chosen: list[str] = []
    for name in names:
        if not any(reason(name, other) for other in chosen):
            chosen.append(name)
    return chosen


@given(st.permutations([*NAMES, *OWN]), st.randoms())
def test_order_of_names_does_not_matter(names: list[str], random: object) -> None:
    """Equal variants have equal texts, and a canonical text is its own canonical form."""
    chosen = compatible(names)

    text = canonical("+".join(chosen), extra=OWN)

    assert sorted(text.split("+")) == sorted(chosen)
    random.shuffle(chosen)  # type: ignore[attr-defined]
    assert canonical("+".join(chosen), extra=OWN) == text
    assert canonical(text, extra=OWN) == text


def test_what_places_and_what_compiles_come_last() -> None:
    """A project's own variant changes the pipeline before it is moved, and everything is compiled as it ends up."""
    text = canonical("compile+group-offload+freeze+int8+channels-last+attn:native+my-kernels", extra=OWN)

    assert text == "channels-last+attn:native+int8+my-kernels+freeze+group-offload+compile"


def test_spaces_around_a_plus_do_not_matter() -> None:
    """As around the commas of every list."""
    assert canonical(" vae-slicing + channels-last ") == "channels-last+vae-slicing"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("compiled", "did you mean compile"),
        ("vae-slicing+tilling", "unknown variant 'tilling' in"),
        ("quantum", "use eager, channels-last"),
        ("", "unknown variant ''"),
        ("compile+", "nothing beside a +"),
        ("+compile", "nothing beside a +"),
        ("compile++channels-last", "nothing beside a +"),
        ("COMPILE", "did you mean compile"),
        ("compile+compile", "names compile twice"),
        ("attn:native+attn:native", "names attn:native twice"),
        ("eager+compile", "use compile"),
        ("Eager", "did you mean eager"),
        ("compile:max-autotun", "did you mean compile:max-autotune"),
        ("cache:tea", "did you mean cache:first-block"),
        ("attn:nativ", "did you mean attn:native"),
        ("attn:NATIVE", "did you mean attn:native"),
        ("attn:BACKEND", "unknown attention back end 'BACKEND'"),
        ("attn:", "use attn:flash"),
        ("my-kernel", "did you mean my-kernels"),
    ],
)
def test_text_that_names_no_variant_is_refused(text: str, message: str) -> None:
    """The error names the word and what to write instead, a project's own variants among it."""
    with pytest.raises(OptionError) as error:
        canonical(text, extra=OWN)

    assert message in str(error.value)


@pytest.mark.parametrize("pair", [("compile", "sequential-offload"), ("sequential-offload", "compile")])
def test_two_that_do_not_go_together_are_refused_by_name(pair: tuple[str, str]) -> None:
    """The error names both, as they were written, and says why."""
    one, other = pair

    with pytest.raises(OptionError, match=f"{one} and {other} do not go together") as error:
        canonical(f"vae-slicing+{one}+channels-last+{other}")

    assert "a compiled graph cannot hold" in error.value.why
