"""What tests of archives share: archives that are written by hand, and what a refused one may leave."""

import hashlib
import json
import zipfile

from maxmin_core.lm.profiles import find_profile

SMOKE = find_profile("smoke")
ABOUT = {"commit": "1a2b3c4", "machine": "A processor (R), 2 cores, 4 GiB"}
HASH = "0" * 64


def sha(content):
    return hashlib.sha256(content).hexdigest()


def written(there, members):
    """An archive of members, each a name or a ZipInfo with its content; returns it and its hash."""
    with zipfile.ZipFile(there, "w") as file:
        for name, content in members:
            file.writestr(name, content)
    return there, sha(there.read_bytes())


def members_of(packed):
    with zipfile.ZipFile(packed[0]) as file:
        return {name: file.read(name) for name in file.namelist()}


def changed(packed, there, **parts):
    """The archive with other parts in its manifest; None takes one out."""
    members = members_of(packed)
    manifest = json.loads(members.pop("manifest.json")) | parts
    manifest = {name: part for name, part in manifest.items() if part is not None}
    return written(there, [("manifest.json", json.dumps(manifest)), *members.items()])


def nothing_is_left(folder):
    return not any((folder / "published").glob("*")) if (folder / "published").exists() else True
