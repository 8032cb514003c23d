"""One setting for the repository's address, and what is installed elsewhere."""

import re
import tomllib

import pytest

from maxmin_core._files import read_json
from maxmin_core.book import launching
from maxmin_core.book.chapters import all_chapters
from maxmin_core.book.launching import address, install_cell


def test_every_chapter_begins_with_the_cell_of_the_setting(root):
    assert address(root).startswith("https://")
    for chapter in all_chapters(root):
        code = [cell for cell in read_json(chapter.path)["cells"] if cell["cell_type"] == "code"]
        # Before anything is imported.
        assert "".join(code[0]["source"]) == install_cell(chapter, address(root)), f"{chapter.path.name}: make address"
        assert code[0]["metadata"]["tags"] == ["remove-cell"]


def test_another_address_is_written_into_every_chapter(project, monkeypatch):
    config = project / "_config.yml"
    config.write_text(config.read_text() + "repository:\n  url: https://example.org/fork\n")
    monkeypatch.chdir(project)
    for _ in range(2):
        launching.main()
        for chapter in all_chapters(project):
            cells = read_json(chapter.path)["cells"]
            assert [cell["id"] for cell in cells].count(launching.CELL) == 1
            assert "git+https://example.org/fork" in "".join(cells[1]["source"])


def test_the_cell_does_nothing_where_the_package_is(root, monkeypatch):
    import subprocess

    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it installed"))
    for chapter in all_chapters(root):
        exec(install_cell(chapter, "https://example.org/x"), {})


def test_the_extra_for_chapters_is_a_part_of_the_book_s(root):
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras["chapters"]) < set(extras["book"])


def test_a_hub_installs_the_chapters_alone(root):
    lines = (root / "binder" / "requirements.txt").read_text().splitlines()
    assert ".[chapters]" in lines and "--constraint ../requirements.lock" in lines
    assert (root / "binder" / "runtime.txt").read_text() == "python-3.11\n"
    assert not re.search(r"^(torch|\.\[.*(lm|book).*\])", "\n".join(lines), re.M)


def test_the_prose_names_the_repository_by_the_address_that_is_replaced(root):
    from maxmin_core.book.site import _ADDRESS

    pages = {path.name: path.read_text(encoding="utf-8") for path in (root / "book").glob("*.md")}
    named = {
        link for text in pages.values() for link in re.findall(r"https://github\.com/[\w-]+/maxmin-rlhf[\w-]*", text)
    }
    assert named == {_ADDRESS}
