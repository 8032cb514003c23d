"""Theorems by title, figures by caption, and the reading time that a chapter states."""

import re

from maxmin_core._files import read_json
from maxmin_core.book._lists import figure_list, reading_time, theorem_list
from maxmin_core.book.chapters import all_chapters


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
