"""Requests that get a page, requests that are refused, and the content of pages."""

import json
from pathlib import Path

import pytest
from html_pages import HOSTILE, Page, analysed
from hypothesis import given
from hypothesis import strategies as st
from reporting import in_own_folder as in_own_folder
from sampled import hostile_report, report_on, sample_of, samples_of

from instrument.serving.samples import Samples
from instrument.serving.site import HEADERS, REFUSED, Request, Site, _json

TOKEN = "Zm9v-YmFyYmF6_cXV4cXV1eGNvcmdlZ3JhdWx0Z2FycGx"
PORT = 8123
HOST = ("Host", f"127.0.0.1:{PORT}")


@pytest.fixture
def site():
    """A site with one file."""
    return Site(samples_of(sample_of(report_on(analysed("a.py", "x = 1\n", {1: 5}, {})))), TOKEN, PORT, "Title")


def get(site, page="", *headers, token=TOKEN, method="GET", host=HOST):
    """Return the response to a request for *page* below *token*."""
    return site.answer(Request(method, f"/{token}/{page}", [host, *headers]))


def test_the_pages_and_their_files(site):
    """The index has two addresses; each page has a document."""
    [name] = site._samples.latest().report.files()
    for page, kind in {
        **dict.fromkeys(("", "index.html", f"{name}.html"), "text/html"),
        **dict.fromkeys(("index.json", "index.json?since=3", f"{name}.json", f"{name}.json?since=0"), "application/json"),
        **dict.fromkeys(("report.js", "live.js"), "text/javascript"),
        **dict.fromkeys(("report.css", "live.css"), "text/css"),
    }.items():
        response = get(site, page)
        assert (response.status, response.content_type.partition(";")[0]) == (200, kind), page
        assert response.body


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.swapcase(), "é" * 43, "\udcff", f"./{TOKEN}", f"%2e/{TOKEN}"])
def test_a_wrong_token_is_refused(site, token):
    """The refusal has no content."""
    assert get(site, token=token) == REFUSED
    assert (REFUSED.status, REFUSED.body) == (404, b"")


@pytest.mark.parametrize("target", ["", "/", TOKEN, f"/{TOKEN}", f"{TOKEN}/", f"//{TOKEN}/", f"http://127.0.0.1:{PORT}/{TOKEN}/", "*"])
def test_other_addresses_are_refused(site, target):
    """The address begins with the token, and a slash follows it."""
    assert site.answer(Request("GET", target, [HOST])) == REFUSED


@pytest.mark.parametrize(
    "hosts",
    [[], ["evil.example"], [f"evil.example:{PORT}"], ["127.0.0.1"], ["127.0.0.1:1"], [f"127.0.0.1:{PORT}.evil.example"],
     [f"[::1]:{PORT}"], [f"0.0.0.0:{PORT}"], [f"127.0.0.1:{PORT}"] * 2, [f"127.0.0.1:{PORT}", "evil.example"]],
)  # fmt: skip
def test_a_foreign_host_is_refused(site, hosts):
    """A DNS name that leads to this machine gets no page (DNS rebinding); nor does a request with two names."""
    assert site.answer(Request("GET", f"/{TOKEN}/", [("host", host) for host in hosts])) == REFUSED


def test_both_names_of_this_machine_are_known(site):
    """The name localhost has the same pages, in any case of letters."""
    assert get(site, host=("host", f"LocalHost:{PORT}")).status == 200


@pytest.mark.parametrize(
    ("header", "value", "status"),
    [
        ("Origin", f"http://127.0.0.1:{PORT}", 200),
        ("Origin", f"http://localhost:{PORT}", 404),
        ("Origin", f"https://127.0.0.1:{PORT}", 404),
        ("Origin", "http://127.0.0.1:1", 404),
        ("Origin", "https://evil.example", 404),
        ("Origin", "null", 404),
        ("Sec-Fetch-Site", "none", 200),
        ("Sec-Fetch-Site", "same-origin", 200),
        ("Sec-Fetch-Site", "same-site", 404),
        ("Sec-Fetch-Site", "cross-site", 404),
    ],
)
def test_requests_of_other_sites_are_refused(site, header, value, status):
    """Also with the right token, and in any case of the header's letters."""
    assert get(site, "", (header, value)).status == status
    assert get(site, "index.json", (header.upper(), value)).status == status


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", ""])
def test_only_get_is_answered(site, method):
    """No other method has a meaning here."""
    assert get(site, method=method) == REFUSED


