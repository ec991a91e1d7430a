"""One table of options: every row from every origin it admits, and the stronger origin wins."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

import pytest

from pytest_sdbatch.errors import OptionError
from pytest_sdbatch.grid.shards import Shard
from pytest_sdbatch.options import BY_SPELLING, GROUPS, TABLE, Option, Options, Origin, flag_of, resolve

# A text each kind admits, what it means, and one that it refuses.
VALUES: Mapping[str, tuple[str, object, str]] = {
    "integers": ("2,3", (2, 3), "0"),
    "sizes": ("2,3", (2, 3), "auto,3"),
    "names": ("a,b", ("a", "b"), "a,a"),
    "resolutions": ("8x16", ((8, 16),), "0"),
    "count": ("7", 7, "0"),
    "count0": ("7", 7, "-1"),
    "number": ("7.5", 7.5, "-1"),
    "seconds": ("0.5", 0.5, "0"),
    "share": ("2%", 0.02, "100%"),
    "switch": ("yes", True, "maybe"),
    "text": ("a text", "a text", " "),
    "path": ("a/path", "a/path", ""),
    "files": ("a.json,b.html", ("a.json", "b.html"), "a.json,a.json"),
    "budget": ("time:3%", {"time": 0.03}, "time:3"),
    "limit": ("latency:4s", {"latency": 4.0}, "latency:4"),
    "price": ("3.6/h", {"": 0.001}, "3.6"),
    "shard": ("2/4", Shard(number=2, count=4), "0/4"),
    "place": ("s3://bucket/", "s3://bucket", "s3://"),
}
FLAGS = [row for row in TABLE if row.flag is not None]
MARKERS = [row for row in TABLE if row.marker]
EVERY_ROW = pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)


def values_of(row: Option) -> tuple[str, object, str]:
    """Return a good text of *row*, its value, and a bad text."""
    return (row.choices[-1], row.choices[-1], "nonsense") if row.kind == "choice" else VALUES[row.kind]


def value_in(options: Options, row: Option) -> object:
    """Return what the accessor of the row's kind makes of its text."""
    accessors: Mapping[str, Callable[[str], object]] = {
        "sizes": options.integers,
        "count0": options.count,
        "seconds": options.number,
        "share": options.number,
        "path": options.text,
        "files": options.names,
        "price": options.prices,
    }
    return accessors.get(row.kind, getattr(options, row.kind, options.text))(row.name)


def given_as(origin: Origin, name: str, value: object) -> Options:
    """Return options where *name* was given by *origin*; flags have no spelling but the canonical one."""
    if origin is Origin.MARKER:
        return resolve(command_line={}, ini={}, overrides={}).with_marker({name: value})
    if origin is Origin.INI:
        return resolve(command_line={}, ini={name: value}, overrides={})
    row = BY_SPELLING[name]
    if row.flag is None:
        return resolve(command_line={}, ini={}, overrides={name: value})
    return resolve(command_line={row.name: value}, ini={}, overrides={})


def test_every_default_is_admitted_by_its_own_option() -> None:
    """A run without any option passes its own check."""
    resolve(command_line={}, ini={}, overrides={}).check()


@EVERY_ROW
def test_an_option_from_the_configuration_file_counts(row: Option) -> None:
    """Every row can be an ini key, and its origin is known."""
    text, value, _ = values_of(row)

    options = given_as(Origin.INI, row.name, text)

    assert (value_in(options, row), options.origin(row.name)) == (value, Origin.INI)


@EVERY_ROW
def test_an_option_from_an_override_counts_as_typed(row: Option) -> None:
    """``-o sd_x=value`` works for every row, with a flag or without, and wins over the file."""
    text, value, bad = values_of(row)

    options = resolve(command_line={}, ini={row.name: bad}, overrides={row.name: text})

    assert (value_in(options, row), options.origin(row.name)) == (value, Origin.COMMAND_LINE)


@pytest.mark.parametrize("row", FLAGS, ids=lambda row: row.name)
def test_an_option_from_a_flag_wins_over_everything(row: Option) -> None:
    """What was typed is meant, whatever files and markers say."""
    text, value, bad = values_of(row)

    options = resolve(command_line={row.name: text}, ini={row.name: bad}, overrides={row.name: bad})
    if row.marker:
        options = options.with_marker({row.name: bad})

    assert (value_in(options, row), options.origin(row.name)) == (value, Origin.COMMAND_LINE)


@pytest.mark.parametrize("row", MARKERS, ids=lambda row: row.name)
def test_an_option_from_a_marker_wins_over_the_file(row: Option) -> None:
    """A test knows better than its project what it needs."""
    text, value, bad = values_of(row)

    options = resolve(command_line={}, ini={row.name: bad}, overrides={}).with_marker({row.name: text})

    assert (value_in(options, row), options.origin(row.name)) == (value, Origin.MARKER)


