"""Files and folders of an image, laid in a folder that stands for its working directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from flyte_jupyter.errors import ImageBuildError
from flyte_jupyter.images.recipe import Recipe, destination
from flyte_jupyter.spec.hashing import digest_file, digest_folder
from flyte_jupyter.spec.layers import SourceFile

__all__ = ["LEFT_OUT", "copy_sources", "unchanged"]

LEFT_OUT = shutil.ignore_patterns("__pycache__", ".git", ".ipynb_checkpoints", ".DS_Store")


def copy_sources(recipe: Recipe, folder: Path) -> None:
    """Copy what a recipe's sources name, as it was when the image was declared.

    Raises:
        ImageBuildError: a file is gone, or has changed since then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source in recipe.sources:
        target = folder / destination(source, recipe.workdir)
        try:
            unchanged(source.src, source.digest, isinstance(source, SourceFile))
            if isinstance(source, SourceFile):
                into = source.dst.endswith("/") or target == folder or target.is_dir()
                target = target / os.path.basename(source.src) if into else target
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source.src, target)
            else:
                name = "" if source.copy_contents_only else os.path.basename(source.src)
                shutil.copytree(source.src, target / name, ignore=LEFT_OUT, dirs_exist_ok=True)
        except OSError as error:
            raise ImageBuildError(f"{source} cannot be copied: {error}.") from None


def unchanged(path: str, digest: str, is_file: bool) -> None:
    """Raise if a file or folder is not as it was when it was declared.

    Args:
        path: where it is.
        digest: of what it was.
        is_file: it is a file.

    Raises:
        ImageBuildError: it has changed, or is gone.
    """
    try:
        now = digest_file(path) if is_file else digest_folder(path)
    except OSError as error:
        raise ImageBuildError(f"{path!r} cannot be copied: {error.strerror}.") from None
    if now != digest:
        raise ImageBuildError(
            f"{path!r} has changed since the image was declared.",
            remedy="Run the cell that declares the image again, so that it takes the new content.",
        )
