"""The words of the book: what a careful reader would stumble over. Each check is seen to fail on a planted defect."""

import ast
import itertools
import json
import re

import pytest
import yaml

from .words import HIDDEN, LINK, MATHS, Piece, cells, in_order, numbered, plain, prose, said

# A number without its leading zero.
BARE = re.compile(r"(?<![\w.}\])])\.\d")
CHAPTER = re.compile(r"\b[Cc]hapters?\s+\d")
DOUBLED = re.compile(r"\\\\[A-Za-z]|[\a\b\v\f]")
GOALS = re.compile(r":::\{admonition\} What you will learn.*?^:::$", re.DOTALL | re.MULTILINE)
LABEL = re.compile(r"^\((sec-[\w-]+)\)=", re.MULTILINE)
LONGEST = 25
# What fits the column at 1280 pixels.
WIDEST = 87
FORM = re.compile(r"^\*Level: (easy|medium|harder)\. Time: .*\d+ minutes.*\. Kind: .+\*$", re.MULTILINE)

# Visible cells of assignments that are longer. They are given: tools that tasks share, or a study whose output students
# interpret. Students run them as they are, no task asks to write or to change them. Answers are not listed: students
# see a stub in their place.
GIVEN = {
    *("a2_no_single_reward:e9eb4ab1", "a3_who_prefers_what:21205053", "a3_who_prefers_what:42894132"),
    *("a4_worst_off_first:e80ece29", "a5_navigation_and_robustness:38ee655883"),
    *("a6_train_for_the_worst_off:12be22c2ad", "a6_train_for_the_worst_off:cd844cf0a9"),
    *("a6_train_for_the_worst_off:1dc8acf1dc", "a7_against_max_min:912212a3c1"),
}


def bare_numbers(pieces):
    found = [(p, m) for p in pieces for m in BARE.finditer(p.text)]
    return [(p.file, p.place, p.text[max(0, m.start() - 30) : m.end() + 10]) for p, m in found]


def plain_chapters(pieces):
    """Chapters that are named without a link. An assignment is handed out alone: it has no page to lead to."""
    shown = [(p, LINK.sub("", p.text)) for p in pieces if "assignments" not in p.file]
    return [(p.file, p.place, text[m.start() : m.end() + 30]) for p, text in shown for m in CHAPTER.finditer(text)]


def promises(pieces):
    return [(p.file, p.place) for p in pieces if re.search(r"\bin preparation\b", p.text)]


def doubled_backslashes(pieces):
    """In maths, a command behind two backslashes is printed as a word; behind none, Python has eaten it."""
    return [(p.file, p.place, found) for p in pieces for found in MATHS.findall(p.text) if DOUBLED.search(found)]


def long_cells(root, file):
    """Visible cells of more than LONGEST lines; a student gets a stub in the place of an answer."""
    name = file.rsplit("/", 1)[-1].removesuffix(".ipynb")
    return [
        f"{name}:{cell['id']}"
        for cell in cells(root, file)
        if cell["cell_type"] == "code"
        and not HIDDEN & set(cell["metadata"].get("tags", []))
        and not cell["source"][0].startswith("# ANSWER")
        and len(cell["source"]) > LONGEST
    ]


def printed(root, code):
    """Source of the package's functions that a cell prints; without docstrings where the cell takes them out."""
    for name in re.findall(r"inspect\.getsource\((?:\w+\.)*(\w+)\)", code):
        (path,) = [p for p in (root / "maxmin_core").rglob("*.py") if f"\ndef {name}(" in p.read_text(encoding="utf-8")]
        text = path.read_text(encoding="utf-8")
        (function,) = [n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef) and n.name == name]
        source = ast.get_source_segment(text, function)
        yield re.sub('""".*?"""', "", source, flags=re.DOTALL) if ".split(" in code else source


def wide_lines(root, file):
    """Lines of visible code of a chapter that do not fit the column, and of code that it prints."""
    name = file.rsplit("/", 1)[-1].removesuffix(".ipynb")
    found = []
    for cell in cells(root, file):
        if cell["cell_type"] == "code" and not HIDDEN & set(cell["metadata"].get("tags", [])):
            code = "".join(cell["source"])
            lines = "\n".join([code, *printed(root, code)]).splitlines()
            found += [(f"{name}:{cell['id']}", line) for line in lines if len(line) > WIDEST]
    return found


def strays(root, file):
    """Cells whose last line records a mean: what it returns, two bare numbers, would be printed on the page."""
    found = []
    for cell in cells(root, file):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code" and "record_mean" in source:
            last = ast.parse(source).body[-1]
            if isinstance(last, ast.Expr) and ast.unparse(last).startswith("record_mean("):
                found.append((file, cell["id"]))
    return found


