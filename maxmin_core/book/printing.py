"""The whole book in one file, for paper and for readers of ePub: the rendered pages, put together by a Chromium."""

import html
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlparse
from uuid import NAMESPACE_URL, uuid5

from .._files import write_whole
from . import require_book
from ._chromium import MATHJAX, PrintError, browser, open_page, own

__all__ = ["PrintError", "contents", "pack_book", "print_book"]

# A4 less its margins, at 96 points an inch: as wide as a printed line.
_WIDTH = 658
_REFERENCE = "book/api/"
_FOOT = (
    '<div style="width: 100%; font-size: 8px; font-family: sans-serif; text-align: center; color: #555">'
    '<span class="pageNumber"></span></div>'
)


def contents(root: Path) -> list[tuple[str, list[str]]]:
    """Return the printed book's table of contents: that of the pages, but for the reference of the code.

    Parameters
    ----------
    root : Path
        The project's folder, with ``_toc.yml``.

    Returns
    -------
    list of tuple
        For each part its caption and the names of its pages, such as ``"notebooks/01_one_reward"``; the first page is a
        part without a caption.

    Examples
    --------
    >>> contents(Path("."))[0]  # doctest: +SKIP
    ('', ['book/welcome'])
    """
    require_book("yaml")
    import yaml

    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    found = [("", [toc["root"]])]
    for part in toc.get("parts") or [{"chapters": toc.get("chapters", [])}]:
        # A reference is searched, not read: two hundred pages that nobody turns.
        names = [chapter["file"] for chapter in part["chapters"] if not chapter["file"].startswith(_REFERENCE)]
        found += [(part.get("caption", ""), names)] if names else []
    return found


def print_book(root: Path, site: Path, target: Path, about: Mapping[str, str], solutions: bool = False) -> list[str]:
    """Print the rendered pages into one PDF, in the order of the table of contents.

    Theorems, figures and exercises keep the numbers that they have on the pages, and links between pages lead to places
    in the file. Folded code is left out.

    Parameters
    ----------
    root : Path
        The project's folder, with ``_toc.yml``.
    site : Path
        The rendered pages, such as ``_build/cpu/html``.
    target : Path
        The file to write.
    about : mapping of str to str
        ``title``, ``author``, and ``edition``: the line below them.
    solutions : bool, optional
        Whether solutions of exercises and answers of quizzes are printed.

    Returns
    -------
    list of str
        What is still wider than the paper, where everything was made to fit that can be: the empty list.

    Raises
    ------
    PrintError
        When there is no Chromium, or a page is missing.
    """
    with browser() as context:
        articles = _articles(context, root, site, solutions=solutions, epub=False)
        # Beside the pages, for it takes style and fonts from there.
        whole = site / f".{target.stem}.print.html"
        whole.write_text(_document(root, site, articles, about), encoding="utf-8")
        try:
            page = context.new_page()
            page.set_viewport_size({"width": _WIDTH, "height": 1000})
            page.emulate_media(media="print")
            page.goto(whole.as_uri(), timeout=300_000)
            page.evaluate("() => window.MathJax?.startup?.promise")
            page.evaluate("() => document.fonts.ready")
            wide = page.evaluate(own("printing_fit.js"))
            with write_whole(target) as partial:
                # No outline without tags.
                page.pdf(
                    path=partial,
                    prefer_css_page_size=True,
                    print_background=True,
                    display_header_footer=True,
                    header_template="<span></span>",
                    footer_template=_FOOT,
                    outline=True,
                    tagged=True,
                )
        finally:
            whole.unlink(missing_ok=True)
    return wide


def pack_book(root: Path, site: Path, target: Path, about: Mapping[str, str], solutions: bool = False) -> None:
    """Pack the rendered pages into an ePub, with formulas in MathML.

    Parameters
    ----------
    root : Path
        The project's folder, with ``_toc.yml``.
    site : Path
        The rendered pages, such as ``_build/cpu/html``.
    target : Path
        The file to write.
    about : mapping of str to str
        ``title``, ``author``, ``edition``, and ``modified``, a time such as ``2026-01-01T00:00:00Z``.
    solutions : bool, optional
        Whether solutions of exercises and answers of quizzes are packed.

    Raises
    ------
    PrintError
        When there is no Chromium, or a page is missing.
    """
    with browser() as context:
        articles = _articles(context, root, site, solutions=solutions, epub=True)
    images: dict[str, Path] = {}

    def taken(match):
        path = Path(unquote(urlparse(html.unescape(match[1])).path))
        images.setdefault(path.name, path)
        return f'src="images/{html.escape(path.name)}"'

    bodies = {name: re.sub(r'src="(file:[^"]*)"', taken, body) for name, (_, body) in articles.items()}
    style = (site / "_static" / "pygments.css").read_text(encoding="utf-8")
    style += own("slider.css") + own("epub.css")
    with write_whole(target) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as book:
        # First, and as it is: how a reader knows the format.
        book.writestr("mimetype", "application/epub+zip", compress_type=zipfile.ZIP_STORED)
        book.writestr("META-INF/container.xml", _CONTAINER)
        book.writestr("book/style.css", style)
        book.writestr(
            "book/nav.xhtml", _xhtml(about["title"], f'<nav epub:type="toc">{_listed(root, articles, True)}</nav>')
        )
        for name, body in bodies.items():
            book.writestr(
                f"book/{_slug(name)}.xhtml", _xhtml(articles[name][0], f'<div id="{_slug(name)}">{body}</div>')
            )
        for name, path in images.items():
            book.write(path, f"book/images/{name}")
        book.writestr("book/book.opf", _package(about, bodies, images))