@EVERY_ROW
def test_a_flag_that_was_not_typed_leaves_the_origin_alone(row: Option) -> None:
    """None means not given; a default that looked given would win over the file (seen in other plugins)."""
    flags = {other.name: None for other in FLAGS}
    text, _, _ = values_of(row)

    untouched = resolve(command_line=flags, ini={}, overrides={})
    from_file = resolve(command_line=flags, ini={row.name: text}, overrides={})

    assert (untouched.text(row.name), untouched.origin(row.name)) == (row.default, Origin.DEFAULT)
    assert from_file.origin(row.name) is Origin.INI


@pytest.mark.parametrize("row", [row for row in TABLE if row.singular], ids=lambda row: row.name)
@pytest.mark.parametrize("origin", [Origin.INI, Origin.MARKER])
def test_the_singular_spelling_of_an_axis_is_accepted(row: Option, origin: Origin) -> None:
    """``sd_dtype`` is ``sd_dtypes``: nobody has to remember which options are plural."""
    text, value, _ = values_of(row)
    assert row.singular is not None

    options = given_as(origin, row.singular, text)

    assert (value_in(options, row), options.origin(row.name)) == (value, origin)
    assert row.singular in options.spelled(row.name)


@pytest.mark.parametrize(
    ("row", "origin", "value"),
    [
        (row, origin, value)
        for row, origin in itertools.product(TABLE, [Origin.INI, Origin.MARKER, Origin.COMMAND_LINE])
        for value in (values_of(row)[2], "")
        if row.marker or origin is not Origin.MARKER
    ],
    ids=lambda part: part.name if isinstance(part, (Option, Origin)) else repr(part),
)
def test_a_bad_value_is_refused_under_the_name_it_was_given(row: Option, origin: Origin, value: str) -> None:
    """The error names the option as its user wrote it, and says what to do."""
    options = given_as(origin, row.name, value)

    with pytest.raises(OptionError) as caught:
        options.check()

    assert options.spelled(row.name) in caught.value.what
    assert caught.value.fix


@pytest.mark.parametrize(
    ("origin", "name", "spelled"),
    [
        (Origin.COMMAND_LINE, "batch_sizes", "--sd-batch-sizes"),
        (Origin.COMMAND_LINE, "guidance", "-o sd_guidance"),
        (Origin.INI, "batch_sizes", "sd_batch_sizes"),
        (Origin.INI, "batch_size", "sd_batch_size"),
        (Origin.MARKER, "batch_size", "sdbatch marker batch_size"),
    ],
)
def test_an_option_is_spelled_as_its_origin_spells_it(origin: Origin, name: str, spelled: str) -> None:
    """A message about ``--sd-batch-sizes`` would mislead a user whose value stands in a file."""
    assert given_as(origin, name, "7").spelled(BY_SPELLING[name].name) == spelled


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("batch_sizes", 4, (4,)),
        ("batch_sizes", [1, 4], (1, 4)),
        ("batch_sizes", ("1:2", 8), (1, 2, 8)),
        ("models", ["a", "b"], ("a", "b")),
        ("resolutions", [512, "512x768"], ((512, 512), (512, 768))),
        ("guidance", 7.5, 7.5),
        ("guidance", 7, 7.0),
        ("precision", 0.05, 0.05),
        ("max_seconds", 1e-05, 1e-05),
        ("rounds", 3, 3),
    ],
)
@pytest.mark.parametrize("origin", [Origin.INI, Origin.MARKER])
def test_values_may_have_their_own_type(origin: Origin, name: str, value: object, expected: object) -> None:
    """Markers are Python and pytest 9's tables are TOML: numbers and lists need no quotes there."""
    assert value_in(given_as(origin, name, value), BY_SPELLING[name]) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("yes", True),
        ("No", False),
        ("ON", True),
        (" off ", False),
        (1, True),
        ("0", False),
    ],
)
def test_a_switch_takes_what_files_usually_hold(value: object, expected: bool) -> None:
    """TOML writes true, ini files write yes, on or 1."""
    assert given_as(Origin.INI, "plan", value).switch("plan") is expected


@pytest.mark.parametrize("origin", [Origin.INI, Origin.MARKER])
def test_a_pair_is_no_resolution(origin: Origin) -> None:
    """``[(512, 768)]`` must not be read as 512x512 and 768x768."""
    with pytest.raises(OptionError, match="'512x768'"):
        given_as(origin, "resolutions", [(512, 768)])


@pytest.mark.parametrize("value", [True, None, 1.5, {"a": 1}, float("nan"), float("inf"), [], [[1]]])
def test_values_of_a_wrong_type_are_refused(value: object) -> None:
    """Whatever a marker holds, the answer is an option error that names it."""
    with pytest.raises(OptionError, match="batch_sizes"):
        given_as(Origin.MARKER, "batch_sizes", value).check()


