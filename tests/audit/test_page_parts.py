"""What the page is made of, to the letter: shares, numbers, tables, figures."""

import re

from maxmin_core.audit._figures import dots
from maxmin_core.audit._html import number, paragraph, share, table


def test_shares_and_numbers():
    assert share(None) == share([None, 0.1, 0.2]) == "unknown"
    assert share([0.256, None, None]) == "26%" and share([0.256, 0.1, 0.9]) == "26% (10% to 90%)"
    assert number([-0.001, -1.234, 5]) == "0.00 (-1.23 to 5.00)" and number([1, 2, 3], 1) == "1.0 (2.0 to 3.0)"


def test_a_table_and_a_paragraph():
    assert paragraph("a < b") == "<p>a &lt; b</p>\n"
    cell = "1" * 24
    found = table("A & B", ["x<"], [("r>", "1.5", "word", 7, "", cell, cell[1:])])
    assert found == (
        '<div class="scroll" tabindex="0" role="region" aria-label="A &amp; B"><table><caption>A &amp; B</caption>'
        '<thead><tr><th scope="col">x&lt;</th></tr></thead><tbody><tr><th scope="row">r&gt;</th>'
        f'<td class="n">1.5</td><td>word</td><td>7</td><td></td><td>{cell}</td><td class="n">{cell[1:]}</td>'
        "</tr></tbody></table></div>\n"
    )


def test_a_figure_in_full():
    """The axis begins at 3% and ends at 97%; every row is 34 high; points of a row lie 5 apart about its middle."""
    found = dots([("<a>", [(1.0, 0.0, 4.0, 2)]), ("b", [(2, None, 3, 0), (9, 1, 3, 1)])], alt="A", caption="C&")
    at = {x: f"{3 + 94 * x / 9:.2f}%" for x in (0, 1, 2, 3, 4, 9)}
    assert found == (
        '<figure><svg role="img" width="100%" height="100" aria-label="A"><text x="0" y="18">&lt;a&gt;</text>'
        f'<line class="g2" x1="{at[0]}" x2="{at[4]}" y1="28" y2="28"/>'
        f'<circle class="g2" cx="{at[1]}" cy="28" r="4"/>'
        '<text x="0" y="52">b</text>'
        f'<circle class="g0" cx="{at[2]}" cy="60" r="4"/>'
        f'<line class="g1" x1="{at[1]}" x2="{at[3]}" y1="65" y2="65"/>'
        f'<circle class="g1" cx="{at[9]}" cy="65" r="4"/>'
        '<text class="end" x="3%" y="94">0</text><text class="end" x="97%" y="94" text-anchor="end">9</text></svg>'
        "<figcaption>C&amp;</figcaption></figure>"
    )


def test_ends_of_a_figure():
    def ends(*points, **more):
        figure = dots([("x", list(points))], alt="a", caption="c", **more)
        return re.findall(r'class="end"[^>]*>([^<]*)<', figure), re.findall(r'(?:cx|x1|x2)="([^"]*)"', figure)

    # One place alone has room on either side; given ends hold what lies beyond them.
    assert ends((2.0, None, None, 1)) == (["1", "3"], ["50.00%"])
    assert ends((5.0, -1.0, 0.5, 1), ends=(0.0, 1.0), unit=" %") == (["0 %", "1 %"], ["3.00%", "50.00%", "97.00%"])
    assert ends((1.0, 0.0, None, 1)) == (["0", "1"], ["97.00%"])
    assert ends((1.0, None, 2.0, 1), line=-2.0) == (["-2", "2"], ["3.00%", "3.00%", "73.50%"])
    line = re.search(r'<line class="zero"[^>]*>', dots([("x", [(1, 0, 2, 1)])], alt="", caption="", line=1)).group()
    assert line == '<line class="zero" x1="50.00%" x2="50.00%" y1="0" y2="42"/>'
