"""What both pages have at their top: the name and the switch between languages."""

from __future__ import annotations

from ui.feedback import both
from ui.i18n import LANGUAGE_COOKIE, LANGUAGES

SWITCH_LANGUAGE = f"""
element.addEventListener('click', (event) => {{
  const button = event.target.closest('button[data-language]');
  if (!button) return;
  document.cookie = '{LANGUAGE_COOKIE}=' + button.dataset.language + ';path=/;max-age=31536000;samesite=lax';
  location.reload();
}});
element.querySelectorAll('button[data-language]').forEach((button) => {{
  button.setAttribute('aria-pressed', String(button.dataset.language === document.documentElement.lang));
}});
"""


def brand() -> str:
    return (f'<div class="brand"><span class="logo" aria-hidden="true">T</span><div><h1>Taller</h1>'
            f"<p>{both('header.tagline')}</p></div></div>")


def language_switch() -> str:
    names = {"es": "Español", "en": "English"}
    buttons = "".join(
        f'<button type="button" data-language="{language}" lang="{language}" title="{names[language]}" '
        f'aria-label="{names[language]}">{language.upper()}</button>' for language in LANGUAGES)
    return f'<div class="switch" role="group" aria-label="Español / English">{buttons}</div>'
