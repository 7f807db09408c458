"""Which newsletter the demo takes from a file, and what it says of files that hold none."""

from pathlib import Path

import pytest

from tests.shared_data import shared
from tracker.demo.newsletter import BadNewsletter, read_newsletter

PAGE = '<p>Bücher für 9 € – <a href="https://shop.example.com/">ansehen</a></p>'
MAIL = b"""\
From: shop@example.com
Subject: =?utf-8?q?B=C3=BCcher?=
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"

--outer
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain

In words.
--inner
Content-Type: text/html; charset=iso-8859-15
Content-Transfer-Encoding: quoted-printable

<p>B=FCcher f=FCr 9 =A4</p>
--inner--
--outer
Content-Type: text/html
Content-Disposition: attachment; filename="terms.html"

<p>Terms</p>
--outer--
"""


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_without_a_file_the_built_in_newsletter_is_taken() -> None:
    """It is of the project's own making, and says whose it is."""
    newsletter = read_newsletter()
    assert "Larkspur" in newsletter.html
    assert newsletter.sender == "Larkspur & Rook"


@pytest.mark.parametrize("name", ["news.html", "news.htm", "NEWS.HTML"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_page_is_read_as_utf_8(tmp_path: Path, name: str, mark: bytes) -> None:
    """A byte order mark is not part of the newsletter."""
    assert read_newsletter(written(tmp_path, name, mark + PAGE.encode())).html == PAGE


def test_what_is_not_utf_8_keeps_every_byte(tmp_path: Path) -> None:
    """Whatever a byte means, the demo hands it on as one character."""
    content = b"<p>B\xfccher \x80</p>\r\n"
    assert read_newsletter(written(tmp_path, "old.html", content)).html.encode("latin-1") == content


def test_of_a_mail_the_first_html_part_is_taken(tmp_path: Path) -> None:
    """In its own charset and without its transfer encoding; line ends inside stay."""
    assert read_newsletter(written(tmp_path, "news.eml", MAIL)).html == "<p>Bücher für 9 €</p>"


def test_a_charset_nobody_knows_is_no_obstacle(tmp_path: Path) -> None:
    """Mails name charsets that do not exist."""
    mail = b"Content-Type: text/html; charset=x-unheard-of\n\n<p>B\xfccher</p>\n"
    assert read_newsletter(written(tmp_path, "odd.eml", mail)).html == "<p>Bücher</p>\n"


def test_a_mail_without_html_is_refused_with_a_reason(tmp_path: Path) -> None:
    """There would be nothing to track in it."""
    path = written(tmp_path, "plain.eml", b"Subject: Hello\n\nIn words only.\n")
    with pytest.raises(BadNewsletter, match=r"plain\.eml has no HTML part"):
        read_newsletter(path)


def test_another_kind_of_file_is_refused_by_its_name(tmp_path: Path) -> None:
    """The sentence says what to name instead."""
    with pytest.raises(BadNewsletter, match=r"news\.pdf is neither \.html nor \.eml"):
        read_newsletter(written(tmp_path, "news.pdf", b"%PDF"))


@pytest.mark.parametrize("name", ["missing.html", "missing.eml", "folder.html"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """With what the system says about it."""
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(BadNewsletter, match=rf"cannot read .*{name}: (No such file|Is a directory)"):
        read_newsletter(tmp_path / name)


def test_every_real_mail_is_read_or_refused_with_a_sentence() -> None:
    """Nothing in a mail, however broken, ends in anything else."""
    mails = sorted(shared("eml").rglob("*.eml"))
    flaws = [flaw_of(path) for path in mails]
    assert {flaw.partition(" has ")[2][:12] for flaw in flaws if flaw} == {"no HTML part"}
    assert None in flaws


def flaw_of(path: Path) -> str | None:
    try:
        read_newsletter(path)
    except BadNewsletter as error:
        return str(error)
    return None
