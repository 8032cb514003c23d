"""Tables of chapters, read back from their HTML."""

import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from maxmin_core.book.listing import number, tabulate

ROWS = [("80:20", "max-min", 0.42), ("80:20", "average", -0.43)]
COLUMNS = ["setting", "method", "value"]


def test_there_is_one_row_of_headers_and_every_row_keeps_its_names():
    html = tabulate(ROWS, COLUMNS, "Gold values", keys=2).to_html()
    head, body = html.split("<tbody>")
    assert head.count("<tr") == 1 and "<caption>Gold values</caption>" in head
    assert re.findall(r"<th[^>]*>([^<]*)</th>", head) == COLUMNS
    assert body.count("80:20") == len(ROWS)
    cells = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in body.split("</tr>")][:-1]
    assert cells == [[setting, method, f"{value:f}"] for setting, method, value in ROWS]
    # An index with a name is what makes a second row of headers.
    plain = pd.DataFrame(ROWS, columns=COLUMNS).set_index("setting").to_html()
    assert plain.split("<tbody>")[0].count("<tr") == 2


@pytest.mark.parametrize("keys", [0, 1, 2])
def test_the_columns_that_name_rows_stand_to_the_left(keys):
    html = tabulate(ROWS, COLUMNS, "Gold values", keys=keys).to_html()
    left = re.findall(r"#T_\w+ \.col(\d) \{\s*text-align: left;", html)
    assert left == [str(k) for k in range(keys)]


def test_a_frame_and_an_iterator_will_do():
    expected = tabulate(ROWS, COLUMNS, "Values").to_string()
    assert tabulate(iter(ROWS), COLUMNS, "Values").to_string() == expected
    assert tabulate(pd.DataFrame(ROWS, columns=COLUMNS), COLUMNS, "Values").to_string() == expected


def test_the_index_of_a_frame_comes_first_where_it_has_headers():
    frame = pd.DataFrame(ROWS, columns=COLUMNS)
    expected = tabulate(ROWS, COLUMNS, "Values", keys=2).to_string()
    for n_keys in (1, 2):
        assert tabulate(frame.set_index(COLUMNS[:n_keys]), COLUMNS, "Values", keys=2).to_string() == expected
    # An index without headers, one that repeats itself too, is left out.
    assert tabulate(frame.set_axis([7, 7]), COLUMNS, "Values", keys=2).to_string() == expected
    # Headers are those that are asked for.
    assert "<th" in (html := tabulate(frame, ["a", "b", "c"], "Values").to_html()) and "setting" not in html


def test_numbers_are_written_by_column():
    rows = [("a", 1200, 0.25, 0.0, "0.5 ± 0.1"), ("b", 7, -0.0001, 2.6e-9, "-"), ("c", 0, np.nan, np.nan, "")]
    columns = ["name", "n", "value", "gap", "text"]
    table = tabulate(rows, columns, "Values", form=".2f", forms={"gap": ".0e"})
    read = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in table.to_html().split("</tr>")][1:-1]
    assert read == [["a", "1200", "0.25", "0", "0.5 ± 0.1"], ["b", "7", "0.00", "3e-09", "-"], ["c", "0", "", "", ""]]
    assert ">1,200<" in tabulate(rows, columns, "Values", forms={"n": ","}).to_html()


@pytest.mark.parametrize(
    ("value", "form", "written"),
    [
        (-0.004, ".2f", "0.00"),
        (-0.004, "+.2f", "+0.00"),
        (-0.006, "+.2f", "-0.01"),
        (-0.0, ".1%", "0.0%"),
        (np.float32(-0.001), ".1f", "0.0"),
        (0.0, ".0e", "0"),
        (-0.0, ".1e", "0"),
        (-2.2e-16, ".1e", "-2.2e-16"),
        (Decimal("2.7e-9"), ".1e", "2.7e-09"),
        (Decimal("-0"), ".0e", "0"),
        (3, ".2f", "3.00"),
        (np.int64(2880), ",", "2,880"),
        (1300.0, ",.0f", "1,300"),
        (float("nan"), ".2f", ""),
        ("as it is", ".2f", "as it is"),
    ],
)
def test_numbers(value, form, written):
    assert number(value, form) == written


def test_cells_of_one_number_have_a_class_that_keeps_them_whole(root):
    cells = ["-2.2e-16", "80:20", "4/7", "33.1%", 7, 0.25, "0.5 ± 0.1", "P1", "-", "three groups", "2.5 (1 to 3)", ""]
    html = tabulate([(cell,) for cell in cells], ["cell"], "Values").to_html()
    whole = ["mm-number" in classes for classes in re.findall(r'<td[^>]*class="([^"]*)"', html)]
    assert whole == [True] * 6 + [False] * 6
    style = (root / "book" / "_static" / "maxmin.css").read_text(encoding="utf-8")
    assert re.search(r"td\.mm-number \{[^}]*white-space: nowrap", style)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"columns: expected a word for each, got \['', 'value'\]"):
        tabulate([("a", 1)], ["", "value"], "Values")
    with pytest.raises(ValueError, match="keys: expected at most one for each of 1 columns, got 2"):
        tabulate([("a",)], ["method"], "Values", keys=2)
    with pytest.raises(ValueError, match="caption: expected words, got ' '"):
        tabulate([("a",)], ["method"], " ")
    with pytest.raises(ValueError, match=r"forms: expected some of \['method'\], got 'value'"):
        tabulate([("a",)], ["method"], "Values", forms={"value": ".2f"})
    with pytest.raises(ValueError, match=r"columns: expected 4, the index among them, got \['a', 'b'\]"):
        tabulate(pd.DataFrame(ROWS), ["a", "b"], "Values")
