"""The style sheets, read as text: what they say of themselves, and what a page needs of them."""

import re

import pytest

from .test_words import WIDEST


@pytest.fixture(scope="module")
def style(root):
    return (root / "book" / "_static" / "maxmin.css").read_text(encoding="utf-8")


def rules(style, selector):
    """Declarations of every rule of a selector, those of a narrow screen among them."""
    return re.findall(rf"(?m)^ *{re.escape(selector)} \{{([^}}]*)\}}", style)


def test_captions_are_as_dark_as_the_text(root, style):
    """Those of sliders, too: their own sheet comes after that of the book."""
    sliders = (root / "maxmin_core" / "book" / "slider.css").read_text(encoding="utf-8")
    (caption,) = rules(sliders, ".mm-slider figcaption")
    (others,) = rules(style, "figure figcaption, figure figcaption p, figure figcaption .caption-text")
    assert all("color: var(--pst-color-text-base" in each for each in (caption, others))


def test_the_last_of_the_four_steps_leads_back(root, style):
    assert "then back to the weights" in (root / "book" / "welcome.md").read_text(encoding="utf-8")
    wide, narrow = rules(style, ".mm-flow li:last-child::after")
    # To the left in a row, upwards in a column; without a name, as the text says the same.
    assert '"\\2190" / ""' in wide and '"\\2191" / ""' in narrow


def test_the_width_of_code_that_the_sheet_names_is_the_one_that_is_tested(style):
    assert re.findall(r"a line of (\d+) characters", style) == [str(WIDEST)]