def test_an_unknown_keyword_of_a_marker_is_answered_with_all_that_are_known() -> None:
    """A typing error must not leave a test at its defaults."""
    with pytest.raises(OptionError) as caught:
        given_as(Origin.MARKER, "qqq", 4)

    assert "qqq" in caught.value.what
    assert all(row.name in caught.value.fix for row in MARKERS)
    assert all(row.name not in caught.value.fix.split(", ") for row in TABLE if not row.marker)


def test_a_mistyped_keyword_of_a_marker_is_answered_with_the_nearest() -> None:
    """One name is easier to act on than twenty."""
    with pytest.raises(OptionError) as caught:
        given_as(Origin.MARKER, "batchsizes", 4)

    assert caught.value.fix == "did you mean batch_sizes?"


@pytest.mark.parametrize("row", [row for row in TABLE if not row.marker], ids=lambda row: row.name)
def test_a_marker_does_not_decide_for_the_whole_run(row: Option) -> None:
    """One test cannot choose the device or the file of all others."""
    with pytest.raises(OptionError, match="whole run"):
        given_as(Origin.MARKER, row.name, "x")


@pytest.mark.parametrize("keywords", [{"batch_sizes": 1, "batch_size": 2}, {"batch_size": 1, "batch_sizes": 2}])
def test_the_later_keyword_wins_whatever_its_spelling(keywords: dict[str, object]) -> None:
    """A function's marker comes after its class's and is closer to the test."""
    options = resolve(command_line={}, ini={}, overrides={}).with_marker(keywords)

    assert options.integers("batch_sizes") == (2,)


def test_a_marker_leaves_the_run_as_it_was() -> None:
    """The options of a run are shared by its tests: one test's marker must not reach another."""
    options = resolve(command_line={}, ini={}, overrides={})

    options.with_marker({"batch_sizes": 2})

    assert options.integers("batch_sizes") == (1, 4, 8)


@pytest.mark.parametrize("origin", [Origin.INI, Origin.COMMAND_LINE])
def test_an_option_can_be_put_back_to_its_default(origin: Origin) -> None:
    """Models chosen for other tests say nothing about a test that brings its own: its marker then counts."""
    options = given_as(origin, "models", "sd15").without("models")

    assert (options.text("models"), options.origin("models")) == (None, Origin.DEFAULT)
    assert options.with_marker({"model": "app"}).names("models") == ("app",)


def test_what_was_given_is_kept_with_the_run() -> None:
    """The run file holds the text of what was given, and none of the defaults."""
    options = resolve(command_line={"batch_sizes": "2"}, ini={"dtype": "bf16"}, overrides={"rounds": "3"})

    assert options.given() == {"batch_sizes": "2", "dtypes": "bf16", "rounds": "3"}


def test_an_option_without_a_value_says_so() -> None:
    """Reading what was left to the model is the caller's error, and still a clear one."""
    with pytest.raises(OptionError, match="--sd-steps has no value"):
        resolve(command_line={}, ini={}, overrides={}).integers("steps")


@EVERY_ROW
def test_a_row_is_complete(row: Option) -> None:
    """Every row has a help text, a known group and kind, and no default that another would hide."""
    assert row.help
    assert row.group in GROUPS
    assert row.kind in VALUES or row.choices
    assert bool(row.choices) is (row.kind == "choice")
    assert not row.singular or row.singular not in {other.name for other in TABLE}


@EVERY_ROW
def test_every_choice_is_named_where_the_option_is_explained(row: Option) -> None:
    """The default stands beside the help text; what else can be chosen stands in it."""
    assert [choice for choice in row.choices if choice != row.default and choice not in row.help] == []


def test_spellings_are_unique() -> None:
    """No name stands for two options."""
    spellings = list(itertools.chain.from_iterable(row.spellings for row in TABLE))

    assert len(set(spellings)) == len(spellings) == len(BY_SPELLING)


def test_only_what_is_used_daily_has_a_flag() -> None:
    """``pytest --help`` is everyone's: at most 19 flags, the rest by ``-o``."""
    assert len(FLAGS) <= 19
    assert all(flag_of(row).startswith("--sd-") for row in FLAGS)


def test_flags_have_no_default_of_their_own(pytestconfig: pytest.Config) -> None:
    """The parser's default is None, so that the origin of a value is known."""
    if not pytestconfig.pluginmanager.has_plugin("sdbatch"):
        pytest.skip("the package is not installed")
    parser_defaults = {row.name: pytestconfig.getoption(f"sdbatch_{row.name}") for row in FLAGS}

    assert parser_defaults == dict.fromkeys(parser_defaults)
