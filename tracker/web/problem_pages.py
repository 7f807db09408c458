"""What each problem of the API means and what to do about it: a page a problem, under its ``type``."""

from collections.abc import Mapping
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .pages import Pages
from .problems import TYPES


class Explanation(NamedTuple):
    """For the person who reads a log: what it means, and what to do."""

    meaning: str
    remedy: str


EXPLANATIONS: Mapping[str, Explanation] = {
    "not-json": Explanation(
        "The body of the request could not be read as JSON in UTF-8.",
        "Send what a JSON library writes. Look for a body that was cut off, or sent in another encoding.",
    ),
    "not-text": Explanation(
        "A list to be imported holds bytes that are not text in UTF-8. The member line says where the first of them "
        "stand; the lines before it may have been taken in.",
        "Save the list as UTF-8 and import it again as a whole: what is there already is not added twice.",
    ),
    "bad-cursor": Explanation(
        "A list was to go on from a cursor that this server did not give, or gave for another question.",
        "Send next_cursor back as it was, with the same filters and order. If it is lost, begin the list anew.",
    ),
    "bad-idempotency-key": Explanation(
        "The header Idempotency-Key holds something that is no key, or stands there twice. Nothing was done.",
        "Send one key of 1 to 255 characters, such as a random UUID: in quotes, or without them and without spaces.",
    ),
    "unauthorized": Explanation(
        "The request carried no API key, or one that does not exist or was revoked.",
        "Send the header “Authorization: Bearer trk_…” with a key that is in use. An operator makes one with "
        "“tracker key create”. A key is shown only when it is made.",
    ),
    "missing-scope": Explanation(
        "The API key is good, and was made without the scope that this route needs.",
        "Use a key that has the scope, or have one made.",
    ),
    "account-blocked": Explanation(
        "The operator of this server has blocked the account for abuse. It makes no messages and gets no key for "
        "links, and whoever clicks a link in a mail it has sent is told that the link is blocked.",
        "Ask the operator. What is stored can still be read, opt-outs in mails already sent go on working, and checks "
        "go on answering.",
    ),
    "account-not-confirmed": Explanation(
        "The operator of this server has not confirmed the account yet, and links that its own key signs could not be "
        "counted.",
        "Ask the operator to confirm the account. Until then let the server make the links: POST /v1/messages.",
    ),
    "not-found": Explanation(
        "There is nothing at this path, or the thing it names does not exist in this account.",
        "Check the path and the id. Things of another account are answered in the same way as things that never were.",
    ),
    "method-not-allowed": Explanation(
        "The path exists, and does not answer this method.",
        "Use one of the methods that the Allow header of the answer lists.",
    ),
    "recipient-suppressed": Explanation(
        "The recipient opted out, complained, bounced, or was put on the list by you. No message was made, or "
        "the one made before under the same Idempotency-Key must not be sent any more.",
        "Do not write to this address. The members reason and scope say why. Ask the check before each sending: it "
        "answers for 10,000 addresses at once.",
    ),
    "lift-forbidden": Explanation(
        "The operator has switched the lifting of opt-outs off on this server.",
        "Leave the opt-out. The person can undo it for 24 hours on the page their link leads to.",
    ),
    "consent-too-old": Explanation(
        "The person opted out after the consent that was to lift it, so that the “no” is their last word.",
        "Leave the opt-out, unless they have signed up again since: then send the time of that consent.",
    ),
    "not-an-opt-out": Explanation(
        "Only what a person asked for is lifted by a consent; this suppression you made yourself.",
        "Delete it instead.",
    ),
    "opt-out-is-final": Explanation(
        "A person said “no more” or complained, and that cannot be deleted like an entry you made yourself.",
        "Leave it. If the person has signed up with you again since, an opt-out can be lifted with the proof of that "
        "consent; a complaint never.",
    ),
    "too-many-keys": Explanation(
        "An account can have 200 API keys in use. No key was made.",
        "Revoke the keys that nobody uses any more: a program needs one, and so does each of its places, but not more.",
    ),
    "last-key": Explanation(
        "The key that was to be revoked is the last one with the scope “account”, without which nobody could make "
        "another. It goes on working.",
        "Make another key with this scope first. If the key has been stolen, make the new one, revoke the old one with "
        "it, and look through the list for keys that are not yours.",
    ),
    "idempotency-key-in-use": Explanation(
        "Another request with the same Idempotency-Key has come and has not been answered yet.",
        "Wait a second and send the same request again: you get the answer of the first one as soon as there is one.",
    ),
    "too-large": Explanation(
        "The body of the request is larger than this route takes. The detail names the limit.",
        "Send less at a time: most routes that take lists can be asked again with the rest.",
    ),
    "unsupported-media-type": Explanation(
        "The body of the request is of a kind this route does not read.",
        "Send JSON with the header “Content-Type: application/json”, or what the Accept header of the answer lists.",
    ),
    "invalid": Explanation(
        "The request was understood, and something in it is not allowed: an unknown field, or a bad value.",
        "The member errors lists each flaw: pointer says where (a JSON Pointer), detail says what is wrong. Nothing "
        "was changed, so the mended request can simply be sent.",
    ),
    "idempotency-key-reused": Explanation(
        "A request with the same Idempotency-Key was carried out in the last 24 hours, and it was not this one: the "
        "path, the query or the bytes of the body differ. This one was not carried out.",
        "Make a new key for each new call, and send the same bytes when you send a call again.",
    ),
    "quota-exceeded": Explanation(
        "The API key, or all keys of the account together, made more requests than the operator of this server allows. "
        "The member violated-policies names which, and RateLimit-Policy of every answer says how many they are.",
        "Wait for the seconds that Retry-After says. Batches and checks of 10,000 need far fewer requests.",
    ),
    "too-many-at-once": Explanation(
        "The account sent a large call, such as a batch or a check with thousands of items, while an earlier one was "
        "not answered yet. Each account has one at a time, so that none keeps the others waiting.",
        "Send them one after the other: side by side they would be no faster.",
    ),
    "too-many-failures": Explanation(
        "Very many requests with unknown or revoked API keys came from the same network in a short time.",
        "Look for the program that goes on sending a key that was revoked. A valid key is let in all the time.",
    ),
    "account-limited": Explanation(
        "The operator of this server has not confirmed the account yet. Until then it may make a certain number of "
        "messages a day in UTC: the member limit says how many, and left how many are left today.",
        "Ask the operator to confirm the account, or send the rest tomorrow: Retry-After says in how many seconds. "
        "A batch is made as a whole or not at all.",
    ),
    "failed": Explanation(
        "Something went wrong inside the server that nobody foresaw. The fault is not in the request.",
        "Try again later. If it stays, tell the operator the Request-Id of the answer: it finds the reason in the log.",
    ),
    "unavailable": Explanation(
        "The server could not read or write what it needed. What was not answered with success was not done.",
        "Send the same request again after the seconds that Retry-After says. Until a check has answered, do not "
        "write to anybody: no answer never means “allowed”.",
    ),
}
"""By the names of :data:`~.problems.TYPES`."""


class ProblemPages:
    """``/problems/{name}``: where the ``type`` of every problem leads."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/problems/{name}", self.show)]

    async def show(self, request: Request) -> Response:
        """The page of one problem; 404 for a name that is none."""
        name = request.path_params["name"]
        if name not in EXPLANATIONS:
            return self._pages.not_found()
        status, title = TYPES[name]
        return self._pages.problem(title=title, status=status, **EXPLANATIONS[name]._asdict())
