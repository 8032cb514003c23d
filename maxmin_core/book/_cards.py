"""What a page says of itself to who shares or lists its address: an extension of Sphinx, named in `_config.yml`."""

import html
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["description", "setup", "sitemap", "tags"]

# So much is said at least, where the page has it: a first sentence may have three words.
_LEAST = 50


def description(paragraphs: Iterable[str]) -> str:
    """Return a page's first sentence, and the next ones where it is short; without citations, and before any formula.

    A formula is ``\\1`` here.

    Examples
    --------
    >>> description(["One reward loses minorities. So we ask who prefers what [Smith, 2024]. Then we go on."])
    'One reward loses minorities. So we ask who prefers what.'
    >>> description(["Let \\1 be small.", "Names are short. Axes have the order \\1."])
    'Names are short.'
    """
    told = ""
    for paragraph in paragraphs:
        text = re.sub(r" \[[^\]]*\d{4}[^\]]*\]", "", " ".join(paragraph.split()))
        for sentence in re.split(r"(?<=[.?!:]) (?=[A-Z])", text):
            if "\1" in sentence or len(told) >= _LEAST:
                break
            told = f"{told} {sentence}".strip()
        if told:
            break
    return re.sub(r":$", ".", told)


def tags(title: str, said: str, address: str = "", page: str = "", first: bool = False) -> str:
    """Return the tags of a page's head. A picture needs an absolute address: without one there is none.

    Examples
    --------
    >>> print(tags("Up to scale", "What changes?", first=True))
    <meta name="description" content="What changes?" />
    <meta property="og:type" content="website" />
    <meta property="og:title" content="Up to scale" />
    <meta property="og:description" content="What changes?" />
    <meta name="twitter:card" content="summary" />
    """
    found = {"og:type": "website" if first else "article", "og:title": title, "og:description": said}
    if address:
        base = address.rstrip("/")
        found |= {"og:url": f"{base}/{page}.html", "og:image": f"{base}/_static/card.png"}
    lines = [f'<meta name="description" content="{html.escape(said)}" />']
    lines += [f'<meta property="{name}" content="{html.escape(content)}" />' for name, content in found.items()]
    return "\n".join([*lines, f'<meta name="twitter:card" content="summary{"_large_image" if address else ""}" />'])


def sitemap(pages: Iterable[str], address: str) -> str:
    """Return the list of a site's pages that search engines read.

    Examples
    --------
    >>> print(sitemap(["book/data.html"], "https://owner.example/book/"))
    <?xml version="1.0" encoding="UTF-8"?>
    <urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">
    <url><loc>https://owner.example/book/book/data.html</loc></url>
    </urlset>
    <BLANKLINE>
    """
    base = address.rstrip("/")
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">']
    lines += [f"<url><loc>{html.escape(f'{base}/{page}')}</loc></url>" for page in pages]
    return "\n".join([*lines, "</urlset>", ""])


def setup(app: Any) -> dict[str, bool]:
    """Add the tags to every page, and a map of the site to the pages; Sphinx calls this."""
    app.connect("html-page-context", _add)
    app.connect("build-finished", _list_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _add(app, pagename, templatename, context, doctree):
    from docutils import nodes

    title = app.env.titles[pagename].astext() if pagename in app.env.titles else app.config.html_title
    # What stands in the page itself: not in a box, a list or a table.
    opening = (each for each in (doctree.findall(nodes.paragraph) if doctree else ()) if _is_prose(each))
    said = description(map(_text, opening)) or f"A page of {app.config.html_title}."
    added = tags(title, said, app.config.html_baseurl, pagename, first=pagename == app.config.root_doc)
    context["metatags"] = context.get("metatags", "") + added


def _list_pages(app, exception):
    """Write the map of the site. Its addresses are absolute: without one there is none, and none of before stays."""
    if exception is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "sitemap.xml"
    target.unlink(missing_ok=True)
    if app.config.html_baseurl:
        pages = map(app.builder.get_target_uri, sorted(app.env.found_docs))
        target.write_text(sitemap(pages, app.config.html_baseurl), encoding="utf-8")


def _is_prose(paragraph):
    from docutils import nodes

    return isinstance(paragraph.parent, nodes.section | nodes.document)


def _text(paragraph):
    from docutils import nodes

    copy = paragraph.deepcopy()
    for formula in list(copy.findall(nodes.math)):
        formula.parent.replace(formula, nodes.Text("\1"))
    return copy.astext()
