"""A self-contained HTML page: styles and script are inside, and its policy lets it load nothing else."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from dbxdec.views.graph import STYLE as DAG_STYLE

_STYLE = """\
:root { color-scheme: light dark; --ground: #fff; --ink: #1d2433; --faint: #5b667a; --rule: #dde2ea; --soft: #f5f7fb;
  --good: #1a7f37; --bad: #cf222e; --late: #9a6700; --idle: #6b7586 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #12161f; --ink: #e7ebf3; --faint: #a3adc2; --rule: #2c3445; --soft: #1b212d;
    --good: #3fb950; --bad: #ff6a60; --late: #d29922; --idle: #8b95aa }
}
* { box-sizing: border-box }
html { scroll-padding-top: .6rem }
body { margin: 0 auto; max-width: 76rem; padding: 1rem 1rem 4rem; font: 15px/1.45 system-ui, sans-serif;
  background: var(--ground); color: var(--ink); overflow-wrap: anywhere }
h1 { font-size: 1.4rem; margin: 0; display: flex; flex-wrap: wrap; align-items: center; gap: .2rem .7rem }
h2 { font-size: 1.05rem; margin: 2rem 0 .6rem }
p { margin: .3rem 0 }
.about { white-space: pre-line }
a { color: inherit }
code, pre, .place { font: 12px/1.45 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }
.faint { color: var(--faint) }
.good { color: var(--good) } .bad { color: var(--bad) } .late { color: var(--late) } .idle { color: var(--idle) }
.pill { font-size: .8rem; font-weight: 600; border: 1.5px solid; border-radius: 1rem; padding: .05rem .6rem }
.wide { overflow-x: auto; padding-bottom: .3rem }
.wide svg { display: block; max-width: 100%; height: auto }
dl { display: grid; grid-template-columns: fit-content(42%) minmax(0, 1fr); gap: .15rem 1rem; margin: .5rem 0 }
dt { color: var(--faint) }
dd { margin: 0 }
details { border: 1px solid var(--rule); border-radius: 8px; margin: .4rem 0; padding: 0 .8rem }
details[open] { padding-bottom: .8rem }
details:target { border-color: var(--ink) }
summary { cursor: pointer; padding: .5rem 0; display: flex; flex-wrap: wrap; gap: 0 .8rem; align-items: baseline }
pre { background: var(--soft); border-radius: 6px; padding: .6rem; overflow: auto; max-height: 30rem; margin: .4rem 0 }
button { font: inherit; font-size: .85rem; color: var(--faint); background: none; border: 1px solid var(--rule);
  border-radius: 6px; padding: .1rem .6rem; cursor: pointer }
.head { display: flex; justify-content: space-between; align-items: baseline }
@media (max-width: 600px) { pre { white-space: pre-wrap; overflow-wrap: anywhere } body { padding: .8rem .8rem 3rem } }
"""
# A click on a task in the picture opens its details below; a button opens or closes all.
_SCRIPT = """\
const all = [...document.querySelectorAll("details")]
const show = () => {
  const found = document.getElementById(decodeURIComponent(location.hash.slice(1)))
  if (found && found.tagName === "DETAILS") { found.open = true; found.scrollIntoView({ block: "start" }) }
}
addEventListener("hashchange", show)
show()
for (const button of document.querySelectorAll("button")) button.addEventListener("click", () => {
  const open = !all.every(one => one.open)
  for (const one of all) one.open = open
})
"""


def arrows(name: str) -> str:
    """Return the name of a fact of `texts.facts` with real arrows, for a page."""
    return name.replace("<-", "←").replace("->", "→")


def generator(kind: str) -> str:
    """Return the line by which pages of this kind are recognised."""
    return f'<meta name="generator" content="dbxdec {kind}">'


def document(title: str, body: str, *, kind: str, style: str = "") -> str:
    """Return a complete page of this kind around `body`, which is HTML."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{generator(kind)}\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}{DAG_STYLE}{style}</style>\n</head>\n"
        f"<body>\n{body}\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )
