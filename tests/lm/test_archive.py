"""Results of chapter 8 in one file: packed, opened, shown."""

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maxmin_core import cli
from maxmin_core.book.launching import published
from maxmin_core.lm import archive, results
from maxmin_core.lm.analysis import Results
from maxmin_core.lm.archive import find_runs, open_results, pack_results
from maxmin_core.lm.experiment import load_rewards
from maxmin_core.lm.profiles import find_profile

from .archives import ABOUT, HASH, SMOKE, members_of, nothing_is_left, sha


@pytest.fixture
def opened(packed, tmp_path):
    """A folder of runs that is not there, beside which the archive was opened."""
    open_results(*packed, tmp_path / "lm", say=lambda line: None)
    return tmp_path / "lm"


class TestPack:
    def test_the_same_runs_give_the_same_bytes(self, made, packed, tmp_path):
        assert pack_results(SMOKE, made, tmp_path / "again.zip", **ABOUT) == packed[1] == sha(packed[0].read_bytes())
        assert (tmp_path / "again.zip").read_bytes() == packed[0].read_bytes()

    def test_every_content_once_and_no_weights_of_a_run(self, made, packed):
        members = members_of(packed)
        manifest = json.loads(members.pop("manifest.json"))
        assert set(members) == set(manifest["files"].values()) == {sha(content) for content in members.values()}
        assert len(members) < len(manifest["files"])
        assert [name for name in manifest["files"] if "model" in name] == ["base/reference/model.safetensors"]
        assert {Path(name).suffix for name in manifest["files"]} == {".json", ".jsonl", ".safetensors"}
        assert manifest["commit"] == "1a2b3c4" and manifest["libraries"]["torch"]

    def test_a_run_that_is_missing_is_named(self, made, tmp_path):
        shutil.copytree(made, tmp_path / "lm")
        (results.run_folder("1:1", SMOKE, tmp_path / "lm", seed=21) / "maxmin" / "result.json").unlink()
        with pytest.raises(
            ValueError, match=r"got no 1-1/seed21/maxmin/result.json; call `maxmin train --profile smoke"
        ):
            pack_results(SMOKE, tmp_path / "lm", tmp_path / "a.zip", **ABOUT)
        assert not (tmp_path / "a.zip").exists()

    def test_whole_models_are_no_small_file(self, tmp_path):
        with pytest.raises(ValueError, match=r"profile: expected one with linear rewards \(smoke, cpu\), got gpu"):
            pack_results(find_profile("gpu"), tmp_path, tmp_path / "a.zip", **ABOUT)


