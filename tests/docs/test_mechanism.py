"""What keeps blocks of the docs from escaping, on pages made for it."""

from __future__ import annotations

from textwrap import dedent

import pytest
from doc_blocks import Block, PageError, blocks_of, commands
from doc_checks import check
from doc_session import Reader, missing, stable


def page(text: str) -> list[Block]:
    """Return the blocks of a page with this text."""
    return blocks_of(dedent(text), "page.md")


def one(language: str, text: str, *notes: str) -> Block:
    """Return a block."""
    return Block(page="page.md", line=1, language=language, text=dedent(text).lstrip("\n"), notes=notes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("```\nls\n```\n", "the language '' is none of"),
        ("~~~zsh\nls\n~~~\n", "the language 'zsh' is none of"),
        ("Look:\n\n    pytest benchmarks/\n", "page.md:3: an indented block escapes"),
        ("```text\n$ pytest\n```\n", "a command in a block of text escapes"),
        ("```yaml\na: 1\n```\n", "say why it is not run"),
        ("<!-- not run -->\n```console\n$ pytest\n```\n", "no note on it: not run"),
        ("<!-- not run: no GPU -->\n\nWords.\n\n```console\n$ pytest\n```\n", "no block right below it"),
        ("```console\npytest\n```\n", "begins with a command"),
    ],
)
def test_what_would_escape_is_named(text: str, says: str) -> None:
    """With page and line, before anything runs."""
    with pytest.raises(PageError, match=says.replace("(", r"\(")):
        page(text)


def test_blocks_in_lists_and_with_notes_are_found() -> None:
    """However deep; the notes of a block are the comments right above it."""
    found = page("""
        - A list

          <!-- not run: needs a GPU -->
          <!-- columns 100 -->
          ```console
          $ pytest
          ```

        ```python
        # a/test_b.py
        ```
    """)

    assert [(block.line, block.language, block.is_run) for block in found] == [
        (6, "console", False),
        (10, "python", True),
    ]
    assert found[0].note("columns", "number") == "100"
    assert found[1].file == "a/test_b.py"


def test_commands_are_read_as_a_shell_would() -> None:
    """Continued lines, comments, several in a line, variables; what is shown belongs to the command above it."""
    block = one("console", """
        $ A=1 pytest -k "a b" \\
            x.py   # a comment
        out
        $ echo $? && ls
    """)  # fmt: skip

    assert [(command.line, command.words, command.shown) for command in commands(block)] == [
        (2, ("pytest", "-k", "a b", "x.py"), ("out",)),
        (5, ("echo", "$?"), ()),
        (5, ("ls",), ()),
    ]


@pytest.mark.parametrize(
    ("language", "text", "says"),
    [
        ("console", "$ sdbatch sweep --sd-batchsizes=1", "unknown option --sd-batchsizes"),
        ("console", "$ sdbatch sweep --sd-batch-sizes=0", "--sd-batch-sizes=0"),
        ("console", "$ sdbatch sweep --sd-models=sd16", "sd16"),
        ("console", "$ pytest -o sd_round=3", "sd_round"),
        ("console", "$ sdbatch ab --bsae main", "--bsae"),
        ("console", "$ sdbatch report run.json --formt=bencher", "--formt"),
        ("console", "$ sdbatch calibrate --processes=1", "cannot tell how processes differ"),
        ("console", "$ sdbatch swep", "swep"),
        ("console", "$ pip install 'pytest-sdbatch[trainin]'", "no such extra"),
        ("console", "$ tox -e doc", "no such environment"),
        ("console", "$ python tools/nothing.py", "no such file"),
        ("console", "$ curl x", "teach tests/support/doc_checks.py"),
        ("yaml", 'a: [{run: "x/bin/sdbatch ab --bse=HEAD"}]', "--bse"),
        ("yaml", "a: [", "page.md:1"),
        ("toml", "a =", "page.md:1"),
        ("ini", "a", "page.md:1"),
        ("python", "def f(:", "page.md:1"),
    ],
)
def test_what_is_not_run_is_refused_where_it_is_wrong(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, language: str, text: str, says: str
) -> None:
    """By the parsers themselves, and in their words."""
    reader = Reader(pytester, monkeypatch)

    with pytest.raises(AssertionError) as failed:
        check(one(language, text), reader.run_pytest)

    assert says in str(failed.value)


def test_shown_words_must_be_printed_and_figures_may_differ() -> None:
    """Also units, the processor, and notes that only a busy machine makes; a line may be broken elsewhere."""
    shown = ["cpu (Some CPU, 2 threads), torch 2.1", "  b1x1  34.1 ms  ok (1)", "(1) a busy machine", "fastest is 4"]

    assert missing(shown, "cpu (Another (R), 1 thread), torch 3\n b1x1  2.1 s  ok\nfastest\nis 8") == []
    assert missing(shown, "cpu (x, 1 thread), torch\n b4x1  2.1 s  ok\nfastest is") == [shown[1]]
    assert missing(shown, "b1x1 ok\ncpu torch\nfastest is") == [shown[1]]


def test_the_words_that_stay() -> None:
    """Names of cases keep their digits."""
    assert stable("[1/3] tiny-sd-fp32-64x64-s4-b1x1  34.1 ms/call  about 2 s left") == [
        "tiny-sd-fp32-64x64-s4-b1x1",
        "call",
    ]
