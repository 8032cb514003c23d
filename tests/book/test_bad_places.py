"""Places that are no good for what a run writes: paths too long for a socket, folders that cannot be written to."""

import errno
import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from maxmin_core import cli
from maxmin_core.book._sockets import short_folder
from maxmin_core.book.chapters import find_chapter
from maxmin_core.book.running import run
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


@pytest.fixture
def sealed(tmp_path):
    """Make a folder such that nothing can be written there, by root neither; sealed(folder)."""
    mounted = []

    def seal(folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o555)
        if os.getuid() == 0:
            for options in (["--bind", folder, folder], ["-o", "remount,bind,ro", folder]):
                if subprocess.run(["mount", *options], capture_output=True, check=False).returncode:
                    pytest.skip("root may write everywhere, and may not mount here")
                mounted.append(folder)
        return folder

    yield seal
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", folder], check=True)


class TestFolders:
    def test_the_cell_s_error_comes_through(self, sealed, tmp_path, capsys):
        (tmp_path / "mine").mkdir()
        path = written(tmp_path / "mine", "1 + 1", "1 / 0")
        sealed(path.parent)
        assert main(["check", str(path)]) == 1
        told = capsys.readouterr().err
        assert "maxmin: error: mine.ipynb, cell 2 (1 / 0): ZeroDivisionError: division by zero; " in told
        assert f"{path.with_suffix('.failed.ipynb')} could not be written: " in told

    @pytest.mark.parametrize("name", ["", "logs", "made", "metrics", "notebooks"])
    def test_a_run_says_so_before_a_cell_has_run(self, sealed, project, monkeypatch, name):
        monkeypatch.setattr("maxmin_core.book.running.execute", lambda *_, **__: pytest.fail("it ran"))
        sealed(project / "out" / name)
        with pytest.raises(ValueError, match=f"results: expected a folder that can be written to, got .*/out/{name}"):
            run(find_chapter(project, "01"), "smoke", project / "out")

    @pytest.mark.parametrize("command", ["run", "build"])
    def test_a_file_in_the_way_is_named(self, project, monkeypatch, capsys, command):
        monkeypatch.chdir(project)
        (project / "_build").touch()
        assert main([command, *["01"] * (command == "run"), "--profile", "smoke"]) == 1
        told = f"expected a folder that can be written to, got {project / '_build' / 'smoke'}"
        assert told in (error := capsys.readouterr().err) and "(Not a directory); choose another" in error

    def test_an_audit_says_so_before_it_begins(self, tmp_path, capsys):
        (tmp_path / "taken").touch()
        assert main(["audit", "nowhere.csv", "--out", str(tmp_path / "taken")]) == 1
        assert "out: expected a folder that can be written to, got" in capsys.readouterr().err


class TestLocks:
    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
    def test_without_locks_the_way_on_is_named(self, project, monkeypatch, capsys, number):
        def refuse(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.chdir(project)
        monkeypatch.setattr(fcntl, "flock", refuse)
        assert main(["build", "--profile", "smoke"]) == 1
        told = capsys.readouterr().err
        assert f"expected a file system with locks, which keep two builds apart, got {os.strerror(number)}" in told
        assert "call maxmin build --nolock, and start no second build there" in told

    def test_the_way_on_leads_on(self, project, monkeypatch):
        def begun(*_, **__):
            raise InterruptedError("the pipeline was started")

        monkeypatch.chdir(project)
        monkeypatch.setattr(fcntl, "flock", lambda *_: pytest.fail("a lock was asked for"))
        monkeypatch.setattr(cli.subprocess, "Popen", begun)
        options = cli._parser().parse_args(["build", "--profile", "smoke", "--nolock"])
        with pytest.raises(InterruptedError):
            options.command(options)
