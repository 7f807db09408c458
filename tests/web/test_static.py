"""Static files are found wherever the package stands, and the demo's newsletter is like a real one."""

from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser

from tracker.web.static import static_folder


def test_a_wheel_carries_its_own_files(tmp_path: Path) -> None:
    """Inside site-packages a neighbour's folder named static is not ours."""
    (tmp_path / "tracker" / "_static").mkdir(parents=True)
    (tmp_path / "static").mkdir()
    assert static_folder(tmp_path / "tracker") == tmp_path / "tracker" / "_static"


def test_a_checkout_keeps_them_beside_the_package(tmp_path: Path) -> None:
    """In a checkout the folder is edited in place."""
    (tmp_path / "static").mkdir()
    assert static_folder(tmp_path / "tracker") == tmp_path / "static"


def test_missing_files_say_what_to_do(tmp_path: Path) -> None:
    """Half a package stops at start, with both places it looked at."""
    with pytest.raises(FileNotFoundError, match="install the wheel again") as caught:
        static_folder(tmp_path / "tracker")
    assert str(tmp_path / "static") in str(caught.value)
    assert str(tmp_path / "tracker" / "_static") in str(caught.value)


@pytest.fixture(scope="module")
def newsletter() -> str:
    return (static_folder() / "demo" / "newsletter.html").read_text(encoding="utf-8")


def test_newsletter_links_as_newsletters_do(newsletter: str) -> None:
    """A query, a fragment, a mailto:, merge tags and a link that asks not to be tracked."""
    links = LexborHTMLParser(newsletter).css("a")
    hrefs = [link.attributes["href"] or "" for link in links]
    destinations = {href for href in hrefs if href.startswith("https://")}
    assert "https://larkspur.example.com/bulbs?a=1&b=2#top" in destinations
    assert 6 <= len(destinations) <= 8
    assert sum(href.startswith("mailto:") for href in hrefs) == 1
    assert [href for href in hrefs if "{{" in href] == ["{{ view_in_browser }}", "{{ unsubscribe_url }}"]
    assert [link.text() for link in links if link.attributes.get("data-tracker") == "off"] == ["Imprint"]


def test_newsletter_has_a_button_for_outlook(newsletter: str) -> None:
    """Word draws the VML button, everybody else the link; both lead to one page."""
    assert '<v:roundrect xmlns:v="urn:schemas-microsoft-com:vml"' in newsletter
    assert newsletter.count('href="https://larkspur.example.com/bulbs?a=1&amp;b=2#top"') == 2


def test_newsletter_loads_nothing(newsletter: str) -> None:
    """Its pictures are colours and corners, so that it looks the same where images are blocked."""
    assert not LexborHTMLParser(newsletter).css("img, link, script, [src], [background]")
    assert "url(" not in newsletter


def test_newsletter_is_short_enough_for_gmail(newsletter: str) -> None:
    """Gmail cuts mails at 102 kB, and tracked links make it longer."""
    assert len(newsletter.encode()) < 50_000
