"""A chapter's slides: its question, its own figures with their captions, what was seen; one file that stands alone."""

import base64
import html
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import unquote, urlparse

from .._files import write_whole
from ._chromium import browser, open_page, own
from .chapters import all_chapters

__all__ = ["make_slides"]

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}


def make_slides(root: Path, site: Path, folder: Path, edition: str) -> list[Path]:
    """Make the slides of every chapter from its rendered page.

    Parameters
    ----------
    root : Path
        The project's folder, with the notebooks.
    site : Path
        The rendered pages, such as ``_build/cpu/html``.
    folder : Path
        Where the slides go, one file a chapter.
    edition : str
        The line at the foot of the first slide.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    PrintError
        When there is no Chromium, or a page is missing.
    """
    made = []
    with browser() as context:
        page = context.new_page()
        for chapter in all_chapters(root):
            open_page(page, site, f"notebooks/{chapter.path.stem}", formulas=True)
            target = folder / f"{chapter.path.stem}.html"
            with write_whole(target) as partial:
                told = page.evaluate(own("slides.js"))
                partial.write_text(_slides(told, chapter.question, edition), encoding="utf-8")
            made.append(target)
    return made


def _slides(told: dict[str, Any], question: str, edition: str) -> str:
    slides = [f'<h1>{told["title"]}</h1><p class="question">{html.escape(question)}</p><p>{html.escape(edition)}</p>']
    for slide in told["slides"]:
        picture = f'<img src="{_inlined(slide["src"])}" alt="{html.escape(slide["alt"])}">'
        slides.append(f'<h2>{slide["heading"]}</h2>{picture}<div class="caption">{slide["caption"]}</div>')
    # Five lines a slide, or nobody reads them.
    for first in range(0, len(told["points"]), 5):
        points = "".join(f"<li>{point}</li>" for point in told["points"][first : first + 5])
        slides.append(f"<h2>What we saw</h2><ul>{points}</ul>")
    body = "".join(
        f'<section id="slide-{i}">{slide}<footer>{i} of {len(slides)}</footer></section>'
        for i, slide in enumerate(slides, start=1)
    )
    return Template(own("slides.html")).substitute(title=told["title"], body=body)


def _inlined(address):
    path = Path(unquote(urlparse(address).path))
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"
