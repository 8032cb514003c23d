"""Archives that are not opened: every error names the argument, and nothing is left."""

import io
import json
import stat
import zipfile

import pytest

from maxmin_core.lm import _zips
from maxmin_core.lm.archive import open_results

from .archives import HASH, SMOKE, changed, members_of, nothing_is_left, sha, written


class TestRefused:
    def refused(self, archive_and_hash, folder, match):
        with pytest.raises(ValueError, match=match) as caught:
            open_results(*archive_and_hash, folder / "lm", say=lambda line: None)
        assert nothing_is_left(folder)
        assert str(caught.value).startswith(("file: ", "sha256: ", "profile: "))

    @pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "sha256:" + HASH])
    def test_no_hash(self, packed, tmp_path, digest):
        self.refused((packed[0], digest), tmp_path, "sha256: expected 64 hexadecimal digits")

    def test_another_hash(self, packed, tmp_path):
        self.refused((packed[0], HASH), tmp_path, f"with SHA-256 {HASH}, got {packed[1]}")

    @pytest.mark.parametrize("source", ["nowhere.zip", ".", "http://example.org/a.zip", "file:///etc/hostname"])
    def test_no_file(self, tmp_path, source):
        self.refused((source, HASH), tmp_path, "file: expected an archive, by its path or https address, got ")

    @pytest.mark.parametrize("content", [b"", b"no zip", b"\x1f\x8b\x08" + bytes(50), b"\x80\x04K\x01."])
    def test_another_format(self, tmp_path, content):
        (tmp_path / "a.zip").write_bytes(content)
        self.refused((tmp_path / "a.zip", sha(content)), tmp_path, "expected a zip archive of results, got another")

    def test_half_an_archive(self, packed, tmp_path):
        content = packed[0].read_bytes()[: packed[0].stat().st_size // 2]
        (tmp_path / "a.zip").write_bytes(content)
        self.refused((tmp_path / "a.zip", sha(content)), tmp_path, "expected a zip archive of results")

    @pytest.mark.parametrize(
        "name", ["../../evil", "/etc/evil", "..\\evil", "C:evil", "smoke/1-1/maxmin/result.json", "a.pkl", "A" * 64]
    )
    def test_a_member_of_another_name(self, packed, tmp_path, name):
        bad = written(tmp_path / "a.zip", [*members_of(packed).items(), (name, b"evil")])
        self.refused(bad, tmp_path, "expected members named by their SHA-256, got ")
        assert not [*tmp_path.rglob("evil*")]

    @pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO])
    def test_a_link_or_no_file(self, packed, tmp_path, kind):
        link = zipfile.ZipInfo(sha(b"/etc/passwd"))
        link.create_system, link.external_attr = 3, (kind | 0o777) << 16
        bad = written(tmp_path / "a.zip", [*members_of(packed).items(), (link, b"/etc/passwd")])
        self.refused(bad, tmp_path, "expected plain files, got a link or a folder")

    def test_another_compression(self, packed, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as file:
            for name, content in members_of(packed).items():
                file.writestr(name, content)
        self.refused((tmp_path / "a.zip", sha((tmp_path / "a.zip").read_bytes())), tmp_path, "stored or deflated")

    def test_too_large(self, packed, tmp_path, monkeypatch):
        monkeypatch.setattr(_zips, "_TOTAL", 1000)
        self.refused(packed, tmp_path, "expected at most 0 MiB when unpacked")
        monkeypatch.setattr(_zips, "_WHOLE", 1000)
        self.refused(packed, tmp_path, "expected an archive of at most 0 MiB, got a larger one")

    def test_more_than_it_says(self, tmp_path):
        """A stream that goes on behind the size in its header gives no more than that."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("manifest.json", "{}" + " " * 10**6)
        said = packed.getvalue().replace((10**6 + 2).to_bytes(4, "little"), (2).to_bytes(4, "little"))
        (tmp_path / "a.zip").write_bytes(said)
        self.refused((tmp_path / "a.zip", sha(said)), tmp_path, "file: expected ")

    def test_a_member_twice(self, packed, tmp_path):
        members = members_of(packed)
        with pytest.warns(UserWarning, match="Duplicate name"):
            bad = written(tmp_path / "a.zip", [*members.items(), ("manifest.json", members["manifest.json"])])
        self.refused(bad, tmp_path, "expected every member once, got one twice")

    def test_a_content_that_is_not_what_its_name_says(self, packed, tmp_path):
        members = members_of(packed)
        members[max(set(members) - {"manifest.json"})] = b"other numbers"
        bad = written(tmp_path / "a.zip", members.items())
        self.refused(bad, tmp_path, r"expected the content with SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}")

    def test_a_content_more_or_less(self, packed, tmp_path):
        members = members_of(packed)
        bad = written(tmp_path / "a.zip", [*members.items(), (sha(b"more"), b"more")])
        self.refused(bad, tmp_path, "expected the contents that manifest.json names, got fewer or others")
        members.pop(max(set(members) - {"manifest.json"}))
        self.refused(written(tmp_path / "a.zip", members.items()), tmp_path, "expected the contents that manifest.json")

    @pytest.mark.parametrize(
        ("manifest", "match"),
        [
            (None, "got one without a manifest.json"),
            (b"\xff", "expected JSON in manifest.json"),
            (b"{", "expected JSON in manifest.json"),
            (b"[" * 10**5, "expected JSON in manifest.json"),
            (b"[]", "expected the format 'maxmin results 1' .* got 'list'"),
            (b'{"format": "maxmin results 2"}', "expected the format 'maxmin results 1' .* got 'maxmin results 2'"),
            (b'{"format": "maxmin results 1"}', "with commit, machine, profile, settings, code, libraries, files"),
        ],
    )
    def test_no_manifest(self, tmp_path, manifest, match):
        members = [] if manifest is None else [("manifest.json", manifest)]
        self.refused(written(tmp_path / "a.zip", members), tmp_path, match)

    @pytest.mark.parametrize(
        ("parts", "match"),
        [
            ({"more": 1}, "expected the format"),
            ({"files": None}, "expected the format"),
            ({"files": []}, "expected the 13[0-9] files that chapter 8 reads, got another list: 'list'"),
            ({"files": {"../evil": HASH}}, "files that chapter 8 reads, got another list: '../evil'"),
            ({"profile": []}, "profile: expected one of "),
            ({"profile": {"name": ["cpu"]}}, "profile: expected one of "),
            ({"profile": {"name": "gpu"}}, "expected results of smoke or cpu, got gpu"),
            (
                {"profile": {"name": "smoke"}},
                "expected results of this version's profile with the same names, got others",
            ),
            ({"settings": {}}, "expected results of this version's settings with the same names"),
            (
                {"code": {"base": "old", "runs": "older"}},
                r"version's code \(base '[0-9a-f]{16}'\), got 'old'; .*1a2b3c4",
            ),
            ({"libraries": {}}, "expected the versions of torch, "),
            ({"machine": "<script>"}, "expected plain text in manifest.json, got '<script>'"),
            ({"commit": "[a](http://b)\n"}, "expected plain text in manifest.json"),
            ({"commit": 7}, "expected plain text in manifest.json, got 7"),
        ],
    )
    def test_a_manifest_of_something_else(self, packed, tmp_path, parts, match):
        self.refused(changed(packed, tmp_path / "a.zip", **parts), tmp_path, match)

    def test_another_setting_of_the_profile(self, packed, tmp_path):
        profile = json.loads(members_of(packed)["manifest.json"])["profile"] | {"beta": 0.5}
        match = rf"this version's profile \(beta {SMOKE.beta}\), got 0.5; they are of commit 1a2b3c4: check it out"
        self.refused(changed(packed, tmp_path / "a.zip", profile=profile), tmp_path, match)
