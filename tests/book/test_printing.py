"""The book on paper, in an ePub and as slides, from a site of two pages; and a page that is printed by itself."""

import re
import shutil
import zipfile
from xml.etree import ElementTree

import nbformat
import pytest

from maxmin_core.book import _chromium, printing
from maxmin_core.book.printing import contents, pack_book, print_book
from maxmin_core.book.slides import make_slides

ABOUT = {"title": "A & B", "author": "Team", "edition": "Version 1", "modified": "2026-01-01T00:00:00Z"}
WORDS = "".join(f"<th>column{i}</th>" for i in range(22))
FIRST = f"""<section id="a"><h1>1. First<a class="headerlink" href="#a">#</a></h1>
<div class="proof theorem admonition" id="thm-one">
<p class="admonition-title"><span class="caption-number">Theorem 1.1 </span></p>
<section id="proof-content"><p>It <em>holds</em>: <span class="math">\\(x &lt; \\frac12\\)</span>.</p></section></div>
<section id="b"><h2>1.1. A picture</h2><figure id="fig-one"><img alt="A blue square" src="../_images/square.svg">
<figcaption><p><span class="caption-number">Fig. 1.1 </span>Where <span class="math">\\(x\\)</span> is.</p></figcaption>
</figure></section>
<div class="pst-scrollable-table-container"><table class="table"><tr>{WORDS}</tr></table></div>
<div class="cell"><div id="table-1-1"></div><table id="T_a"><caption>Table 1.1. Two</caption>
<tr><td id="T_a_b">2</td></tr></table></div>
<div class="cell"><details class="admonition hide"><summary>Show</summary><pre>folded = 1</pre></details></div>
<div class="exercise admonition" id="ex-a"><p>Ask.</p></div>
<div class="solution dropdown admonition" id="proof-content">
<p class="admonition-title">Solution</p><p>vierzig</p></div>
<div class="admonition dropdown tip"><p class="admonition-title">Answer</p><p>sieben</p></div>
<section id="c"><h2>What we saw</h2><ul><li>All is <span class="math">\\(x^2\\)</span>.</li></ul></section></section>"""
SECOND = """<section id="a"><h1>Second</h1><p>See <a href="../notebooks/01_first.html#thm-one">the theorem</a>,
<a href="../notebooks/01_first.html#table-1-1">a table</a>,
<a href="https://example.org/x">elsewhere</a> and <a href="../objects.inv">a file</a>.</p></section>"""


@pytest.fixture
def small(root, tmp_path, browser):
    """A project of two rendered pages; asks for `browser` so that no Chromium means a skip, or a failure in CI."""
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: notebooks/01_first\nparts:\n"
        "  - {caption: More, chapters: [{file: book/second}]}\n  - {caption: Code, chapters: [{file: book/api/x}]}\n"
    )
    site = tmp_path / "html"
    for folder in ("notebooks", "book", "_images", "_static"):
        (site / folder).mkdir(parents=True)
    shutil.copytree(root / "book" / "_static" / "mathjax", site / "_static" / "mathjax")
    for name in ("maxmin.css", "pygments.css"):
        shutil.copy(root / "book" / "_static" / "maxmin.css", site / "_static" / name)
    size = 'width="40" height="40"'
    square = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect {size} fill="blue"/></svg>'
    (site / "_images" / "square.svg").write_text(square)
    for name, body in (("notebooks/01_first", FIRST), ("book/second", SECOND)):
        (site / f"{name}.html").write_text(
            '<!DOCTYPE html><html data-theme="light"><head><meta charset="utf-8">'
            '<link rel="stylesheet" href="../_static/maxmin.css?v=1"></head><body>'
            f'<aside class="bd-sidebar">side</aside><article class="bd-article">{body}</article></body></html>'
        )
    cells = [nbformat.v4.new_markdown_cell("# First", id="t")]
    metadata = {"maxmin": {"question": "Is it so?"}}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), tmp_path / "notebooks" / "01_first.ipynb")
    return tmp_path


@pytest.fixture
def alone(browser, monkeypatch):
    """Let the functions use the tests' browser: a process has one."""
    from contextlib import contextmanager

    @contextmanager
    def given():
        context = browser.new_context(offline=True)
        yield context
        context.close()

    for module in (printing, _chromium):
        monkeypatch.setattr(module, "browser", given)
    monkeypatch.setattr("maxmin_core.book.slides.browser", given)


def test_the_contents_leave_the_reference_out(small):
    assert contents(small) == [("", ["notebooks/01_first"]), ("More", ["book/second"])]


