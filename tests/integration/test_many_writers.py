"""Many processes save into one folder at once, while another reads: every file is whole, and nobody's is lost."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from benchmark_run import RunBenchmark

from pytest_sdbatch import read_run_file

pytestmark = pytest.mark.slow

WRITERS = 8
SAVES = 60
# Prints how many saves it won; a name that is taken must be refused as such, and by nothing else.
WRITER = """
    import sys
    from dataclasses import replace
    from pathlib import Path

    from pytest_sdbatch import read_run_file
    from pytest_sdbatch.errors import RunFileError
    from pytest_sdbatch.storage.run_file import write_run

    folder, number, names = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    (run,) = read_run_file(folder / "template.json")
    won = 0
    sys.stdin.readline()  # all begin at the same time
    for index in range({saves}):
        name = f"{{index}}.json" if names == "shared" else f"{{number}}-{{index}}.json"
        try:
            write_run(folder / name, [replace(run, id=f"{{number}}-{{index}}")])
            won += 1
        except RunFileError as error:
            assert "exists" in str(error), error
    print(won)
"""
TEMPLATE = """
    def test_generate(sd_benchmark, fake_device):
        sd_benchmark(fake_device.generate)
"""


@pytest.mark.parametrize(("names", "left"), [("shared", SAVES), ("own", WRITERS * SAVES)])
def test_every_file_is_whole_and_has_one_writer(
    run_benchmark: RunBenchmark, pytester: pytest.Pytester, names: str, left: int
) -> None:
    """Of eight that want a name one gets it; what a reader sees at any moment is a whole run."""
    folder = pytester.mkdir("runs")
    run_benchmark(f"--sd-report={folder / 'template.json'}", source=TEMPLATE)
    program = textwrap.dedent(WRITER.format(saves=SAVES))
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(number), names],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(WRITERS)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()

    seen: set[Path] = set()
    while any(writer.poll() is None for writer in writers):
        for path in sorted(set(folder.glob("*.json")) - seen)[:200]:
            read_run_file(path)  # raises for half a file
            seen.add(path)

    won = [int(writer.communicate()[0]) for writer in writers]
    assert sum(won) == left
    files = sorted(folder.iterdir())
    assert len(files) == left + 1  # with the template, and no temporary file
    assert all(len(read_run_file(path)) == 1 for path in files)
    assert len(seen) > 1, "nothing was read while others wrote"
