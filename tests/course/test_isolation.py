"""The jail by itself: root and everybody else get into it by different ways, and see the same."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from maxmin_core.course.isolation import NOT_ISOLATED, TOO_MUCH_MEMORY, Limits, command, environment, not_isolated

pytestmark = pytest.mark.skipif(bool(not_isolated()), reason=f"not isolated here: {not_isolated()}")
PYTHON = "/usr/bin/python3"
LOOKS = """
import json, os, socket
def fails(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        return True
print(json.dumps({
    "uid": os.getuid(),
    "root": sorted(os.listdir("/")),
    "home": os.path.exists(HOME),
    "writes": [fails(open, path, "w") for path in ("/x", "/usr/x", "/etc/passwd", "/proc/sys/kernel/domainname")],
    "network": [name for _, name in socket.if_nameindex()],
    "rights": [line.split()[1] for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm"))],
    "mounts": fails(os.rmdir, "/work"),
    "user namespaces": fails(os.chroot, "/tmp"),
}))
"""


@pytest.fixture
def folder():
    """A folder that other users may look into, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name) / "jail"


def jailed(folder, program, user=None, memory=600):
    """Run a program of the system's Python in the jail, as the user of this number; return the finished process."""
    folder.mkdir(exist_ok=True)
    # Another user must be able to read what starts it.
    jail = shutil.copy(Path(command.__code__.co_filename).with_name("_jail.py"), folder)
    command(folder, {}, Limits(memory_mib=memory), [], ())
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    settings["shown"] = [
        path for path in settings["shown"] if path.startswith(("/usr", "/bin", "/lib", "/dev", "/etc"))
    ]
    (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    more = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    if user is not None:
        for path in (folder, *folder.rglob("*"), folder.parent):
            path.chmod(0o755)
    start = [PYTHON, "-I", "-S", str(jail), str(folder / "settings.json"), PYTHON, "-c", program]
    return subprocess.run(start, capture_output=True, text=True, timeout=60, check=False, **more)


@pytest.mark.skipif(not Path(PYTHON).exists(), reason="no Python in /usr")
@pytest.mark.parametrize("user", [None, 65534])
def test_both_ways_lead_to_the_same_place(folder, user):
    if user is not None and os.getuid():
        pytest.skip("only root can become somebody else")
    done = jailed(folder, LOOKS.replace("HOME", repr(str(folder))), user)
    if user is not None and done.returncode == NOT_ISOLATED:
        pytest.skip(f"users may not make namespaces here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["uid"] != 0 and found["rights"] == ["0000000000000000"] * 2
    assert not {"root", "home", "var", "srv", "old"} & set(found["root"])
    assert found["home"] is False and found["network"] == ["lo"]
    assert found["writes"] == [True] * 4 and found["mounts"] and found["user namespaces"]


@pytest.mark.skipif(not Path(PYTHON).exists(), reason="no Python in /usr")
def test_memory_of_all_processes_together(folder):
    # Each of them stays below the limit of one process.
    program = """
import os, time
os.fork(), os.fork()
kept = bytearray(60 << 20)
kept[::4096] = b"x" * (60 << 8)
time.sleep(30)
"""
    assert jailed(folder, program, memory=150).returncode == TOO_MUCH_MEMORY


@pytest.mark.skipif(not Path(PYTHON).exists(), reason="no Python in /usr")
def test_the_programs_status_is_the_jails(folder):
    assert jailed(folder, "raise SystemExit(7)").returncode == 7


def test_the_environment_is_made_anew(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert "AWS_SECRET_ACCESS_KEY" not in environment("/tmp")
    assert environment("/tmp")["HOME"] == "/tmp"


def test_the_installation_is_shown_and_folders_below_it_can_be_hidden(tmp_path):
    data = Path(command.__code__.co_filename).parents[1] / "data"
    program = [sys.executable, "-c", f"import os; print(os.listdir({str(data)!r}))"]
    for hidden in ([], [data]):
        start = command(tmp_path, {}, Limits(), program, hidden)
        done = subprocess.run(start, capture_output=True, text=True, timeout=60, check=False)
        assert ("NOTICE.md" in done.stdout) == (not hidden) and done.returncode == 0, done.stderr


def test_an_installation_that_a_link_leads_to(tmp_path, monkeypatch):
    link = tmp_path / "environment"
    link.symlink_to(sys.prefix)
    monkeypatch.setattr(sys, "executable", str(link / "bin" / Path(sys.executable).name))
    monkeypatch.setattr(sys, "exec_prefix", str(link))
    monkeypatch.setattr(sys, "prefix", str(link))
    start = command(tmp_path, {}, Limits(), [sys.executable, "-c", "import numpy"], ())
    done = subprocess.run(start, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
