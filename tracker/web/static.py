"""Finds the files that are not Python: templates, style sheets and the demo's newsletter."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]


def style_sheet(path: str) -> str:
    """The style of a kind of pages, below ``static``, after what all pages share: one sheet, since it stands inline."""
    folder = static_folder()
    return "\n".join((folder / name).read_text(encoding="utf-8") for name in ("base.css", path))


def static_folder(package: Path = _PACKAGE) -> Path:
    """The static files: ``_static`` inside an installed package, ``static`` beside the one in a checkout.

    Raises FileNotFoundError, with what to do, if neither is there.
    """
    installed, checkout = package / "_static", package.parent / "static"
    for folder in (installed, checkout):
        if folder.is_dir():
            return folder
    message = f"no static files at {installed} or {checkout}: install the wheel again, or use a full checkout"
    raise FileNotFoundError(message)
