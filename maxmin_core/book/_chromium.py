"""A Chromium without a network, which reads rendered pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from . import require_book
from ._sockets import short_folder

__all__ = ["MATHJAX", "PrintError", "browser", "open_page", "own"]

MATHJAX = "_static/mathjax/tex-mml-chtml.js"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class PrintError(Exception):
    """The book could not be printed: the message says what is missing."""


@contextmanager
def browser() -> Iterator[Any]:
    """Start a Chromium and yield its context; PrintError where there is none."""
    require_book("playwright")
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        raise PrintError("chromium: expected Chromium or Chrome to print with, got none; call make chromium, as root")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        own: dict[str, str | float | bool] = {
            **os.environ,
            "TMPDIR": short_folder(len("/org.chromium.Chromium.123456/SingletonSocket")),
        }
        chromium = playwright.chromium.launch(executable_path=found, args=arguments, env=own)
        try:
            # Nothing is asked of the network.
            context = chromium.new_context(offline=True, color_scheme="light")
            # A busy machine needs half a minute for the longest page.
            context.set_default_timeout(300_000)
            yield context
        finally:
            chromium.close()


def open_page(page: Any, site: Path, name: str, *, formulas: bool) -> None:
    """Open a rendered page without its own programs, and with MathJax's translation of formulas where it is wanted."""
    path = site / f"{name}.html"
    if not path.is_file():
        raise PrintError(f"pages: expected {path}, got none; call make book first")
    page.route("**/*.js*", lambda route: route.abort())
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    if formulas:
        page.evaluate("() => { window.MathJax = { startup: { typeset: false } }; }")
        page.add_script_tag(path=site / MATHJAX)


def own(name: str) -> str:
    """Return the text of a file that lies beside this one."""
    return (files(__package__) / name).read_text(encoding="utf-8")