class TestOpen:
    def test_the_same_bytes_under_the_names_of_this_machine(self, made, opened):
        root, _ = find_runs(SMOKE, opened)
        assert root.parent == opened.parent / "published" and not opened.exists()
        for path in archive._files(SMOKE).values():
            assert (root / path).read_bytes() == (made / path).read_bytes()
        assert len([p for p in root.rglob("*") if p.is_file()]) == len(archive._files(SMOKE)) + 1

    def test_the_chapter_reads_the_same(self, made, opened):
        one, other = (Results.load(SMOKE, find_runs(SMOKE, root).root) for root in (made, opened))
        assert one.table.drop(columns="folder").equals(other.table.drop(columns="folder"))
        for method in ("average", "maxmin_hard", "maxmin"):
            mine, theirs = (each.of("80:20", method) for each in (one, other))
            assert (mine.gold == theirs.gold).all()
            assert all(a.equals(b) for a, b in zip(mine.curves, theirs.curves, strict=True))
        for a, b in zip(one.of("80:20", "single").folders, other.of("80:20", "single").folders, strict=True):
            mine, theirs = load_rewards(a.parent, SMOKE), load_rewards(b.parent, SMOKE)
            assert all(
                mine[kind].fingerprint() == theirs[kind].fingerprint() for kind in ("single", "mixture", "known")
            )

    def test_a_machine_with_other_libraries_finds_them_and_is_told(self, packed, tmp_path, monkeypatch):
        before = results.run_folder("80:20", SMOKE, "", seed=20)
        monkeypatch.setattr(results, "version", lambda name: "0.1")
        assert results.run_folder("80:20", SMOKE, "", seed=20) != before
        said = []
        open_results(*packed, tmp_path / "lm", say=said.append)
        root, note = find_runs(SMOKE, tmp_path / "lm")
        assert len(Results.load(SMOKE, root).table) > 50
        assert (
            re.search(r"With other libraries than here \(in brackets\): .*torch [\d.]\S* \(0\.1\)", note)
            and "\n" not in note
        )
        assert any("With other libraries" in line for line in said)

    def test_the_page_says_whose_they_are(self, opened):
        _, note = find_runs(SMOKE, opened)
        assert note == f"**Published results**, not runs of this machine: of commit 1a2b3c4, on {ABOUT['machine']}."

    def test_names_that_fit_no_more_are_not_found(self, opened, monkeypatch):
        monkeypatch.setattr(results, "version", lambda name: "0.1")
        assert find_runs(SMOKE, opened) == (opened, "")

    def test_runs_of_one_s_own_win_and_are_left_alone(self, made, packed, tmp_path):
        shutil.copytree(made, tmp_path / "lm")
        mine = results.run_folder("1:1", SMOKE, tmp_path / "lm", seed=20) / "maxmin" / "result.json"
        mine.write_text(json.dumps(json.loads(mine.read_text()) | {"value": [7.0, 7.0]}))
        content, said = {p: p.read_bytes() for p in (tmp_path / "lm").rglob("*") if p.is_file()}, []
        open_results(*packed, tmp_path / "lm", say=said.append)
        assert content == {p: p.read_bytes() for p in (tmp_path / "lm").rglob("*") if p.is_file()}
        assert find_runs(SMOKE, tmp_path / "lm") == (tmp_path / "lm", "")
        assert "Runs of your own are all there, too: chapter 8 shows those." in said
        # One is missing: all are the published ones, as runs of two references do not compare.
        mine.unlink()
        root, note = find_runs(SMOKE, tmp_path / "lm")
        assert root != tmp_path / "lm" and note
        assert Results.load(SMOKE, root).of("1:1", "maxmin")["value"].max() != 7.0

    def test_twice_is_once(self, packed, opened):
        root = find_runs(SMOKE, opened).root
        (root / "mine").write_text("kept")
        assert open_results(*packed, opened, say=lambda line: None) == root and (root / "mine").exists()

    def test_others_that_are_open_are_not_replaced(self, made, opened, tmp_path):
        other = tmp_path / "other.zip", pack_results(SMOKE, made, tmp_path / "other.zip", **ABOUT | {"commit": "feed"})
        with pytest.raises(
            ValueError, match=r"expected no other results of smoke .*got those of commit 1a2b3c4; delete"
        ):
            open_results(*other, opened)
        assert "1a2b3c4" in find_runs(SMOKE, opened).note


class TestKilled:
    # Killed when the last file is written, and before the folder gets its name.
    CODE = (
        "import os, pathlib, sys\n"
        "pathlib.Path.rename = lambda *_: os.kill(os.getpid(), 9)\n"
        "from maxmin_core.lm.archive import open_results\n"
        "open_results(*sys.argv[1:])\n"
    )

    def test_it_leaves_nothing_half_made(self, packed, tmp_path):
        command = [sys.executable, "-c", self.CODE, *map(str, packed), str(tmp_path / "lm")]
        assert subprocess.run(command, capture_output=True, check=False).returncode == -9
        (left,) = (tmp_path / "published").iterdir()
        assert left.name.startswith(".") and find_runs(SMOKE, tmp_path / "lm") == (tmp_path / "lm", "")
        root = open_results(*packed, tmp_path / "lm", say=lambda line: None)
        assert [*root.parent.iterdir()] == [root] and find_runs(SMOKE, tmp_path / "lm").root == root

    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
    def test_an_interrupt_or_a_full_disk_leaves_nothing(self, packed, tmp_path, monkeypatch, error):
        def stop(*_):
            raise error

        monkeypatch.setattr(archive, "write_json", stop)
        with pytest.raises((KeyboardInterrupt, OSError)):
            open_results(*packed, tmp_path / "lm", say=lambda line: None)
        assert nothing_is_left(tmp_path)


