"""A headless Chromium with the network off, on the pages of the smoke profile."""

import os
import shutil
from urllib.parse import unquote, urlparse

import pytest

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None
)


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        message = "no Chromium was found: install it (make chromium, as root on Debian) to test the rendered pages"
        # CI never skips.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*arguments, "--disable-sync", "--no-first-run"]
        )
        yield browser
        browser.close()


HOST = "http://book.test"


class Visit:
    """One page in a context of its own, from the disk or from HOST, with what it asked for and complained about."""

    def __init__(self, context, site):
        self.site = site
        self.page = context.new_page()
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"{request.failure}: {request.url}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("response", lambda answer: answer.ok or self.complaints.append(f"{answer.status}: {answer.url}"))

    def open(self, name, base=None):
        self.page.goto(f"{base or self.site.as_uri()}/{name}")
        # MathJax says when it has typeset the page.
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        self.page.wait_for_load_state("networkidle")
        return self.page


@pytest.fixture
def visit(browser, site):
    """Open pages at a width and in a theme, offline: visit(width, theme) returns a Visit."""
    contexts = []

    def serve(route):
        path = site / unquote(urlparse(route.request.url).path).lstrip("/")
        route.fulfill(path=path) if path.is_file() else route.fulfill(status=404)

    def start(width=1280, theme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
        # HOST exists nowhere: its files are handed over by this process, and everything else finds the network off.
        context.set_offline(True)
        context.route(f"{HOST}/**", serve)
        context.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
        contexts.append(context)
        return Visit(context, site)

    yield start
    for context in contexts:
        context.close()
