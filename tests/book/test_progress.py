"""How far a build is: what a terminal and a log read of a pipeline's lines."""

import io
import subprocess
import sys

import pytest

from maxmin_core.book.progress import Progress, follow

PIPELINE = """
import sys
for line in ["Job stats:", "job  count", "-----", "chapter_01  1", "chapter_02  1", "lm_80_20_20  1", "lm_base  1",
             "pages  1", "total  5"]:
    print(line, file=sys.stderr, flush=True)
print("Running HiGHS 1.12: Copyright", flush=True)
print("[80:20] seed 20, maxmin", flush=True)
print("[01] One: running (cpu, seed 0)", flush=True)
print("Finished jobid: 3 (Rule: lm_base)", file=sys.stderr, flush=True)
print("maxmin: error: two\\n  lines", file=sys.stderr, flush=True)
print("Finished jobid: 1 (Rule: chapter_01)", file=sys.stderr, flush=True)
"""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def followed(tmp_path, out):
    err = io.StringIO()
    command = [sys.executable, "-c", PIPELINE]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as pipeline:
        lines = follow(pipeline, tmp_path / "logs" / "build.log", out, err)
    return lines, out.getvalue(), err.getvalue()


def test_a_log_bears_it(tmp_path):
    lines, out, err = followed(tmp_path, io.StringIO())
    # The second step comes within the same minute.
    assert sorted(out.splitlines()) == [
        "[01] One: running (cpu, seed 0)",
        "[build] 1 of 2 runs, 0 of 2 chapters done, about 1 min left",
    ]
    assert err == "maxmin: error: two\n  lines\n" and "Job stats:\n" in lines
    assert "HiGHS" in (tmp_path / "logs" / "build.log").read_text()


def test_a_terminal_redraws_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    _, out, _ = followed(tmp_path, Terminal())
    drawn = out.split("\r\x1b[K")
    assert "\n" not in out and drawn[-1] == ""
    assert "HiGHS" not in out and "seed 20" not in out
    assert any(line.startswith("[build] 1 of 2 runs, 1 of 2 chapters done") for line in drawn)
    assert all(len(line) < 60 for line in drawn)


@pytest.mark.parametrize(("minutes", "told"), [(10, "about 30 min left"), (0.01, "about 1 min left")])
def test_minutes_left_at_the_pace_so_far(minutes, told):
    progress = Progress(clock=iter([0.0, 60.0 * minutes]).__next__)
    for number in range(4):
        progress.read(f"chapter_0{number}    1")
    assert not progress.read("Select jobs to execute...")
    assert progress.read("Finished jobid: 2 (Rule: chapter_03)")
    assert progress.line() == f"1 of 4 chapters done, {told}"


def test_nothing_is_left_but_the_pages():
    progress = Progress()
    progress.read("pages    1")
    assert progress.line() == "the pages are left"
