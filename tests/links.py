"""Ask every link of the book whether it still leads somewhere (`make links`); a script, not a test."""

import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlparse
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[1]
# Addresses that stand for a reader's own, and those that are made up.
OURS = ("localhost", "127.0.0.1", "your-hub.invalid", "hub.example.edu")
# A site that answers so is there, and does not like to be asked by a script.
SHY = (401, 403, 405, 406, 418, 429, 503)


def links(root):
    """Return every address in prose, chapters, references: address to the files that name it."""
    found = {}
    texts = {path: path.read_text(encoding="utf-8") for path in [*root.glob("*.md"), *root.glob("book/**/*.md")]}
    texts |= {path: path.read_text(encoding="utf-8") for path in root.glob("book/*.bib")}
    for path in root.glob("notebooks/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        texts[path] = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for path, text in texts.items():
        addresses = re.findall(r"https?://[^\s<>\"'`{}|\\^]+", text)
        addresses += [f"https://doi.org/{doi}" for doi in re.findall(r"(?m)^\s*doi\s*=\s*[{\"]([^}\"]+)", text)]
        for address in addresses:
            address = address.rstrip(".,;:]*")
            # A bracket that the text opened before the address closes it.
            while address.endswith(")") and address.count("(") < address.count(")"):
                address = address[:-1].rstrip(".,;:]*")
            if urlparse(address).hostname not in OURS:
                found.setdefault(address, []).append(path.relative_to(root).as_posix())
    return found


def answer(address, timeout=30):
    """Return what is wrong with an address, or nothing."""
    try:
        with urlopen(Request(address, headers={"User-Agent": "Mozilla/5.0 (link check)"}), timeout=timeout):
            return ""
    except HTTPError as error:
        return "" if error.code in SHY else f"status {error.code}"
    except (OSError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def main(root=ROOT):
    """Print every dead link with the files that name it; return how many there are."""
    found = links(root)
    with ThreadPoolExecutor(8) as pool:
        wrong = [pair for pair in zip(found, pool.map(answer, found), strict=True) if pair[1]]
    for address, reason in wrong:
        print(f"{address} ({reason}), in {', '.join(sorted(set(found[address])))}")
    print(f"{len(found)} links, {len(wrong)} dead")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(bool(main()))
