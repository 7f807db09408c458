"""What the host itself has to say: what it is, that crawlers stay out, and the pages of errors."""

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .pages import Pages
from .problems import Problem, problem_response

_FOR_PROGRAMS = ("/v1", "/livez", "/readyz")
_RETRY_AFTER_S = 5

_EVERYWHERE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Site:
    """The root, robots.txt, and an answer for whatever goes wrong: a page for people, a problem for programs."""

    def __init__(self, pages: Pages, base_url: str) -> None:
        self._pages = pages
        self._base_url = base_url

    def routes(self) -> list[Route]:
        """Its routes."""
        return [Route("/", self.home), Route("/robots.txt", self.robots)]

    async def home(self, _: Request) -> Response:
        """What this host is, and where to report abuse."""
        return self._pages.home()

    async def robots(self, _: Request) -> Response:
        """Nothing here is for crawlers."""
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def on_problem(self, _: Request, error: Problem) -> Response:
        """The answer to a request that ended in a ``Problem``."""
        return problem_response(error, self._base_url)

    async def on_unavailable(self, request: Request, _: Exception) -> Response:
        """Storage does not answer: it may soon."""
        if not _for_program(request):
            return self._pages.unavailable(_RETRY_AFTER_S)
        problem = Problem(
            "unavailable",
            "The database does not answer. What was asked for may or may not have been done: ask again.",
            headers={"Retry-After": str(_RETRY_AFTER_S)},
        )
        return problem_response(problem, self._base_url)

    async def on_http_error(self, request: Request, error: HTTPException) -> Response:
        """No such route, or not with this method."""
        allow = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        if not _for_program(request):
            return self._pages.method_not_allowed(allow) if allow else self._pages.not_found()
        if allow:
            problem = Problem("method-not-allowed", f"Allowed here: {allow}.", headers={"Allow": allow})
        else:
            problem = Problem("not-found", "There is nothing at this path.")
        return problem_response(problem, self._base_url)

    async def on_failure(self, request: Request, _: Exception) -> Response:
        """An error nobody foresaw: it is in the log, and says nothing here."""
        if not _for_program(request):
            return self._pages.failed()
        return problem_response(Problem("failed", "This is our fault; it has been logged."), self._base_url)


def _for_program(request: Request) -> bool:
    return request.url.path.startswith(_FOR_PROGRAMS)


class SafeHeaders:
    """Puts on every answer, errors included, what must be there: nothing of ours is for a cache or a referrer.

    Errors are cacheable by heuristics unless they say otherwise (RFC 9110, section 15.1).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _EVERYWHERE.items():
                    headers[name] = value
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)
