"""Answers requests for the pages of a running measurement, and refuses all others.

A Request comes in, and a Response goes out; sockets are the matter of `server`. The address of each page has a token
that only the user knows. No part of an address reaches the file system.

Problem: any page in the user's browser can send requests to the loopback address, and so can other users' programs.
Solution: a request needs the token, and the Host of this server. A foreign Host is a DNS name that leads here. Requests
of other pages are refused, too: browsers mark them. A refusal has no content, and gives no reason.
"""

from __future__ import annotations

import hmac
import json
import re
from typing import NamedTuple

from instrument.report.html.rendering import INDEX, LIVE_SCRIPT, LIVE_STYLE, SCRIPT, STYLE, Renderer, static_text
from instrument.serving.documents import file_document, index_document, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from instrument.serving.samples import Sample, Samples

#: The headers of each response, also of a refusal.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HTML, _JSON = "text/html; charset=utf-8", "application/json"
_STATIC = {
    STYLE: "text/css; charset=utf-8",
    LIVE_STYLE: "text/css; charset=utf-8",
    SCRIPT: "text/javascript; charset=utf-8",
    LIVE_SCRIPT: "text/javascript; charset=utf-8",
}


class Request(NamedTuple):
    """A request: its method, its target as it was sent, and its headers in their order."""

    method: str
    target: str
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """Return the values of all headers called *name*."""
        return [value.strip() for key, value in self.headers if key.lower() == name.lower()]


class Response(NamedTuple):
    """A response: its status, the type of its content, and the content."""

    status: int
    content_type: str = "text/plain"
    body: bytes = b""


REFUSED = Response(404)


class Site:
    """The pages of *samples*, below the address of *token*, on this *port* of the loopback address."""

    def __init__(self, samples: Samples, token: str, port: int, title: str) -> None:
        self._samples, self._token, self._title = samples, token, title
        self._hosts = [f"127.0.0.1:{port}", f"localhost:{port}"]
        if port == 80:  # a browser leaves the standard port out
            self._hosts += ["127.0.0.1", "localhost"]
        self._static = {name: static_text(name).encode() for name in _STATIC}
        #: The renderer of the newest report that a page was asked of.
        self._renderer: tuple[Sample, Renderer] | None = None

    def answer(self, request: Request) -> Response:
        """Return the response to *request*."""
        rest = self._rest_of_address(request)
        if rest is None or request.method != "GET":
            return REFUSED
        name, _, query = rest.partition("?")
        if name in _STATIC:
            return Response(200, _STATIC[name], self._static[name])
        if query and not re.fullmatch("since=[0-9]{1,15}", query):
            return REFUSED
        since = int(query.partition("=")[2] or 0)
        sample = self._samples.latest()
        if name in ("", INDEX):
            return self._page(sample, "")
        if name == "index.json":
            return _json(index_document(sample) if sample else state(None, self._samples.reason))
        stem, _, suffix = name.rpartition(".")
        if sample is None or stem not in sample.report.files():
            return REFUSED
        if suffix == "html":
            return self._page(sample, stem)
        return _json(file_document(self._samples, sample, stem, since)) if suffix == "json" else REFUSED

    def _rest_of_address(self, request: Request) -> str | None:
        """Return the rest of the address of *request* after the token, None if the request is refused."""
        _, _, path = request.target.partition("/")
        token, slash, rest = path.partition("/")
        has_token = hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token.encode())
        hosts, origins, sites = (request.values(name) for name in ("Host", "Origin", "Sec-Fetch-Site"))
        is_for_here = len(hosts) == 1 and hosts[0].lower() in self._hosts
        is_from_here = all(origin == f"http://{host}" for origin in origins for host in hosts)
        is_of_own_page = all(site in ("same-origin", "none") for site in sites)
        if has_token and slash and request.target.startswith("/") and is_for_here and is_from_here and is_of_own_page:
            return rest
        return None

    def _page(self, sample: Sample | None, name: str) -> Response:
        """Return the page called *name*, the index if that is empty."""
        if sample is None:
            text = _waiting(self._title, self._samples.reason)
        elif name:
            page = self._samples.page(sample, name)
            text = self._renderer_of(sample).file(page, *sample.report.neighbours(name))
        else:
            text = self._renderer_of(sample).index(sample.index_page)
        return Response(200, _HTML, text.encode("utf-8", "backslashreplace"))

    def _renderer_of(self, sample: Sample) -> Renderer:
        """Return the renderer for *sample*. Templates are compiled once for each report."""
        known = self._renderer
        if known is None or known[0].report is not sample.report:
            known = self._renderer = sample, sample.report.renderer(is_live=True)
        return known[1]


def _waiting(title: str, reason: str) -> str:
    """Return the page that is shown before there are counts."""
    from instrument.report.html.rendering import About

    return Renderer(About(title, "", 1, ""), is_live=True).waiting(reason)


def _json(document: dict[str, Any]) -> Response:
    """Return *document* as a response. Characters outside ASCII, and those of HTML, are written as escapes."""
    text = json.dumps(document, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Response(200, _JSON, text.encode("ascii"))
