"""Resolve pyproject.toml into requirements.lock (`make lock`); a script, not a test."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

HEADER = """\
# Every package of the project at one version, resolved for Python 3.11 by `make lock`. Do not edit.
# No local versions (+cpu): pip takes the CPU build of torch where one lies on the machine, else the default build.
"""


def main():
    """Resolve with uv in an environment of its own, strip local versions, rename into place."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = Path(folder) / "bin" / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "uv"], check=True)
        command = [python, "-m", "uv", "pip", "compile", "pyproject.toml", "--python-version", "3.11", "--quiet"]
        command += ["--extra", "lm", "--extra", "book", "--extra", "test", "--no-header", "--no-annotate", "--upgrade"]
        # uv does not read pip's setting: a folder of local wheels keeps CUDA out of the lock.
        if os.environ.get("PIP_FIND_LINKS"):
            command += ["--find-links", os.environ["PIP_FIND_LINKS"]]
        resolved = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    pins = re.sub(r"\+cpu$", "", resolved, flags=re.MULTILINE)
    if re.search(r"^nvidia-", pins, flags=re.MULTILINE):
        sys.exit("make lock: the resolution drew in CUDA packages; put a CPU wheel of torch in PIP_FIND_LINKS first")
    partial = ROOT / "requirements.lock.partial"
    partial.write_text(HEADER + pins, encoding="utf-8")
    partial.replace(ROOT / "requirements.lock")


if __name__ == "__main__":
    main()
