"""RFC 8058: whatever body a POST carries, it opts out; the body only says how."""

import pytest

from tests.web.serving import Customer, Served, somebody
from tracker.domain.events import Method
from tracker.web.unsubscribe import method_of

pytestmark = pytest.mark.anyio

# As printed in RFC 8058, section 8.3, where the first delimiter lacks its hyphens.
RFC_8058_MULTIPART = (
    b"---FormBoundaryjWmhtjORrn\r\n"
    b'Content-Disposition: form-data; name="List-Unsubscribe"\r\n'
    b"\r\n"
    b"One-Click\r\n"
    b"---FormBoundaryjWmhtjORrn--\r\n"
)
GOOD_MULTIPART = b"--" + RFC_8058_MULTIPART.replace(b"\r\n---Form", b"\r\n-----Form")
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = b"page=1"

BODIES: dict[str, tuple[str | None, bytes, Method]] = {
    "urlencoded": ("application/x-www-form-urlencoded", ONE_CLICK, Method.ONE_CLICK),
    "urlencoded with a charset": ("application/x-www-form-urlencoded; charset=UTF-8", ONE_CLICK, Method.ONE_CLICK),
    "multipart": ("multipart/form-data; boundary=---FormBoundaryjWmhtjORrn", GOOD_MULTIPART, Method.ONE_CLICK),
    "the example of RFC 8058": (
        "multipart/form-data; boundary=---FormBoundaryjWmhtjORrn",
        RFC_8058_MULTIPART,
        Method.ONE_CLICK,
    ),
    "an empty boundary": ("multipart/form-data; boundary=", GOOD_MULTIPART, Method.ONE_CLICK),
    "no boundary": ("multipart/form-data", GOOD_MULTIPART, Method.ONE_CLICK),
    "multipart without quotes": ("multipart/form-data", b"...; name=List-Unsubscribe\r\n\r\n", Method.ONE_CLICK),
    "no content type": (None, ONE_CLICK, Method.ONE_CLICK),
    "an unknown content type": ("application/x-unheard-of", ONE_CLICK, Method.ONE_CLICK),
    "JSON": ("application/json", b'{"List-Unsubscribe": "One-Click"}', Method.ONE_CLICK),
    "nothing": (None, b"", Method.ONE_CLICK),
    "nothing, said to be a form": ("application/x-www-form-urlencoded", b"", Method.ONE_CLICK),
    "a megabyte of junk": ("application/octet-stream", b"\x00\xff junk" * 150_000, Method.ONE_CLICK),
    "our page": ("application/x-www-form-urlencoded", FORM, Method.PAGE),
    "our page among other fields": ("application/x-www-form-urlencoded", b"a=b&page=1&c=d", Method.PAGE),
    "our page as multipart": ("multipart/form-data", b'--x\r\n...; name="page"\r\n\r\n1\r\n--x--', Method.PAGE),
    "both": ("application/x-www-form-urlencoded", FORM + b"&" + ONE_CLICK, Method.ONE_CLICK),
    "a field that only ends so": ("application/x-www-form-urlencoded", b"homepage=1", Method.ONE_CLICK),
    "a field that only begins so": ("application/x-www-form-urlencoded", b"page=10", Method.ONE_CLICK),
}


@pytest.mark.parametrize(("_", "body", "method"), BODIES.values(), ids=BODIES)
def test_body_only_labels_the_opt_out(_: str | None, body: bytes, method: Method) -> None:
    """The one-click bytes, or a part of that name, mean one_click; our form's field means page; all else one_click."""
    assert method_of(body) == method


@pytest.mark.parametrize(("content_type", "body", "_"), BODIES.values(), ids=BODIES)
async def test_any_body_opts_out(
    standing: Served, resident: Customer, content_type: str | None, body: bytes, _: Method
) -> None:
    """The token is the authority: whatever stands in the body, and nothing, works (A1.8)."""
    email = somebody()
    made = await resident.make(recipient={"email": email})
    headers = {"Content-Type": content_type} if content_type else {}
    answer = await standing.reader.post(made["unsubscribe_url"], content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "You are unsubscribed" in answer.text
    assert not await resident.may_write_to(email)