@pytest.mark.parametrize("solutions", [False, True])
def test_the_whole_book_in_one_document(small, alone, browser, solutions):
    site = small / "html"
    with printing.browser() as context:
        articles = printing._articles(context, small, site, solutions=solutions, epub=False)
        text = printing._document(small, site, articles, ABOUT)
    assert "Theorem 1.1" in text and "folded = 1" not in text and "A &amp; B" in text
    assert ("vierzig" in text) == ("sieben" in text) == solutions
    assert 'href="#p-notebooks-01-first--table-1-1"' in text and 'id="T_a_b"' in text
    assert 'href="#p-notebooks-01-first--thm-one"' in text and 'href="https://example.org/x"' in text
    assert "objects.inv" not in text and "a file" in text
    names = re.findall(r'\bid="([^"]+)"', text)
    assert len(names) == len(set(names)) > 5
    assert set(re.findall(r'href="#([^"]+)"', text)) <= set(names)


def test_a_pdf_in_which_nothing_is_cut(small, alone):
    target = small / "book.pdf"
    assert print_book(small, small / "html", target, ABOUT) == []
    content = target.read_bytes()
    # A title, the contents, and each page begins anew.
    assert content.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", content)) == 4
    assert b"/Outlines" in content and not list((small / "html").glob(".*print*"))


def test_what_cannot_be_made_to_fit_is_told(small, alone):
    page = small / "html" / "book" / "second.html"
    page.write_text(page.read_text().replace("<p>See", '<pre style="width: 3000px">long</pre><p>See'))
    assert print_book(small, small / "html", small / "book.pdf", ABOUT) == ["p-book-second: PRE long"]


def test_a_missing_page_is_named(small, alone):
    (small / "html" / "book" / "second.html").unlink()
    with pytest.raises(printing.PrintError, match="second.html, got none; call make book first"):
        print_book(small, small / "html", small / "book.pdf", ABOUT)


def test_an_epub_is_well_formed_and_has_what_it_lists(small, alone):
    target = small / "book.epub"
    pack_book(small, small / "html", target, ABOUT)
    with zipfile.ZipFile(target) as book:
        first = book.infolist()[0]
        assert (first.filename, first.compress_type) == ("mimetype", zipfile.ZIP_STORED)
        assert book.read("mimetype") == b"application/epub+zip"
        files = {name: book.read(name).decode() for name in book.namelist()}
    trees = {
        name: ElementTree.fromstring(text) for name, text in files.items() if name.endswith((".xhtml", ".opf", ".xml"))
    }
    listed = [item.get("href") for item in trees["book/book.opf"].iter("{http://www.idpf.org/2007/opf}item")]
    assert {f"book/{name}" for name in listed} | {"book/book.opf", "mimetype", "META-INF/container.xml"} == set(files)
    page = files["book/p-notebooks-01-first.xhtml"]
    assert "<mfrac" in page and "\\frac12" not in re.sub(r"<annotation.*?</annotation>", "", page)
    assert "vierzig" not in "".join(files.values()) and "Theorem 1.1" in page
    assert 'src="images/square.svg"' in page
    # Every link leads to a place that there is.
    places = {name.removeprefix("book/"): {node.get("id") for node in tree.iter()} for name, tree in trees.items()}
    links = [link for name in places for link in re.findall(r'<a[^>]* href="(p-[^"]+)"', files.get(f"book/{name}", ""))]
    assert len(links) >= 3
    for link in links:
        name, _, place = link.partition("#")
        assert name in places and (not place or place in places[name]), link


def test_slides_have_the_chapter_s_question_figures_and_points(small, alone, browser):
    (path,) = make_slides(small, small / "html", small / "slides", "Version 1")
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    slides = page.locator("section").all_inner_texts()
    assert len(slides) == 3
    assert "Is it so?" in slides[0] and "1.1. A picture" in slides[1] and "What we saw" in slides[2]
    assert page.evaluate("document.querySelector('img').naturalWidth") == 40
    assert page.locator("math").count() == 2
    # It stands alone.
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.scrollY === window.innerHeight")
    page.close()


def test_a_page_that_is_printed_shows_no_solution_no_empty_box_and_nothing_around_it(small, site_of):
    page = site_of(small / "html")
    page.emulate_media(media="print")
    shown = page.inner_text("body")
    for hidden in ("vierzig", "Solution", "sieben", "Answer", "folded", "side", "Show"):
        assert hidden not in shown, hidden
    assert "Theorem 1.1" in shown and "Ask." in shown


@pytest.fixture
def site_of(browser):
    """Open the first page of a site."""
    pages = []

    def start(site):
        page = browser.new_page(viewport={"width": 658, "height": 900})
        pages.append(page)
        page.goto((site / "notebooks" / "01_first.html").as_uri())
        return page

    yield start
    for page in pages:
        page.close()
