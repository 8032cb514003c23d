"""A zip archive of results as bytes: a manifest, and contents under their SHA-256. No member's name becomes a path."""

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from pathlib import Path

__all__ = ["MANIFEST", "fetch", "unzipped", "zipped"]

MANIFEST = "manifest.json"
# In bytes; no archive of results comes near.
_WHOLE, _TOTAL = 2**26, 2**28


def zipped(manifest, contents):
    """Return an archive of contents by their names; the same ones give the same bytes."""
    contents = {MANIFEST: (json.dumps(manifest, indent=1, sort_keys=True) + "\n").encode(), **contents}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in sorted(contents):
            # A time of its own would make every packing another archive; zip knows none before 1980.
            member = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            member.create_system, member.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(member, contents[name], zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue()


def fetch(source, say):
    """Return the bytes of an archive, from a file or an https address."""
    if source.startswith("https://"):
        from urllib.error import URLError
        from urllib.request import urlopen

        say(f"fetching {source}")
        try:
            with urlopen(source, timeout=60) as answer:
                packed = answer.read(_WHOLE + 1)
        except (URLError, TimeoutError) as error:
            raise OSError(f"file: {source} could not be fetched ({getattr(error, 'reason', error)})") from error
    elif "://" in source or not Path(source).is_file():
        raise ValueError(f"file: expected an archive, by its path or https address, got {source}")
    else:
        with open(source, "rb") as file:
            packed = file.read(_WHOLE + 1)
    if len(packed) > _WHOLE:
        raise ValueError(f"file: expected an archive of at most {_WHOLE >> 20} MiB, got a larger one: {source}")
    return packed


def unzipped(packed):
    """Return manifest and contents of an archive, each content the one that its name says."""
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            members = archive.infolist()
            _check(members)
            # No more than the size that was checked, whatever the stream would give.
            found = {member.filename: archive.open(member).read(member.file_size) for member in members}
        manifest = json.loads(found.pop(MANIFEST))
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise ValueError(f"file: expected a zip archive of results, got another or a damaged file ({error})") from error
    except KeyError as error:
        raise ValueError(f"file: expected a zip archive of results, got one without a {MANIFEST}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"file: expected JSON in {MANIFEST}, got {error}") from error
    for name, content in found.items():
        if (digest := hashlib.sha256(content).hexdigest()) != name:
            raise ValueError(f"file: expected the content with SHA-256 {name}, got {digest}")
    return manifest, found


def _check(members):
    for member in members:
        kind, name = stat.S_IFMT(member.external_attr >> 16), member.filename
        if name != MANIFEST and not re.fullmatch("[0-9a-f]{64}", name):
            raise ValueError(f"file: expected members named by their SHA-256, got {name!r:.80}")
        # Zero: who wrote the archive kept no kind.
        if kind not in (0, stat.S_IFREG):
            raise ValueError(f"file: expected plain files, got a link or a folder: {name}")
        if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"file: expected members without encryption, stored or deflated, got another: {name}")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("file: expected every member once, got one twice")
    if (total := sum(member.file_size for member in members)) > _TOTAL:
        raise ValueError(f"file: expected at most {_TOTAL >> 20} MiB when unpacked, got {total >> 20} MiB")
