"""``docs/settings.md`` lists every setting there is, as the code has it."""

import re
from dataclasses import fields
from html import unescape
from pathlib import Path

from tracker.settings import Settings

DOCUMENT = (Path(__file__).parents[1] / "docs" / "settings.md").read_text("utf-8")


def test_every_setting_is_in_the_document_as_it_is() -> None:
    """Name, default and sentence, in the same order."""
    rows = re.findall(r"^\| `(TRACKER_\w+)` \| (.*?) \| (.*) \|$", DOCUMENT, re.MULTILINE)
    expected = [
        (
            f"TRACKER_{option.name.upper()}",
            "-" if option.default in (None, "") else f"`{option.default}`",
            option.metadata["sentence"],
        )
        for option in fields(Settings)
    ]
    assert [(name, default, unescape(sentence)) for name, default, sentence in rows] == expected
