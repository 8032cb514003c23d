"""Which edition the pages are of, and what `maxmin print` makes of them."""

import argparse
import json
import subprocess

import pytest

from maxmin_core import __version__
from maxmin_core.book import commands, launching
from maxmin_core.book._edition import edition
from maxmin_core.book.chapters import Chapter


def git(folder, *arguments):
    named = ["-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_edition_names_the_commit_and_what_is_not_committed(tmp_path):
    alone = {"version": __version__, "commit": "", "date": "", "line": f"Version {__version__}"}
    assert edition(tmp_path) == alone
    git(tmp_path, "init")
    (tmp_path / "page").write_text("one")
    git(tmp_path, "add", "page")
    git(tmp_path, "commit", "-m", "a page", "--date", "2026-01-02T00:00:00Z")
    clean = edition(tmp_path)
    assert clean["commit"] and clean["commit"] in clean["line"] and clean["line"].endswith(clean["date"])
    (tmp_path / "page").write_text("two")
    assert edition(tmp_path)["commit"] == f"{clean['commit']} and changes"


def test_without_git_the_edition_is_the_version(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert edition(tmp_path)["line"] == f"Version {__version__}"


@pytest.mark.parametrize("form", ["pdf", "epub", "slides"])
def test_each_form_is_asked_for_what_the_options_say(form, tmp_path, monkeypatch, capsys):
    (tmp_path / "_config.yml").write_text('title: "A book"\nauthor: Ann\n')
    asked = []

    def make(root, site, target, about, solutions=None):
        asked.append((target.name, about if isinstance(about, str) else about["title"], solutions))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"x")
        return ["wide.html"]

    monkeypatch.setattr(commands, "find_root", lambda: tmp_path)
    monkeypatch.setattr(commands, "require_book", lambda *_: None)
    for name in ("print_book", "pack_book", "make_slides"):
        monkeypatch.setattr(commands, name, make)
    parser = argparse.ArgumentParser()
    commands.add_print(parser)
    options = parser.parse_args([form, "--solutions"])
    options.command(options)
    told = capsys.readouterr().out
    if form == "slides":
        assert asked == [("slides", f"Version {__version__}", None)] and "slides of 1 chapters" in told
    else:
        assert asked == [(f"maxmin-with-solutions.{form}", "A book", True)]
        assert ("wider than the paper: wide.html" in told) == (form == "pdf") and "the book: file:" in told


def test_the_address_is_written_once_into_each_chapter(tmp_path, monkeypatch):
    (tmp_path / "_config.yml").write_text("repository:\n  url: https://example.org/fork\n")
    cells = {"one": "import numpy", "two": "from maxmin_core.lm import plan"}
    for name, code in cells.items():
        cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": [code]}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}}))
    chapters = [Chapter(f"0{k}", tmp_path / f"{name}.ipynb") for k, name in enumerate(cells)]
    monkeypatch.setattr(launching, "find_root", lambda: tmp_path)
    monkeypatch.setattr(launching, "all_chapters", lambda root: chapters)
    for _ in range(2):
        launching.main()
    first, second = (json.loads(chapter.path.read_text())["cells"] for chapter in chapters)
    assert [cell["id"] for cell in first] == [cell["id"] for cell in second] == [launching.CELL, "a"]
    assert "maxmin-core[chapters] @ git+https://example.org/fork" in "".join(first[0]["source"])
    # Whoever imports what trains language models needs them installed.
    assert "[chapters,lm]" in "".join(second[0]["source"])
