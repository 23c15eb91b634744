"""Who may ask: this machine's browser, from this page, with the token; checked before anything else is done."""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
WELCOME = """<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0;url=/"><title>studio</title>
<link rel="icon" href="/static/icon.svg"><p><a href="/">Open the studio</a></p>"""


class Guard:
    """Lets a request through to `app` if its Host is ours, its Origin, where it has one, too, and it has the token.

    The token comes once in the address (`/?token=`) and from then on in a cookie that scripts cannot read and that
    no other site's page can make the browser send. What changes something is a POST, which needs an Origin.
    """

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self._app, self._token = app, token
        self._cookie = f"autopilot-studio-{port}"  # cookies do not tell ports apart
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._answer(scope)
        await (self._app if answer is None else answer)(scope, receive, hardened)

    def _answer(self, scope: Scope) -> Response | None:
        """Return what is answered instead of the page, or None to go on."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return PlainTextResponse("this is not the address of the studio", 403)
        if any(origin != f"http://{hosts[0]}" for origin in origins) or len(origins) > 1:
            return PlainTextResponse("another site asked for this", 403)
        method = scope["method"]
        if method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("GET and POST alone are known", 405)
        if method == "POST" and not origins:
            return PlainTextResponse("no Origin: not asked from the studio's page", 403)
        if method == "GET" and scope["path"] == "/" and self._fits(_token(scope)):
            answer = HTMLResponse(WELCOME)
            answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
            return answer
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("another site asked for this", 403)
        if not self._fits(self._cookie_of(headers)):
            return PlainTextResponse("open the address that `autopilot studio` printed: it has the token", 403)
        return None

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _cookie_of(self, headers: Headers) -> str:
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return ""
        return str(cookie.value) if cookie else ""


def _token(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    try:
        return parse_qs(query.decode("ascii")).get("token", [""])[0]
    except ValueError:  # no ASCII, or too many fields
        return ""