class TestFetch:
    def test_an_address(self, packed, tmp_path, monkeypatch):
        asked = []

        def urlopen(address, timeout):
            asked.append(address)
            return io.BytesIO(packed[0].read_bytes())

        monkeypatch.setattr("urllib.request.urlopen", urlopen)
        open_results("https://example.org/a.zip", packed[1], tmp_path / "lm")
        assert asked == ["https://example.org/a.zip"] and find_runs(SMOKE, tmp_path / "lm").note

    def test_an_address_without_an_answer(self, tmp_path, monkeypatch):
        def urlopen(address, timeout):
            raise TimeoutError("timed out")

        monkeypatch.setattr("urllib.request.urlopen", urlopen)
        with pytest.raises(OSError, match=r"file: https://example.org/a.zip could not be fetched \(timed out\)"):
            open_results("https://example.org/a.zip", HASH, tmp_path / "lm")


class TestCommands:
    @pytest.fixture
    def here(self, project, monkeypatch):
        monkeypatch.chdir(project)
        return project

    def test_packed_and_opened(self, here, made, capsys):
        shutil.copytree(made, here / "_build" / "lm")
        assert cli.main(["results", "pack", "--profile", "smoke"]) == 0
        digest = capsys.readouterr().out.split("SHA-256: ")[1].strip()
        shutil.rmtree(here / "_build" / "lm")
        target = here / "_build" / "maxmin-results-smoke.zip"
        assert cli.main(["results", "open", str(target)]) == 1
        assert f"sha256: expected the SHA-256 of {target}" in capsys.readouterr().err
        assert cli.main(["results", "open", str(target), "--sha256", digest]) == 0
        assert "results of smoke, commit " in capsys.readouterr().out
        assert find_runs(SMOKE, here / "_build" / "lm").note

    def test_nothing_is_published(self, here, capsys):
        assert cli.main(["results", "open"]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("maxmin: error: file: expected an archive, as no results are published")
        assert cli.main(["results", "open", "--sha256", HASH]) == 1
        assert "sha256: expected a file with it" in capsys.readouterr().err

    def test_what_is_published_stands_in_one_setting(self, here, packed, root, monkeypatch):
        assert published(root) == ("", "")
        config = (root / "_config.yml").read_text()
        config = config.replace(
            'results:\n  url: ""\n  sha256: ""', f'results:\n  url: "https://a.b/c.zip"\n  sha256: "{packed[1]}"'
        )
        (here / "_config.yml").write_text(config)
        assert published(here) == ("https://a.b/c.zip", packed[1])
        monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(packed[0].read_bytes()))
        assert cli.main(["results", "open"]) == 0
        assert find_runs(SMOKE, here / "_build" / "lm").note

    def test_a_missing_run_names_both_ways(self, tmp_path):
        with pytest.raises(ValueError, match=r"`maxmin train --profile smoke .*`maxmin results open`"):
            Results.load(SMOKE, find_runs(SMOKE, tmp_path / "lm").root)


def test_no_torch_is_imported():
    code = "import sys, maxmin_core.lm.archive; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_chapter_needs_no_more_than_an_archive(site, root, tmp_path, maxmin):
    """In a folder without runs; a chapter that reads another file fails here."""
    (tmp_path / "notebooks").mkdir()
    shutil.copy(root / "notebooks" / "08_training.ipynb", tmp_path / "notebooks")
    (tmp_path / "book").symlink_to(root / "book")
    digest = pack_results(SMOKE, root / "_build" / "lm", tmp_path / "a.zip", **ABOUT)
    open_results(tmp_path / "a.zip", digest, tmp_path / "_build" / "lm")
    done = maxmin("run", "08", "--profile", "smoke", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    one, other = (json.loads((f / "_build/smoke/metrics/08.json").read_text())["claims"] for f in (root, tmp_path))
    assert one == other and len(one) > 30
    assert not (tmp_path / "_build" / "lm").exists()
    shown, own = ((f / "_build/smoke/notebooks/08_training.ipynb").read_text() for f in (tmp_path, root))
    assert "**Published results**" in shown and "**Published results**" not in own
