"""What a page says of itself where somebody shares its address."""

import html
import re
import struct
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from maxmin_core.book._cards import description, setup, tags

from .test_pages import PAGES


def read(text):
    found = re.findall(r'<meta (?:property|name)="((?:og|twitter):[^"]+)" content="([^"]*)"', text)
    assert len(dict(found)) == len(found)
    return {name: html.unescape(content) for name, content in found}


def test_every_page_has_a_title_and_a_plain_sentence(site):
    said = {}
    for name in [*PAGES, "search.html", "genindex.html"]:
        text = (site / name).read_text(encoding="utf-8")
        card = read(text)
        # No address is set, so no picture is named, and nothing else that a reader's browser could ask for.
        assert set(card) == {"og:title", "og:description", "og:type", "twitter:card"}, name
        assert card["og:type"] == ("website" if name == "book/welcome.html" else "article")
        assert card["twitter:card"] == "summary"
        assert card["og:title"] in html.unescape(re.search("<title>(.*?)</title>", text, re.DOTALL)[1])
        sentence = card["og:description"]
        # What a search engine shows is what a shared link shows.
        assert re.findall(r'<meta name="description" content="([^"]*)"', text) == [html.escape(sentence)]
        assert re.fullmatch(r"[A-Z0-9].{15,300}[.?!]", sentence), (name, sentence)
        assert not re.search(r"[\\${}`<>\[\]\x00]|\*\*", sentence), (name, sentence)
        said[name] = sentence
    chapters = [sentence for name, sentence in said.items() if name.startswith("notebooks/")]
    assert len(set(chapters)) == len(chapters) == 12


def test_the_sentence_is_the_page_s_own(visit):
    for name in ("notebooks/01_one_reward.html", "notebooks/06_navigation.html", "book/notation.html"):
        page = visit().open(name)
        told = page.locator('meta[property="og:description"]').get_attribute("content")
        assert " ".join(page.inner_text("article").split()).find(told.rstrip(".")) > 0, told


def test_a_picture_needs_an_address(root):
    card = read(tags("A", 'say "so" & <go>', "https://owner.example/book/", "book/welcome", first=True))
    assert card["og:image"] == "https://owner.example/book/_static/card.png"
    assert card["og:url"] == "https://owner.example/book/book/welcome.html"
    assert card["og:description"] == 'say "so" & <go>' and card["twitter:card"] == "summary_large_image"
    picture = (root / "book/_static/card.png").read_bytes()
    # Of the size that such cards are drawn in.
    assert picture[:4] == b"\x89PNG" and struct.unpack(">II", picture[16:24]) == (1200, 630)


def finish(folder, address, exception=None, kind="html"):
    """Let the extension hear of the end of a build; return the addresses in its map of the site, None without one."""
    heard = {}
    setup(SimpleNamespace(connect=lambda event, function: heard.update({event: function})))
    builder = SimpleNamespace(format=kind, get_target_uri=lambda name: f"{name}.html")
    environment = SimpleNamespace(found_docs={"notebooks/b", "book/a & o"})
    config = SimpleNamespace(html_baseurl=address)
    app = SimpleNamespace(builder=builder, env=environment, config=config, outdir=str(folder))
    heard["build-finished"](app, exception)
    target = folder / "sitemap.xml"
    if not target.exists():
        return None
    space = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    return [place.text for place in ElementTree.parse(target).getroot().iterfind(f"{space}url/{space}loc")]


def test_the_map_of_the_site_has_every_page_where_there_is_an_address(tmp_path):
    address = "https://owner.example/name"
    pages = [f"{address}/book/a & o.html", f"{address}/notebooks/b.html"]
    assert finish(tmp_path, address) == finish(tmp_path, address + "/") == pages
    # One that is wrong is worse than none.
    assert finish(tmp_path, "") is None


@pytest.mark.parametrize(("exception", "kind"), [(ValueError("no"), "html"), (None, "latex")])
def test_no_other_build_makes_a_map(tmp_path, exception, kind):
    assert finish(tmp_path, "https://owner.example", exception, kind) is None


def test_the_description_is_there_without_an_address():
    told = tags("A", 'say "so"', page="book/welcome")
    assert '<meta name="description" content="say &quot;so&quot;" />' in told and "og:url" not in told


def test_short_sentences_formulas_and_empty_paragraphs():
    assert description([]) == description(["", "\1 is."]) == ""
    assert description(["Hm.", "Next."]) == "Hm."
    assert description(["It says:"]) == "It says."
    assert description(["Short one. Another that is long enough to say what the page is about, at last. No."]).endswith(
        "at last."
    )
