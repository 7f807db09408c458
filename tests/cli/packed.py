"""Backups as they are, and as somebody else might have made them."""

import io
import json
import tarfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

Change = Callable[[dict[str, bytes]], object]


def content_of(path: Path) -> dict[str, bytes]:
    """What a backup holds, by name."""
    with tarfile.open(path) as tar:
        return {name: packed.read() for name in tar.getnames() if (packed := tar.extractfile(name)) is not None}


def repack(path: Path, change: Change) -> None:
    """Make of the backup what somebody else might have packed: the checksums are right."""
    content = content_of(path)
    change(content)
    manifest = json.loads(content["manifest.json"])
    members = manifest["members"] if isinstance(manifest["members"], list) else []
    for member in members:
        if (packed := content.get(member["name"])) is not None:
            member.update(bytes=len(packed), sha256=sha256(packed).hexdigest())
    content["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        for name, packed in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(packed)
            tar.addfile(entry, io.BytesIO(packed))


def in_manifest(**changes: Any) -> Change:
    """Another list of what is in it."""

    def change(content: dict[str, bytes]) -> None:
        content["manifest.json"] = json.dumps({**json.loads(content["manifest.json"]), **changes}).encode()

    return change
