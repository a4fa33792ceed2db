"""The login page: a form without a script, in one language, that says nothing of what is behind it."""

from __future__ import annotations

from html import escape

from ui.i18n import translate

_STYLE = """
:root { color-scheme: light dark; --back: #f8fafc; --card: #fff; --text: #0f172a; --soft: #64748b; --line: #cbd5e1;
  --accent: #4f46e5; --wrong: #b91c1c; }
@media (prefers-color-scheme: dark) { :root { --back: #0b1120; --card: #1e293b; --text: #f1f5f9; --soft: #94a3b8;
  --line: #475569; --wrong: #fca5a5; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: var(--back); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { width: min(24rem, calc(100vw - 2rem)); padding: 2rem; border: 1px solid var(--line); border-radius: 12px;
  background: var(--card); }
h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
p { margin: 0 0 1.25rem; color: var(--soft); font-size: .95rem; }
p.wrong { color: var(--wrong); font-weight: 600; }
label { display: block; margin-bottom: 1rem; font-weight: 600; font-size: .95rem; }
input { display: block; width: 100%; margin-top: .3rem; padding: .65rem .75rem; border: 1px solid var(--line);
  border-radius: 8px; background: var(--back); color: inherit; font: inherit; }
button { width: 100%; padding: .7rem; border: 0; border-radius: 8px; background: var(--accent); color: #fff;
  font: inherit; font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
"""


def login_page(language: str, *, wrong: bool = False) -> str:
    """The whole page; `wrong` after a try that failed."""
    def text(key: str) -> str:
        return escape(translate(language, f"login.{key}"))

    said = f'<p class="wrong" role="alert">{text("wrong")}</p>' if wrong else f"<p>{text('hint')}</p>"
    return (
        f'<!doctype html><html lang="{escape(language, quote=True)}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{text("title")}</title>'
        f'<style>{_STYLE}</style></head><body><main><h1>{text("title")}</h1>{said}'
        '<form method="post" action="/taller/login">'
        f'<label>{text("name")}<input name="name" autocomplete="username" autocapitalize="none" spellcheck="false" '
        'required autofocus></label>'
        f'<label>{text("password")}<input name="password" type="password" autocomplete="current-password" required>'
        f'</label><button>{text("enter")}</button></form></main></body></html>')
