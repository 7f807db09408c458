"""The pages a recipient sees: each answer is whole, and asks nothing of any other host."""

import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse, Response

from ..domain.times import written_time
from .static import static_folder, style_sheet

_PAGES = (
    "home",
    "unsubscribe",
    "unsubscribed",
    "subscribed",
    "opted_out",
    "undone",
    "too_late",
    "unreachable",
    "problem",
    "not_found",
    "too_many",
    "blocked",
    "method_not_allowed",
    "unavailable",
    "failed",
)

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Each feature by name: a bare "()" is no dictionary, and browsers ignore the whole header.
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Where abuse is reported: what a person reads, and the link behind it if there is one."""

    text: str
    href: str | None


def read_contact(value: str) -> Contact:
    """A ``mailto:`` or ``https:`` URL becomes a link; anything else stays the text the operator wrote."""
    scheme, _, rest = value.partition(":")
    match scheme.lower():
        case "mailto":
            return Contact(text=rest.partition("?")[0], href=value)
        case "https":
            return Contact(text=value, href=value)
    return Contact(text=value, href=None)


def content_security_policy(style: str) -> str:
    """Allows this one inline style sheet and forms to this host: no script, no request, no frame around."""
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def page_headers(style: str) -> dict[str, str]:
    """The headers of every page with this inline style sheet."""
    return {**_HEADERS, "Content-Security-Policy": content_security_policy(style)}


def template_environment(folder: Path, style: str) -> Environment:
    """Templates of this folder, in which every value is escaped but the style sheet."""
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup(style)  # noqa: S704 - our own file
    return environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who sends, and to whom: the name of the account, and the recipient's address already masked, if known."""

    sender: str | None = None
    address: str | None = None


def moment(milliseconds: int) -> Markup:
    """A time as a person reads it, to the minute, and as a program does."""
    at = datetime.fromtimestamp(milliseconds // 1000, UTC)
    read = f"{at.day} {at:%B %Y, %H:%M} UTC"
    return Markup('<time datetime="{}">{}</time>').format(written_time(milliseconds), read)


_HYPHENATED = re.compile(r"\w{1,12}-\w{1,6}")


def unbroken(heading: str) -> Markup:
    """A heading of ours in which no short word breaks at its hyphen: "opt-" at the end of a line reads as a mistake."""
    return Markup(_HYPHENATED.sub(r'<span class="whole">\g<0></span>', str(escape(heading))))  # noqa: S704 - escaped


class Pages:
    """Renders every page from templates compiled when it is made; no page needs storage, script or cookie.

    ``sender`` is the name of the account, ``address`` the recipient's address already masked; either may be
    unknown. Both are escaped: nothing a customer writes becomes markup.
    """

    def __init__(self, abuse_contact: str | None) -> None:
        folder = static_folder() / "pages"
        style = style_sheet("pages/page.css")
        environment = template_environment(folder, style)
        environment.filters["moment"] = moment
        environment.filters["unbroken"] = unbroken
        environment.globals["contact"] = read_contact(abuse_contact) if abuse_contact else None
        self._headers = page_headers(style)
        self._templates = {name: environment.get_template(f"{name}.html") for name in _PAGES}

    def home(self) -> Response:
        """What this host is, and where to report abuse."""
        return self._page("home")

    def unsubscribe(self, parties: Parties) -> Response:
        """Asks for the one press that opts out; showing it changes nothing."""
        return self._page("unsubscribe", parties=parties)

    def unsubscribed(self, parties: Parties, *, preferences: str, undo: bool) -> Response:
        """Confirms an opt-out that is on stable storage, now or since an earlier press.

        ``preferences`` is the path of the person's own page, which the button posts to where ``undo`` would work.
        """
        return self._page("unsubscribed", parties=parties, preferences=preferences, undo=undo)

    def subscribed(
        self, parties: Parties, *, unsubscribe: str, stopped: bool, nothing_to_undo: bool = False
    ) -> Response:
        """Says that no opt-out stands; ``unsubscribe`` is the path that the button for one posts to.

        ``stopped`` says that something else keeps the sender from writing; not what, which is the sender's affair.
        """
        told = {"stopped": stopped, "nothing_to_undo": nothing_to_undo}
        return self._page("subscribed", parties=parties, unsubscribe=unsubscribe, told=told)

    def opted_out(
        self, parties: Parties, *, since: int, undo_until: int | None, nothing_to_undo: bool = False
    ) -> Response:
        """Says that an opt-out stands and since when, with a button to undo it as long as that goes."""
        return self._page(
            "opted_out", parties=parties, since=since, undo_until=undo_until, nothing_to_undo=nothing_to_undo
        )

    def undone(self, parties: Parties, *, stopped: bool) -> Response:
        """Confirms that an opt-out is taken back, which is on stable storage; ``stopped`` as above."""
        return self._page("undone", parties=parties, stopped=stopped)

    def too_late(self, parties: Parties, *, since: int) -> Response:
        """409, for an opt-out that can be undone no more; says how to return."""
        return self._page("too_late", 409, parties=parties, since=since)

    def unreachable(self, retry_after_s: int, *, undoing: bool) -> Response:
        """503, when what stands cannot be read or changed."""
        return self._page("unreachable", 503, headers={"Retry-After": str(retry_after_s)}, undoing=undoing)

    def problem(self, *, title: str, status: int, meaning: str, remedy: str) -> Response:
        """What a problem of the API means, for who follows its ``type``."""
        return self._page("problem", title=title, problem_status=status, meaning=meaning, remedy=remedy)

    def not_found(self) -> Response:
        """404, for a link that was damaged or that this host never made."""
        return self._page("not_found", 404)

    def blocked(self) -> Response:
        """410, for a link the operator has stopped for abuse; it leads nowhere, and does not say where it led."""
        return self._page("blocked", 410)

    def too_many(self, retry_after_s: int) -> Response:
        """429, for a link that was damaged or never made, when very many of them came from there."""
        return self._page("too_many", 429, headers={"Retry-After": str(retry_after_s)})

    def method_not_allowed(self, allow: str) -> Response:
        """405; ``allow`` lists the methods as the Allow header does (RFC 9110, section 10.2.1)."""
        return self._page("method_not_allowed", 405, headers={"Allow": allow})

    def unavailable(self, retry_after_s: int) -> Response:
        """503, for an opt-out that could not be stored, with the button to try again."""
        return self._page("unavailable", 503, headers={"Retry-After": str(retry_after_s)})

    def failed(self) -> Response:
        """500, when the fault is ours and unforeseen."""
        return self._page("failed", 500)

    def _page(
        self,
        name: str,
        status: int = 200,
        *,
        headers: dict[str, str] | None = None,
        **values: object,
    ) -> Response:
        body = self._templates[name].render(values)
        return HTMLResponse(body, status, {**self._headers, **(headers or {})})
