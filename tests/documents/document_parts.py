"""A document as its parts: blocks of Python, Python without a fence, code inside of sentences."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Document", "read_document", "read_folder"]

COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
UNFENCED = re.compile(r"^import .*", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Document:
    """A document.

    Args:
        file: name of its file.
        digest: of its whole text; it says which document this is.
        blocks: language and text of every fenced block, in order.
        unfenced: Python that stands at the end without a fence.
        fragments: code inside of sentences and lists, each once.
    """

    file: str
    digest: str
    blocks: tuple[tuple[str, str], ...]
    unfenced: tuple[str, ...]
    fragments: tuple[str, ...]

    @property
    def python(self) -> tuple[str, ...]:
        """All Python in the order of the document."""
        return (*(text for language, text in self.blocks if language == "python"), *self.unfenced)


def read_document(path: Path) -> Document:
    """Take a document apart."""
    text = path.read_text(encoding="utf-8")
    prose = FENCED.sub("", COMMENT.sub("", text))
    return Document(
        file=path.name,
        digest=hashlib.sha256(text.encode()).hexdigest()[:16],
        blocks=tuple(FENCED.findall(text)),
        unfenced=tuple(UNFENCED.findall(prose)),
        fragments=tuple(dict.fromkeys(INLINE.findall(UNFENCED.sub("", prose)))),
    )


def read_folder(folder: Path) -> dict[str, Document]:
    """Return the documents of a folder by their digests."""
    documents = [read_document(path) for path in sorted(folder.glob("*.md"))]
    return {document.digest: document for document in documents}
