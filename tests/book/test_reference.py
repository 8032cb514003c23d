"""The reference: every public name stands on its pages."""

import importlib
import pkgutil
import re

import pytest

import maxmin_core
from maxmin_core.book import _names, reference
from maxmin_core.book.reference import reference_pages


def public():
    """Every public name of the package's public modules, by importing them: (module, name, value)."""
    for _, name, _ in pkgutil.walk_packages(maxmin_core.__path__, "maxmin_core."):
        if "._" not in name:
            module = importlib.import_module(name)
            yield from ((name, public, getattr(module, public)) for public in getattr(module, "__all__", ()))


def resolve(anchor):
    """The object of a dotted name."""
    parts = anchor.split(".")
    for depth in range(len(parts) - 1, 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:depth]))
        except ModuleNotFoundError:
            continue
        for part in parts[depth:]:
            value = getattr(value, part)
        return value
    raise AssertionError(anchor)


def asked_for(text):
    """The names that a page asks autodoc for, or states itself."""
    found = re.findall(r"^\.\. auto(?:function|class|exception):: (\S+)", text, re.M)
    return found + [
        f"{room}.{name}" for name, room in re.findall(r"^\.\. py:data:: (\S+)\n   :module: (\S+)", text, re.M)
    ]


def test_every_public_name_has_one_entry():
    entries = asked_for("\n".join(reference_pages().values()))
    assert len(entries) == len(set(entries)) > 100
    values = [resolve(entry) for entry in entries]
    missing = [f"{module}.{name}" for module, name, value in public() if not any(value is one for one in values)]
    assert not missing


def test_a_name_stands_where_a_reader_imports_it():
    pages = reference_pages()
    assert "maxmin_core.alignment.solve" in asked_for(pages["alignment"])
    # What another wing's face shows, too, stands in its own wing alone.
    assert not [name for name in asked_for(pages["theory"]) if name.endswith(".Solution")]
    assert "{py:obj}`solve <maxmin_core.alignment.solve>`" in pages["maxmin_core"]
    assert all(f"`{name} <" in pages["maxmin_core"] for name in maxmin_core.__all__)


def test_a_constant_is_told_by_its_comment(monkeypatch, tmp_path):
    (tmp_path / "a.py").write_text(
        '"""Text."""\n\n__all__ = ["BOTH", "MANY"]\n\n# One line,\n# and another.\nBOTH = (1, 2)\n\nMANY = (%s)\n'
        % ("1, " * 40)
    )
    names = {"maxmin_core": tmp_path / "__init__.py", "maxmin_core.a": tmp_path / "a.py"}
    names["maxmin_core"].write_text("__all__ = []")
    monkeypatch.setattr(reference, "modules", lambda: names)
    monkeypatch.setattr("maxmin_core.book._names.modules", lambda: names)
    for cached in (_names.tree, _names._taken):
        cached.cache_clear()
    text = reference_pages()["a"]
    for cached in (_names.tree, _names._taken):
        cached.cache_clear()
    assert ".. py:data:: BOTH\n   :module: maxmin_core.a\n   :value: (1, 2)\n\n   One line, and another.\n" in text
    assert ".. py:data:: MANY\n   :module: maxmin_core.a\n```" in text


def test_a_name_that_nobody_defines_is_an_error(monkeypatch):
    monkeypatch.setattr(reference, "exports", lambda module: ["ghost"] if module == "maxmin_core.navigation" else [])
    with pytest.raises(ValueError, match=r"^maxmin_core.navigation: expected a definition of ghost"):
        reference_pages()


@pytest.fixture(scope="module")
def anchors(site):
    """The ids of what the rendered reference describes."""
    pages = sorted((site / "book" / "api").glob("*.html"))
    assert len(pages) >= 7
    found = (re.findall(r'<dt class="sig[^>]* id="(maxmin_core\.[^"]+)"', page.read_text()) for page in pages)
    return [anchor for page in found for anchor in page]


def test_every_public_name_is_on_the_rendered_pages(anchors):
    shown = [resolve(anchor) for anchor in anchors]
    names = list(public())
    assert len(names) > 150
    missing = [f"{module}.{name}" for module, name, value in names if not any(value is one for one in shown)]
    assert not missing
    assert len(anchors) == len(set(anchors))


def test_what_the_pages_say_of_a_function(site):
    text = (site / "book" / "api" / "alignment.html").read_text()
    # The parts of a docstring became parts of the page.
    for part in ("Parameters", "Returns", "Raises"):
        assert f">{part}<span" in text
    assert 'class="system-message"' not in text


def test_signatures_fit_a_phone(visit, site):
    visitor = visit(390)
    for path in sorted((site / "book" / "api").glob("*.html")):
        page = visitor.open(f"book/api/{path.name}")
        # Neither the page nor a signature inside of it is wider than the screen.
        wide = "[...document.querySelectorAll('dt.sig')].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.id)"
        assert page.evaluate(wide) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
