"""Theorems by title, figures and tables by caption, and the reading time that a chapter states."""

import copy
import re
from html import unescape

import nbformat
import pytest

from maxmin_core._files import read_json
from maxmin_core.book._lists import figure_list, number_tables, reading_time, table_list, theorem_list
from maxmin_core.book.chapters import all_chapters
from maxmin_core.book.listing import tabulate
from maxmin_core.book.site import _dress

from .words import read


def test_every_statement_of_the_book_is_listed_once_with_its_title(root):
    chapters = all_chapters(root)
    notebooks = [read_json(chapter.path) for chapter in chapters]
    listed = re.findall(r"^\* \{prf:ref\}`([^`]+)`: (.+)$", theorem_list(chapters, notebooks), re.M)
    # Counted another way: line by line.
    stated = [
        line.partition("}")[2].strip()
        for notebook in notebooks
        for cell in notebook["cells"]
        if cell["cell_type"] == "markdown"
        for line in "".join(cell["source"]).splitlines()
        if re.match(r":+\{prf:", line) and "{prf:proof}" not in line
    ]
    assert [title for _, title in listed] == stated and len(stated) > 40
    assert len({label for label, _ in listed}) == len(listed)


def test_figures_by_caption(root):
    chapters = all_chapters(root)[:1]
    told = {"name": "fig-a", "caption": "A square.", "alt": "x"}
    notebook = {"cells": [{"outputs": [{"metadata": {"maxmin": told}}, {"metadata": {}}]}, {}]}
    assert "* {numref}`fig-a`: A square." in figure_list(chapters, [notebook])
    assert figure_list(chapters, [{"cells": []}]) == "None.\n"


CAPTIONS = ["Values", "Shares ($\\beta < 1$)", "Not shown", "*Odds* & ends"]


@pytest.fixture
def tables():
    """An executed chapter 4 with three tables that are shown, one that is not, and a table without a caption."""
    cells = [nbformat.v4.new_markdown_cell("# Mixture"), nbformat.v4.new_markdown_cell("| a |\n|---|\n| 1 |")]
    for caption in CAPTIONS:
        page = tabulate([("a", 1)], ["name", "value"], caption).to_html()
        output = nbformat.v4.new_output("display_data", {"text/html": page, "text/plain": "x"})
        cell = nbformat.v4.new_code_cell("1", outputs=[output])
        cell.metadata["tags"] = ["remove-cell"] if caption == "Not shown" else ["hide-input"]
        cells.append(cell)
    cells[-1].outputs.insert(0, nbformat.v4.new_output("stream", text="<table><caption>no table</caption>"))
    return nbformat.v4.new_notebook(cells=cells)


def addresses(notebook):
    """Of every table that is shown its address, and what its caption says, without the sign of the link."""
    html = "".join(
        "".join(o.get("data", {}).get("text/html", "")) for c in notebook["cells"] for o in c.get("outputs", [])
    )
    found = re.findall(
        r'<div id="([^"]+)"></div><table[^>]*>\s*<caption>(.*?)<a [^>]*href="#\1"[^>]*>#</a></caption>', html
    )
    return {place: " ".join(read(caption).split()) for place, caption in found}


def test_tables_are_numbered_within_their_chapter(tables):
    before = copy.deepcopy(tables)
    told = addresses(number_tables(tables, "04"))
    shown = [caption for caption in CAPTIONS if caption != "Not shown"]
    assert told == {f"table-4-{k}": f"Table 4.{k}. {caption}" for k, caption in enumerate(shown, start=1)}
    assert tables == before and list(addresses(number_tables(tables, "00"))) == ["table-0-1", "table-0-2", "table-0-3"]


def test_every_table_is_listed_by_its_number(root, tables):
    chapter = all_chapters(root)[4]
    listed = table_list([chapter], [tables])
    page = f"../notebooks/{chapter.path.stem}.html#"
    found = re.findall(r'<li><a [^>]*href="([^"]+)">(.*?)</a>: (.*)</li>', listed)
    told = {place.removeprefix(page): f"{number}. {unescape(caption)}" for place, number, caption in found}
    assert told == addresses(number_tables(tables, chapter.number))
    assert "($\\beta &lt; 1$)" in listed and "&amp; ends" in listed
    assert table_list([chapter], [{"cells": []}]) == "None.\n"


def test_the_pages_have_the_numbers(tables):
    run = {"chapter": "04", "profile": "cpu", "seconds": 1.0, "hardware": "x", "seed": 0, "date": "today"}
    page = nbformat.reads(_dress(tables, run, False).decode(), as_version=4)
    assert list(addresses(page)) == ["table-4-1", "table-4-2", "table-4-3"]


def test_the_reading_time_is_the_one_that_the_chapter_states(root):
    def said(text):
        return reading_time({"cells": [{"cell_type": "code"}, {"cell_type": "markdown", "source": [text]}]})

    assert said("**Time**: about two\nhours to read, and another.") == "about two hours"
    assert said("**Time**: three hours with the proofs, and one.") == "three hours"
    assert said("Time flies.") == ""


def minutes(told):
    """What a badge says, in minutes: "about an hour and three quarters" is 105."""
    hours = next(hours for words, hours in {"an hour": 60, "two": 120, "three": 180}.items() if words in told)
    parts = {"half": 30, "three quarters": 45, "a quarter": 15, "a bit more": 6}
    return hours + next((part for words, part in parts.items() if words in told), 0)


def test_every_chapter_says_how_long_it_takes(root):
    """All of its words at thirty to seventy a minute: prose takes less, formulas, code and figures take more."""
    for chapter in all_chapters(root):
        notebook = read_json(chapter.path)
        text = " ".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
        told = reading_time(notebook)
        assert told and 30 < len(text.split()) / minutes(told) < 70, (chapter.number, told)


def test_minutes():
    told = {"about an hour": 60, "about two and a half hours": 150, "a bit more than two hours": 126}
    told |= {"about an hour and three quarters": 105, "about three hours and a quarter": 195}
    assert {text: minutes(text) for text in told} == told
