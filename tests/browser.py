"""Opens pages in Chromium, for tests of scripts.

A page gets one more script, which the policy of the page then allows by its hash. It presses keys, and leaves its
findings in an attribute, which Chromium prints with the document.
"""

import base64
import hashlib
import html
import json
import os
import re
import subprocess

from html_pages import chromium

FLAGS = [
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--virtual-time-budget=5000"),
]

#: The functions that scripts of tests use.
HELPERS = """
const all = (selector) => [...document.querySelectorAll(selector)];
const press = (key, target = document.body) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const click = (selector) => document.querySelector(selector).click();
const seen = () => all("table.tree tbody tr:not([hidden])").map((tr) => tr.cells[0].textContent.trim());
const filter = (text) => {
  const input = document.getElementById("filter");
  input.value = text;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};
const current = () => document.querySelector(".l.current")?.id;
const later = () => new Promise((resolve) => setTimeout(resolve, 50));
const sorts = (key) => { click(`table.tree th[data-key=${key}] button`); return seen(); };
"""


def result_of(page, script, place, address="", flags=()):
    """Return the value that the body *script* of a function returns in *page*, opened at *address*, `#L12` for example.

    *flags* are more options of Chromium.
    """
    code = f"""
addEventListener("load", async () => {{
  {HELPERS}
  const main = async () => {{ {script} }};
  document.documentElement.dataset.result = JSON.stringify(await main().catch((error) => `${{error.stack}}`));
}});
"""
    allowed = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    text = page.read_text(encoding="utf-8")
    assert text.count("script-src ") == 1
    text = text.replace("script-src ", f"script-src 'sha256-{allowed}' ").replace("</head>", f"<script>{code}</script></head>")
    driven = page.with_name(f"driven-{page.name}")
    driven.write_text(text, encoding="utf-8")
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [chromium(), *FLAGS, *flags, *sandbox, f"--user-data-dir={place}/profile", "--dump-dom", f"{driven.as_uri()}{address}"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    document, messages = done.stdout.decode(), done.stderr.decode(errors="replace")
    assert [line for line in messages.splitlines() if "CONSOLE" in line] == []
    found = re.search(r'<html [^>]*data-result="([^"]*)"', document)
    assert found, messages
    return json.loads(html.unescape(found[1]))
