"""Files of a portable model: regular ones, inside its folder."""

from __future__ import annotations

from pathlib import Path

from recbole_sibrar.errors import PortableModelError

__all__ = ["own_file"]


def own_file(folder: Path, name: str) -> Path:
    """Return the path of a file of a folder.

    Args:
        folder: The folder.
        name: Name of the file.

    Raises:
        PortableModelError: There is no such file, it is none, or it lies outside the folder.
    """
    path = folder / name
    # Before Python 3.13 a link to itself ends in a RuntimeError.
    try:
        real = path.resolve(strict=True)
    except PermissionError as error:
        raise PortableModelError(f"{path}: cannot be read ({error.strerror})") from None
    except (OSError, RuntimeError):
        raise PortableModelError(
            f"{path}: the file is missing; a portable model is a folder made by recbole-sibrar "
            "export"
        ) from None

    # A link can lead to a device without an end, to a pipe that nobody writes to, or to a file that
    # the owner of the folder may not read.
    if not real.is_file():
        raise PortableModelError(f"{path}: found a folder, a pipe or a device, allowed is a file")
    if real.parent != folder.resolve():
        raise PortableModelError(
            f"{path}: found a link to a file outside the folder, allowed is the file itself"
        )
    return path
