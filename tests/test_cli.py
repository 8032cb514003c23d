import json
import subprocess
import sys

import nbformat
import pytest

from maxmin_core import cli
from maxmin_core.book.chapters import find_chapter
from maxmin_core.cli import main


@pytest.mark.parametrize(
    "command", [[], ["run"], ["build"], ["pages"], ["report"], ["check"], ["train"], ["plan"], ["data"], ["results"]]
)
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: maxmin" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["run", "01", "--profile", "tpu"], ["nonsense"], [], ["run"], ["build", "--cores", "two"]]
)
def test_called_wrongly(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: maxmin" in capsys.readouterr().err


def test_an_unknown_chapter(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main(["run", "77", "--profile", "smoke"]) == 1
    assert "maxmin: error: chapter: expected one of 00" in capsys.readouterr().err


def test_nothing_was_run_yet(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["report"]) == 1
    assert "profile cpu: nothing was run yet" in capsys.readouterr().err


def test_an_interrupt_is_no_traceback(root, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(root)
    monkeypatch.setattr(cli, "run", interrupt)
    assert main(["run", "01", "--profile", "smoke"]) == 130
    assert "maxmin: interrupted; what was finished is kept" in capsys.readouterr().err


def test_an_error_of_several_lines_is_indented(root, monkeypatch, capsys):
    def refuse(*_):
        raise ValueError("one\ntwo")

    monkeypatch.chdir(root)
    monkeypatch.setattr(cli, "run", refuse)
    assert main(["run", "01", "--profile", "smoke"]) == 1
    assert capsys.readouterr().err == "maxmin: error: one\n  two\n"


@pytest.mark.parametrize(("seed", "name"), [("0", "smoke"), ("3", "smoke-seed3")])
def test_another_seed_has_a_folder_of_its_own(root, monkeypatch, capsys, seed, name):
    called = []

    def run(*arguments):
        called.append(arguments)
        return {"seconds": 1.5, "claims": {"a": {}, "b": {}}}

    monkeypatch.chdir(root)
    monkeypatch.setattr(cli, "run", run)
    assert main(["run", "1", "--profile", "smoke", "--seed", seed]) == 0
    assert called == [(find_chapter(root, "01"), "smoke", root / "_build" / name, int(seed))]
    assert "[01] done in 1.5 s, 2 claims recorded" in capsys.readouterr().out


def test_report_of_what_was_not_recorded(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["run", "02"]) == 0
    assert main(["report"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("not run (needs the cpu profile)") and line.split()[6:8] == ["mini.two", "-"]
    assert main(["report", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["value"] is None


def test_bad_cores(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["build", "--cores", "0"]) == 1
    assert "cores: expected at least 1, got 0" in capsys.readouterr().err


def test_report_in_words(project, monkeypatch, capsys):
    monkeypatch.chdir(project)
    assert main(["run", "01", "--profile", "cpu"]) == 0
    assert main(["report"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:5] == ["reproduced", "mini.two", "2", "2", "±"]


def test_check(tmp_path, monkeypatch, capsys, add_cell):
    cells = [nbformat.v4.new_code_cell("1 + 1", id="one"), nbformat.v4.new_code_cell("x = 2", id="two")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = tmp_path / "mine.ipynb"
    nbformat.write(notebook, path)
    before = path.read_bytes()
    assert main(["check", str(path)]) == 0
    assert "mine.ipynb: every cell ran" in capsys.readouterr().out
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["mine.ipynb"]
    add_cell(path, "assert x == 3, 'x is not three'")
    assert main(["check", str(path)]) == 1
    assert (
        "mine.ipynb, cell 3 (assert x == 3, 'x is not three'): AssertionError: x is not three"
        in capsys.readouterr().err
    )


def test_check_without_a_file(capsys):
    assert main(["check", "nowhere.ipynb"]) == 1
    assert "notebook: expected a file, got nowhere.ipynb" in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_gets_no_complaint(project):
    # More than a pipe holds.
    lines = "\n".join(
        f'- {{id: mini.n{i}, chapter: "01", statement: {"word " * 60}, source: t, page: p, expect: {{equals: [2, 1]}}}}'
        for i in range(1000)
    )
    (project / "book" / "claims.yml").write_text(lines + "\n")
    metrics = project / "_build" / "cpu" / "metrics"
    metrics.mkdir(parents=True)
    (metrics / "01.json").write_text(json.dumps({"chapter": "01", "profile": "cpu", "claims": {}}))
    command = f"{sys.executable} -m maxmin_core.cli report | head -n 1"
    done = subprocess.run(command, cwd=project, shell=True, capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1 and not done.stderr