def notation(text):
    """Symbols of the table of notation, as they are typed, with the section that introduces each.

    Of every row the symbols before the first sign of equality, without their arguments; single letters are left out,
    as they have other uses.
    """
    found = []
    for row in re.findall(r"^\| \$.*$", text, re.MULTILINE):
        first, *_, last = (entry.strip() for entry in row.strip("|").split(" | "))
        place = re.search(r"<(sec-[\w-]+)>", last)
        if place is None:
            raise ValueError(f"no section introduces {first}")
        for symbol in re.findall(r"\$([^$]+)\$", first):
            symbol = squeezed(re.split(r"[=]|\\propto", symbol)[0])
            symbol = symbol if symbol.startswith("A(") else re.sub(r"\([^)]*\)$", "", symbol)
            if symbol.startswith("A("):
                symbol = "A("
            if len(symbol) > 1 and "," not in symbol:
                found.append((symbol, place.group(1)))
    return found


def squeezed(maths):
    return re.sub(r"\s|\\[,;!]|\|", "", maths.replace(r"\Vert", ""))


def used_too_early(pieces, symbols):
    """Symbols that stand in maths before the section that introduces them, or not in it."""
    sections = []
    for piece in pieces:
        label = sections[-1][1] if sections and sections[-1][0] == piece.file else ""
        text = GOALS.sub("", piece.text)
        starts = [0, *(m.start() for m in LABEL.finditer(text)), len(text)]
        for begin, end in itertools.pairwise(starts):
            found = LABEL.match(text, begin)
            label = found.group(1) if found else label
            sections.append((piece.file, label, squeezed(" ".join(MATHS.findall(text[begin:end])))))
    labels = [label for _, label, _ in sections]
    wrong = []
    for symbol, place in symbols:
        if place not in labels:
            wrong.append((symbol, place, "there is no such section"))
            continue
        first = next((k for k, (*_, text) in enumerate(sections) if symbol in text), None)
        if first is None or labels[first] != place:
            used = "nowhere" if first is None else f"{sections[first][0]}, {labels[first] or 'at its beginning'}"
            wrong.append((symbol, place, f"first used: {used}"))
    return wrong


@pytest.fixture(scope="module")
def pieces(root):
    found = prose(root)
    # A reader that reads nothing would find nothing wrong.
    assert len(found) > 500 and sum(len(p.text) for p in found) > 500_000
    return found


@pytest.fixture(scope="module")
def chapters(pieces):
    """Chapters alone, in the order of the book: pages around them may run ahead."""
    return [p for p in pieces if re.match(r"notebooks/\d", p.file)]


def test_numbers_have_their_leading_zero(pieces):
    assert bare_numbers(pieces) == []


def test_chapters_are_named_by_links(pieces):
    assert plain_chapters(pieces) == []


def test_nothing_is_in_preparation(pieces):
    assert promises(pieces) == []


def test_maths_has_single_backslashes(pieces):
    assert doubled_backslashes(pieces) == []


def test_visible_cells_are_short(root):
    found = [name for file in in_order(root) if file.endswith(".ipynb") for name in long_cells(root, file)]
    # An exemption that is not needed any more goes.
    assert sorted(found) == sorted(GIVEN)


def test_visible_code_fits_the_column(root):
    assert [one for file in numbered(root) for one in wide_lines(root, file)] == []


def test_no_cell_prints_what_it_records(root):
    assert [one for file in in_order(root) if file.endswith(".ipynb") for one in strays(root, file)] == []


def test_symbols_are_introduced_before_they_are_used(root, chapters):
    symbols = notation((root / "book/notation.md").read_text())
    assert len(symbols) >= 20 and {r"\pi_{\mathrm{ref}}", r"\barp", "A(", r"\mathrm{Gap}_u"} <= {s for s, _ in symbols}
    assert used_too_early(chapters, symbols) == []


