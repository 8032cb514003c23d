"""Tables of chapters, read back from their HTML."""

import re

import pandas as pd
import pytest

from maxmin_core.book.listing import tabulate

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
    expected = tabulate(ROWS, COLUMNS, "").to_string()
    assert tabulate(iter(ROWS), COLUMNS, "").to_string() == expected
    assert tabulate(pd.DataFrame(ROWS, columns=COLUMNS), COLUMNS, "").to_string() == expected


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"columns: expected a word for each, got \['', 'value'\]"):
        tabulate([("a", 1)], ["", "value"], "")
    with pytest.raises(ValueError, match="keys: expected at most one for each of 1 columns, got 2"):
        tabulate([("a",)], ["method"], "", keys=2)
