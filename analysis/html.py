"""A document as one HTML file that needs nothing else: neither a server nor the network."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from pathlib import Path
from typing import Any

_WEB = Path(__file__).with_name("web")
LIBRARIES = ("vendor/d3.min.js", "vendor/plot.umd.min.js")
_FILES = "state elements grid figures lines lists canvas select live start"
SCRIPTS = tuple(f"{name}.js" for name in _FILES.split())
_PACKED = 200_000  # characters of a document that is gzipped: browsers unpack it themselves
# What Plot puts into each of its drawings; without its hash the policy would forbid it.
PLOT_STYLE = """:where(.plot) {
  --plot-background: white;
  display: block;
  height: auto;
  height: intrinsic;
  max-width: 100%;
}
:where(.plot text),
:where(.plot tspan) {
  white-space: pre;
}"""
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{style}</style>
<header><h1>{title}</h1><p id="lost" role="alert"></p><div id="live"></div><div id="lines"></div>
<div id="keys" class="keys"></div></header>
<main>
<div id="side"><section id="grid"></section><section id="tray" aria-live="polite"></section></div>
<div id="views">
<section id="figure3"></section><section id="figure2"></section>
<section id="claims" class="wide"></section><section id="figure4" class="wide"></section>
<section id="parallel" class="wide"></section><section id="curves" class="wide"></section>
<section id="table" class="wide"></section><section id="provenance" class="wide"></section>
</div>
</main>
<div id="tip" role="status" hidden></div>
<noscript>This page draws itself with JavaScript.</noscript>
<script type="application/json" id="document"{kind}>{document}</script>
{scripts}
</html>
"""


def page(document: dict[str, Any]) -> str:
    """The report page of a document; the same document gives the same bytes."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    is_large = len(text) > _PACKED
    if is_large:
        text = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
    # In a script nothing but `<` could end it, or begin a comment.
    text = text.replace("<", "\\u003c")
    title = " and ".join(dict.fromkeys(sweep["sweep"] for sweep in document["sweeps"]))
    return _filled(title, text, " data-packed" if is_large else "")[0]


def live_page() -> tuple[str, str]:
    """The page that asks its server for the document, and the policy that an answer may carry."""
    made, policy = _filled("sweeper", "", " data-live", "'self'")
    return made, f"{policy}; frame-ancestors 'none'"


def _filled(title: str, document: str, kind: str, asks: str = "") -> tuple[str, str]:
    """The page and its policy."""
    style = _read("page.css")
    scripts = [*(_read(name) for name in LIBRARIES), script()]
    policy = _policy(scripts, [style, PLOT_STYLE], asks)
    made = _PAGE.format(
        policy=policy,
        title=html.escape(title),
        style=style,
        kind=kind,
        document=document,
        scripts="\n".join(f"<script>{text}</script>" for text in scripts),
    )
    return made, policy


def script() -> str:
    """The page's script: its files, one after another, in a scope of their own."""
    files = "\n".join(_read(name) for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{files}}})();\n'


def _policy(scripts: list[str], styles: list[str], asks: str) -> str:
    """Nothing is loaded from anywhere, but data from `asks`; just these scripts run."""
    return (
        f"default-src 'none'; script-src {_hashes(scripts)}; style-src {_hashes(styles)}; "
        + (f"connect-src {asks}; " if asks else "")
        + "base-uri 'none'; form-action 'none'"
    )


def _hashes(texts: list[str]) -> str:
    digests = [hashlib.sha256(text.encode()).digest() for text in texts]
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _read(name: str) -> str:
    return (_WEB / name).read_text(encoding="utf-8")
