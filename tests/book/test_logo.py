"""The logo, whose letters are as wide as a machine's font makes them."""

import xml.etree.ElementTree as ElementTree

import pytest


@pytest.mark.parametrize("name", ["logo", "logo-dark"])
def test_the_words_of_the_logo_fit_in_any_font(root, name):
    svg = ElementTree.parse(root / "book" / "_static" / f"{name}.svg").getroot()
    width = float(svg.get("viewBox").split()[2])
    texts = svg.findall("{http://www.w3.org/2000/svg}text")
    assert [text.text for text in texts] == ["MaxMin-RLHF", "the executable companion"]
    for text in texts:
        assert text.get("lengthAdjust") == "spacingAndGlyphs"
        assert float(text.get("x")) + float(text.get("textLength")) <= width
