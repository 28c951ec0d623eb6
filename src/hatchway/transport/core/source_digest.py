"""The digest of the core's sources. A core contains the digest of the sources that it was built from
(scripts/build_core.py)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def source_digest(directory: Path) -> str | None:
    """In hexadecimal; None if there are no sources, as in a wheel."""
    sources = sorted(directory.glob("*.c"))
    if not sources:
        return None
    digest = sha256()
    for source in sources:
        content = source.read_bytes()
        digest.update(f"{source.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()