def _articles(context, root, site, *, solutions, epub):
    """Return title and body of every page, by its name."""
    names = [name for _, part in contents(root) for name in part]
    slugs = {(site / f"{name}.html").as_uri(): _slug(name) for name in names}
    page, found = context.new_page(), {}
    for name in names:
        open_page(page, site, name, formulas=epub)
        options = {"slug": _slug(name), "slugs": slugs, "solutions": solutions, "epub": epub}
        found[name] = tuple(page.evaluate(own("printing.js"), options))
    page.close()
    return found


def _document(root, site, articles, about):
    """Return the whole book as one page of HTML, with the style of the site."""
    first = (site / f"{next(iter(articles))}.html").read_text(encoding="utf-8")
    place = Path(next(iter(articles))).parent
    styles = [
        (site / place / html.unescape(link).partition("?")[0]).resolve().as_uri()
        for link in re.findall(r'<link [^>]*?href="([^"]+\.css[^"]*)"', first)
        if "preload" not in link
    ]
    links = "".join(f'<link rel="stylesheet" href="{html.escape(style)}">' for style in dict.fromkeys(styles))
    title, author, edition = (html.escape(about[key]) for key in ("title", "author", "edition"))
    bodies = "".join(
        f'<section class="mm-page" id="{_slug(name)}">{body}</section>' for name, (_, body) in articles.items()
    )
    return (
        f'<!DOCTYPE html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>{links}'
        f"<style>{own('printing.css')}</style>"
        '<script>window.MathJax = {options: {processHtmlClass: "math", ignoreHtmlClass: "mm-book", enableMenu: false}};'
        f'</script><script defer src="{MATHJAX}"></script></head><body class="mm-paper">'
        f'<div class="mm-title"><h1>{title}</h1><p>{author}</p><p>{edition}</p></div>'
        f'<nav class="mm-contents"><h2>Contents</h2>{_listed(root, articles, False)}</nav>'
        f'<main class="mm-book bd-content"><article class="bd-article">{bodies}</article></main></body></html>'
    )


def _listed(root, articles, epub):
    """Return the contents as nested lists of links, as both formats want them."""
    lines = []
    for caption, names in contents(root):
        places = [f"{_slug(name)}.xhtml" if epub else f"#{_slug(name)}" for name in names]
        titles = [html.escape(articles[name][0]) for name in names]
        links = "".join(f'<li><a href="{place}">{title}</a></li>' for place, title in zip(places, titles, strict=True))
        lines.append(f"<li><span>{html.escape(caption)}</span><ol>{links}</ol></li>" if caption else links)
    return f"<ol>{''.join(lines)}</ol>"


_CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="book/book.opf" media-type="application/oebps-package+xml"/></rootfiles></container>
"""
_TYPES = {
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}


def _package(about, bodies, images):
    """Return the list of everything in an ePub."""
    title, author, edition = (html.escape(about[key]) for key in ("title", "author", "edition"))
    items = ['<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>']
    items += ['<item id="style" href="style.css" media-type="text/css"/>']
    for name, body in bodies.items():
        properties = " ".join(word for word, mark in (("mathml", "<math"), ("svg", "<svg")) if mark in body)
        told = f' properties="{properties}"' if properties else ""
        slug = _slug(name)
        items.append(f'<item id="{slug}" href="{slug}.xhtml" media-type="application/xhtml+xml"{told}/>')
    for i, name in enumerate(images):
        items.append(
            f'<item id="image-{i}" href="images/{html.escape(name)}" media-type="{_TYPES[Path(name).suffix]}"/>'
        )
    spine = "".join(f'<itemref idref="{_slug(name)}"/>' for name in bodies)
    return (
        '<?xml version="1.0" encoding="UTF-8"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" '
        'unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f'<dc:identifier id="id">urn:uuid:{uuid5(NAMESPACE_URL, about["title"])}</dc:identifier>'
        f"<dc:title>{title}</dc:title>"
        f"<dc:creator>{author}</dc:creator><dc:language>en</dc:language><dc:description>{edition}</dc:description>"
        f'<meta property="dcterms:modified">{about["modified"]}</meta></metadata>'
        f"<manifest>{''.join(items)}</manifest><spine>{spine}</spine></package>"
    )


def _xhtml(title, body):
    return (
        '<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" '
        f'xmlns:epub="http://www.idpf.org/2007/ops" lang="en"><head><title>{html.escape(title)}</title>'
        f'<link rel="stylesheet" href="style.css"/></head><body>{body}</body></html>'
    )


def _slug(name):
    """A page's name as the name of a place: letters, digits and dashes, and no digit first."""
    return "p-" + re.sub(r"[^a-z0-9]+", "-", name.lower())
