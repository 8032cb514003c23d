"""Places that are no good for what a run writes: paths too long for a socket, folders that cannot be written to."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from maxmin_core.book._sockets import short_folder
from maxmin_core.cli import main

from .conftest import CHROMIUM
from .test_bad_notebooks import written


@pytest.fixture
def long(tmp_path, monkeypatch):
    """A temporary folder below which no socket fits."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


class TestSockets:
    def test_a_long_temporary_folder_is_left_for_a_short_one(self, long, tmp_path, capsys):
        assert short_folder(25) == "/tmp"
        assert main(["check", str(written(tmp_path, "1 + 1"))]) == 0
        assert not list(long.iterdir())
        assert main(["check", str(written(tmp_path, "1 / 0"))]) == 1
        assert "mine.ipynb, cell 1 (1 / 0): ZeroDivisionError" in capsys.readouterr().err

    @pytest.mark.parametrize(("more", "own"), [(83, True), (84, False)])
    def test_the_system_s_folder_is_taken_as_long_as_it_fits(self, monkeypatch, tmp_path, more, own):
        # In bytes: a letter outside of ASCII has two.
        folder = f"{tmp_path}/ü"
        folder += "x" * (more - len(folder) - 1)
        Path(folder).mkdir()
        monkeypatch.setattr("maxmin_core.book._sockets._LONGEST", 107)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        assert short_folder(24) == (folder if own else "/tmp")

    def test_where_there_is_none_the_variable_is_named(self, long, monkeypatch, tmp_path, capsys):
        monkeypatch.setattr("os.access", lambda *_: False)
        path = written(tmp_path, "1 + 1")
        assert main(["check", str(path)]) == 1
        told = capsys.readouterr().err
        assert "maxmin: error: TMPDIR: expected a folder whose path has at most 82 bytes, got /" in told
        assert told.endswith("; set TMPDIR to a shorter one\n")

    @pytest.mark.skipif(CHROMIUM is None, reason="no Chromium was found")
    def test_a_browser_starts_there_too(self, long, root):
        program = (
            "from maxmin_core.book._chromium import browser\nwith browser() as b: print(b.new_page().evaluate('2'))"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
        assert done.stdout == "2\n", done.stderr
