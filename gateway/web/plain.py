"""Pages without scripts: how they look, and what they may do."""

from __future__ import annotations

from aiohttp import web

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--accent:#2563eb}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,sans-serif;margin:0;display:grid;grid-template-columns:16rem 1fr}
nav{border-right:1px solid var(--line);padding:1.5rem 1rem;position:sticky;top:0;height:100vh;
overflow:auto;font-size:13px}
nav h2{font-size:12px;text-transform:uppercase;letter-spacing:.06em;margin:1.2rem 0 .3rem;opacity:.7}
nav a{display:block;color:inherit;text-decoration:none;padding:.1rem 0;white-space:nowrap;
overflow:hidden;text-overflow:ellipsis}
nav a:hover{color:var(--accent)}
main{padding:2rem 2.5rem 6rem;max-width:62rem;min-width:0}
h1{margin:0 0 .5rem}h2.tag{margin:2.5rem 0 .5rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:8px;margin:.5rem 0;background:var(--soft)}
summary{cursor:pointer;padding:.6rem .9rem;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
summary code{font-size:14px}summary span{opacity:.75}
.m{font:700 12px ui-monospace,monospace;min-width:4.2rem;color:var(--accent)}
.in{padding:0 1rem 1rem}table{border-collapse:collapse;width:100%;font-size:13.5px}
td,th{text-align:left;padding:.3rem .6rem;border-top:1px solid var(--line);vertical-align:top}
pre{overflow:auto;background:var(--soft);border:1px solid var(--line);border-radius:6px;
padding:.7rem;font-size:12.5px}
@media(max-width:800px){body{display:block}nav{display:none}main{padding:1rem}}
@media(max-width:600px){tr{display:block;border-top:1px solid var(--line);padding:.4rem 0}th{display:none}
td{display:inline-block;border:0;padding:.1rem .6rem .1rem 0;max-width:100%}
code{overflow-wrap:anywhere}}
"""


def plain_page(title: str, content: str) -> web.Response:
    """A page of HTML around its content, which is HTML too."""
    text = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}body{{display:block}}</style>"
        f"<main><h1>{title}</h1>{content}</main></html>"
    )
    headers = {"Content-Security-Policy": POLICY, "Vary": "Accept"}
    return web.Response(text=text, content_type="text/html", headers=headers)