def test_every_chapter_ends_with_a_quiz_and_exercises_of_one_form(root):
    """At least five exercises, each with its level, its minutes and its kind; four questions, each with an answer."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    for file in (f"{name}.ipynb" for name in files if name.startswith("notebooks/")):
        text = "\n".join("".join(c["source"]) for c in cells(root, file) if c["cell_type"] == "markdown")
        exercises = re.findall(r"^:::\{exercise\}.*?^:::$", text, re.DOTALL | re.MULTILINE)
        assert len(exercises) >= 5, file
        for exercise in exercises:
            assert FORM.search(exercise), exercise
        assert text.count("{admonition} Answer to ") == 4, file


# --- Each check is seen to fail.


def piece(text, file="notebooks/01_one_reward.ipynb"):
    return [Piece(file, "planted", plain(text))]


@pytest.mark.parametrize("text", ["worth .35 spreads", "from -.2 to 1", "a gap of (.4)", "at $\\beta = .1$", "± .03"])
def test_a_bare_number_is_found(text):
    assert len(bare_numbers(piece(text))) == 1


@pytest.mark.parametrize("text", ["0.35", "version 1.0.1", "`.35`", "see 4.1.", "```\nx = .5\n```", "section A.2"])
def test_other_dots_are_no_bare_numbers(text):
    assert bare_numbers(piece(text)) == []


def test_what_a_cell_prints_is_read_without_its_formats():
    code = (
        'display(Markdown(f"worth .3 and {x:.2f}, " + f"{a:+.1%} of {\'.5\' if a else b}"))\n'
        'plots.show(figure, caption="see chapter 3", alt="chapter 4, .7")\nx = ".9"'
    )
    assert sorted(said(code)) == ["see chapter 3", "worth .3 and \x00, \x00 of \x00.5"]
    found = [Piece("notebooks/01.ipynb", "planted", text) for text in said(code)]
    assert len(bare_numbers(found)) == 2 and len(plain_chapters(found)) == 1


@pytest.mark.parametrize("text", ["as in chapter 3.", "Chapters 8 and 9", "(chapter\n5)"])
def test_a_chapter_without_a_link_is_found(text):
    assert len(plain_chapters(piece(text))) == 1
    assert plain_chapters(piece(text, "notebooks/assignments/a1_one_reward.ipynb")) == []


@pytest.mark.parametrize(
    "text", ["{doc}`chapter 3 </a>`", "[chapter 8](x)", "chapters {doc}`1 </a>` and {doc}`5 </b>`"][:]
)
def test_a_link_will_do(text):
    assert plain_chapters(piece(text)) == []


def test_a_promise_is_found():
    assert promises(piece("a later chapter, in preparation")) and not promises(piece("in preparations"))


def test_a_doubled_backslash_is_found():
    assert len(doubled_backslashes(piece(r"group, $\\operatorname{arg}$"))) == 1
    assert doubled_backslashes(piece("$$ a \\\\ b $$")) == []
    # A string that is no raw one: \b is a sign of its own.
    assert len(doubled_backslashes(piece("at $\beta = 1$"))) == 1


def test_a_long_cell_is_found(tmp_path):
    def cell(n_lines, first="x = 1\n", tags=()):
        source = [first, *["x += 1\n"] * (n_lines - 1)]
        return {"cell_type": "code", "id": f"c{n_lines}", "metadata": {"tags": list(tags)}, "source": source}

    planted = [cell(25), cell(26), cell(27, tags=["hide-input"]), cell(28, first="# ANSWER x\n")]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": planted}))
    assert long_cells(tmp_path, "n.ipynb") == ["n:c26"]


def test_a_wide_line_is_found(tmp_path):
    def cell(name, source, tags=()):
        return {"cell_type": "code", "id": name, "metadata": {"tags": list(tags)}, "source": [source]}

    (tmp_path / "maxmin_core").mkdir()
    wide = f"{'x' * 84} = 1"
    text = f'import numpy\n\n\ndef told():\n    """{wide}"""\n    return 1\n\n\ndef done():\n    {wide}\n'
    (tmp_path / "maxmin_core" / "module.py").write_text(text)
    planted = [
        cell("fits", wide[1:]),
        cell("wide", f"y = 2\n{wide}"),
        cell("folded", wide, ["hide-input"]),
        cell("prints", "print(inspect.getsource(module.told))"),
        cell("takes_out", "print(inspect.getsource(told).split('x'))"),
        cell("prints_too", "print(inspect.getsource(done))"),
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": planted}))
    found = wide_lines(tmp_path, "n.ipynb")
    assert [name for name, _ in found] == ["n:wide", "n:prints", "n:prints_too"] and found[0][1] == wide


def test_a_stray_pair_of_numbers_is_found(tmp_path):
    def cell(name, last):
        return {"cell_type": "code", "id": name, "metadata": {}, "source": ["x = 1\n", last]}

    planted = [
        cell("a", 'record_mean("x", y)'),
        cell("b", '_ = record_mean("x", y)'),
        cell("c", "show(record_mean(x))"),
    ]
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": planted}))
    assert [name for _, name in strays(tmp_path, "n.ipynb")] == ["a"]


TABLE = "| Symbol | In |\n|---|---|\n| $\\gamma$ | {ref}`b <sec-b>` |\n| $A(r) = \\log$ | {ref}`a <sec-a>` |"


def test_a_symbol_that_comes_too_early_is_found():
    symbols = notation(TABLE)
    assert symbols == [(r"\gamma", "sec-b"), ("A(", "sec-a")]
    good = piece("(sec-a)=\n$A(r)$ is\n\n(sec-b)=\nlet $\\gamma$ be")
    assert used_too_early(good, symbols) == []
    early = piece("(sec-a)=\n$A(r)$ and $\\gamma$\n\n(sec-b)=\nlet $\\gamma$ be")
    assert [symbol for symbol, *_ in used_too_early(early, symbols)] == [r"\gamma"]
    begun = piece("$A(r)$\n\n(sec-a)=\nlet $A(r)$ be\n\n(sec-b)=\n$\\gamma$")
    assert [symbol for symbol, *_ in used_too_early(begun, symbols)] == ["A("]
    # What a chapter promises to explain may be named.
    goals = ":::{admonition} What you will learn\n* what $\\gamma$ is\n:::\n\n"
    goals = piece(goals + "(sec-a)=\n$A(r)$\n\n(sec-b)=\n$\\gamma$")
    assert used_too_early(goals, symbols) == []
    assert used_too_early(piece("(sec-a)=\n$A(r)$"), symbols) == [(r"\gamma", "sec-b", "there is no such section")]
    with pytest.raises(ValueError, match=r"no section introduces \$x_u\$"):
        notation("| $x_u$ | here |")