@pytest.mark.parametrize(
    "page",
    ["../index.html", "index.html/", "a.py", "/etc/passwd", "..%2f..%2fetc/passwd", ".html", ".json", "__init__.py", "Report.css",
     "templates/single.html", "index.json?since=-1", "index.json?since=1&since=2", "index.json?x", f"index.json?since={'9' * 5000}",
     "index.json?since=1\n", "index.json?since=٣", "index.HTML", "\0", "report.css\0"],
)  # fmt: skip
def test_unknown_pages_are_refused(site, page):
    """No part of an address is a path of a file."""
    assert get(site, page) == REFUSED


@given(st.text(max_size=30))
def test_no_text_gets_a_page_without_the_token(target):
    """Whatever the target is, the response is the refusal."""
    assert Site(Samples(), TOKEN, PORT, "Title").answer(Request("GET", f"/{target}", [HOST])) == REFUSED


def test_headers_restrict_the_browser():
    """A page is in no frame, runs no other scripts, and is read by no other site."""
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert {key: HEADERS[key] for key in ("Referrer-Policy", "X-Content-Type-Options", "Cache-Control", "Cross-Origin-Resource-Policy")} == {
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    assert not [name for name in HEADERS if name.lower().startswith("access-control")]


def test_without_data_a_page_says_why():
    """The reason is escaped, and the document has no numbers."""
    samples = Samples()
    samples.reason = HOSTILE
    site = Site(samples, TOKEN, PORT, HOSTILE)
    page = Page(get(site).body.decode())
    assert HOSTILE in page.text
    assert [attributes.get("src") for tag, attributes in page.tags if tag in ("script", "img")] == ["report.js", "live.js"]
    document = json.loads(get(site, "index.json").body)
    assert (document["sample"], document["reason"]) == (0, HOSTILE)
    assert get(site, "a-0.html") == REFUSED


def test_hostile_names_and_sources_are_escaped():
    """In pages and documents, names of files and functions, sources, titles and notices are texts."""
    report = hostile_report()
    site = Site(samples_of(sample_of(report, notices=(HOSTILE,))), TOKEN, PORT, HOSTILE)
    for name in ["index", *report.files()]:
        page = Page(get(site, f"{name}.html").body.decode())
        scripts = [attributes.get("src") for tag, attributes in page.tags if tag == "script" and "type" not in attributes]
        assert scripts == ["report.js", "live.js"]
        assert not [tag for tag, _ in page.tags if tag == "img"]
        body = get(site, f"{name}.json").body
        assert body.isascii()
        assert not set(b"<>&") & set(body)
        assert json.loads(body)["notices"] == [HOSTILE]
    hot = json.loads(get(site, "index.json").body)["rates"]["functions"]
    assert any("<script>alert(1)</script>" in row[2] for row in hot)


@given(st.recursive(st.text() | st.integers() | st.none(), lambda each: st.lists(each) | st.dictionaries(st.text(), each)))
def test_documents_are_plain_ascii(value):
    """A document has no character of HTML, and reads as the same value."""
    body = _json({"value": value}).body
    assert body.isascii()
    assert not set(b"<>&") & set(body)
    assert json.loads(body) == {"value": value}


def test_pages_do_not_need_the_sources_of_the_site():
    """All files that the pages name are served."""
    report = hostile_report()
    site = Site(samples_of(sample_of(report)), TOKEN, PORT, "Title")
    for name in ["index", *report.files()]:
        page = Page(get(site, f"{name}.html").body.decode())
        links = [attributes.get("href") or attributes.get("src") for tag, attributes in page.tags if tag in ("link", "script", "a")]
        for link in filter(None, links):
            if not link.startswith(("#", "data:")):
                assert get(site, link.partition("#")[0]).status == 200, link
    assert not Path("report.css").exists()
