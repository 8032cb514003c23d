"""Tables of chapters, read back from their HTML, and how chapters write numbers."""

import ast
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from maxmin_core.book.listing import number, tabulate

from .words import code_of, read, shown

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


# --- In the chapters.


def signs_of_zeros(code):
    """Signed numbers whose sign stays when they are rounded to zero, -0.00: formats without a z (PEP 682)."""
    formats = [
        "".join(part.value for part in tree.format_spec.values if isinstance(part, ast.Constant))
        for tree in ast.walk(ast.parse(code))
        if isinstance(tree, ast.FormattedValue) and tree.format_spec is not None
    ]
    return [form for form in [*formats, *re.findall(r"\{:([^{}]*)\}", code)] if re.fullmatch(r"\+\.\d[f%]", form)]


def tables_by_hand(code):
    """Tables that `tabulate` did not lay out: Stylers, and DataFrames that a cell ends in or displays."""
    shown = [n.args[0] for n in ast.walk(ast.parse(code)) if getattr(getattr(n, "func", 0), "id", "") == "display"]
    last = ast.parse(code).body[-1:]
    shown += [n.value for n in last if isinstance(n, ast.Expr)]
    frames = [ast.unparse(n) for n in shown if re.match(r"pd\.(DataFrame|concat|crosstab)\(", ast.unparse(n))]
    return [*frames, *re.findall(r"\.style\b(?!\()", code)]


def test_a_sign_never_stands_before_a_rounded_zero(root):
    code = code_of(root)
    assert len(code) > 300
    assert [(*place, found) for place, text in code.items() if (found := signs_of_zeros(text))] == []


def test_tables_are_laid_out_in_one_way(root):
    code = code_of(root)
    assert sum("tabulate(" in text for text in code.values()) > 100
    assert [(*place, found) for place, text in code.items() if (found := tables_by_hand(text))] == []


def test_a_sign_of_a_zero_is_found():
    code = 'print(f"{x:+.2f} {y:+z.2f} {z:.2f} {a:+.0%}", "{:+.1f} {:+z.1f}".format(b, c), number(d, "+.2f"))'
    assert sorted(signs_of_zeros(code)) == ["+.0%", "+.1f", "+.2f"]


def test_a_table_by_hand_is_found():
    assert tables_by_hand("x = 1\ntabulate(pd.DataFrame(rows), columns, caption)\nplots.style()") == []
    assert tables_by_hand("x = pd.DataFrame(rows)\npd.DataFrame(rows).T") == ["pd.DataFrame(rows).T"]
    assert tables_by_hand("display(pd.concat(parts))\nx = 1") == ["pd.concat(parts)"]
    assert tables_by_hand('table.style.format("{:.2f}")') == [".style"]


# --- On the executed pages.

# A minus before a zero, or a zero with an exponent.
ZERO = re.compile(r"(?<![\w.,^{-])(?:[-\u2212]0(?:\.0+)?(?![\w.,]*\d)|[-\u2212+]?0(?:\.0+)?e[-+]?\d+)")
# An exponent of one digit, as a Decimal has it.
SHORT = re.compile(r"\d[eE][-+]?\d\b(?!\.)")


def zeros(text):
    return ZERO.findall(read(text)) + SHORT.findall(read(text))


def unlabelled(html):
    """Tables without a caption, or with a header without words."""
    tables = re.findall(r"(?s)<table.*?</table>", html)
    heads = [[read(head).strip() for head in re.findall(r"(?s)<th\b.*?</th>", table)] for table in tables]
    captions = [re.search(r"<caption>[^<]*\w", table) for table in tables]
    return [heads for heads, caption in zip(heads, captions, strict=True) if caption is None or not all(heads)]


def test_every_table_has_a_caption_and_no_header_is_blank(site):
    texts = [text for path in chapters(site) for text in shown(path)]
    assert sum(text.count("<table") for text in texts) > 80
    assert [found for text in texts for found in unlabelled(text)] == []


def test_every_table_of_a_chapter_has_a_number_and_an_address(site):
    for path in chapters(site):
        page = (site / "notebooks" / path.name).with_suffix(".html").read_text(encoding="utf-8")
        numbers = re.findall(r'<caption><span class="caption-number">Table ([\d.]+)\. </span>', page)
        assert numbers == [f"{int(path.name[:2])}.{k}" for k in range(1, 1 + len(numbers))], path.name
        assert len(numbers) == len(re.findall(r"<caption>(?!<span class=\"caption-text)", page)), path.name
        assert all(page.count(f'id="table-{number.replace(".", "-")}"') == 1 for number in numbers), path.name


def test_zeros_are_plain(site):
    assert [(path.name, found) for path in chapters(site) for text in shown(path) if (found := zeros(text))] == []


def chapters(site):
    found = sorted((site.parent / "notebooks").glob("[0-9]*.ipynb"))
    assert len(found) >= 12
    return found


@pytest.mark.parametrize(
    "text", ["by -0.00 (± 0.05)", "(-0.0 to 0.2)", "<td>-0%</td>", "0e+00", "2.7e-9", "\u22120.000."]
)
def test_a_zero_that_is_not_plain_is_found(text):
    assert len(zeros(text)) == 1


def test_other_numbers_are_left():
    text = "-0.01, -0.001 to 0.00, 0%, 2.7e-09, 10-0.0, P-0, 1e-10, 3e+05, 0 e, <b style='left: -0.0'>"
    assert zeros(text) == []


def test_a_table_without_words_is_found():
    whole = tabulate(ROWS, COLUMNS, "Values").to_html()
    assert unlabelled(whole) == []
    assert len(unlabelled(whole + whole.replace("Values", "") + whole.replace("method", " "))) == 2
    assert len(unlabelled(pd.DataFrame(ROWS, columns=COLUMNS).to_html())) == 1


@pytest.mark.parametrize("rows", [[], iter([]), pd.DataFrame(columns=COLUMNS)])
def test_a_table_without_rows_is_refused(rows):
    # A filter that lets nothing through had left a page with headers alone.
    with pytest.raises(ValueError, match="^rows: expected at least one in 'Values', got none$"):
        tabulate(rows, COLUMNS, "Values")
