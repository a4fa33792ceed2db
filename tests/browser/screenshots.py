"""The README's pictures, taken of the real page: `python -m tests.browser.screenshots [FOLDER [SUBJECT …]]`.

Starts Taller on a fresh folder with a test server in Ollama's place, adds documents, asks, trains a tiny model, and
looks: both languages, light and dark, desktop and phone. Subjects are chat, documents and finetune; where some are
named, theirs alone are taken, into FOLDER. The whole set takes some minutes, and puts the README's own pictures into
`ui/screenshots/`.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.conftest import BROWSER_FLAGS, PROJECT, browser_path
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp
from tests.sample_files import broken_pdf, make_pdf
from tests.tiny_model import make_tiny_model
from ui.i18n import translate

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

SMALL_MODEL, PULLED = "llama3.2:3b", "qwen3:30b"
MODELS: dict[str, dict[str, Any]] = {
    "gpt-oss:20b": {"family": "gptoss", "size": 13_780_000_000, "capabilities": ["completion", "thinking"]},
    SMALL_MODEL: {"size": 2_020_000_000, "context": 1024},
}
# Large: each look carries on where the last one cancelled.
CATALOGUE: dict[str, dict[str, Any]] = {PULLED: {"family": "qwen3", "size": 18_600_000_000}}
README_PICTURES = PROJECT / "ui" / "screenshots"
SIZES = {"desktop": (1280, 800), "phone": (390, 844)}
MANUAL = (
    "Manual de mantenimiento de bombas. Este manual describe el cuidado de las bombas de la planta y es obligatorio "
    "para todo el personal técnico.",
    "Capítulo 2. Mantenimiento. La bomba X21 debe revisarse cada 210 horas de funcionamiento. La bomba X22 debe "
    "revisarse cada 220 horas de funcionamiento y la revisión se anota en el libro de mantenimiento. El técnico "
    "responsable firma cada revisión antes de volver a ponerla en marcha. La bomba X31 lleva un filtro doble que se "
    "limpia cada 310 horas.",
)
HANDBOOK = (
    "Pump maintenance handbook. This handbook describes the care of the plant's pumps and binds all technical staff.",
    "Chapter 2. Maintenance. Pump X21 must be checked every 210 hours of operation. Pump X22 must be checked every 220 "
    "hours of operation, and each check is noted in the maintenance book. The technician in charge signs every check "
    "before the pump is started again. Pump X31 has a double filter that is cleaned every 310 hours.",
)
QUESTIONS = {"es": "¿Cada cuánto se revisa la bomba X22?", "en": "How often is pump X22 checked?"}
REPLIES = {
    "es": "La bomba **X22** debe revisarse cada **220 horas** de funcionamiento, y la revisión se anota en el libro de "
          "mantenimiento [1].\n\n| Bomba | Horas |\n|---|---|\n| X21 | 210 |\n| X22 | 220 |\n| X31 | 310 |\n\nEl "
          "técnico responsable firma cada revisión [1].",
    "en": "Pump **X22** must be checked every **220 hours** of operation, and each check is noted in the maintenance "
          "book [1].\n\n| Pump | Hours |\n|---|---|\n| X21 | 210 |\n| X22 | 220 |\n| X31 | 310 |\n\nThe technician in "
          "charge signs every check [1].",
}

THOUGHTS = {"es": "La pregunta es por la revisión de la X22. El manual lo dice en su capítulo 2.",
            "en": "The question is about checking the X22. The handbook says so in its chapter 2."}


@dataclass(frozen=True)
class Look:
    """How a picture is taken."""

    language: str
    size: str
    dark: bool

    @property
    def suffix(self) -> str:
        return f"{self.language}-{self.size}-{'dark' if self.dark else 'light'}"


def main(arguments: list[str]) -> None:
    target = Path(arguments[0]) if arguments else Path(tempfile.mkdtemp())
    subjects = arguments[1:] or list(SUBJECTS)
    if unknown := set(subjects) - set(SUBJECTS):
        sys.exit(f"Not among {', '.join(SUBJECTS)}: {', '.join(sorted(unknown))}")
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, OllamaServer(MODELS, catalogue=CATALOGUE) as ollama:
        workplace = Path(folder)
        make_tiny_model(workplace / "tiny-model")
        samples = make_documents(workplace / "samples")
        with RunningApp(workplace, ollama_url=ollama.url) as app:
            take_all(app, ollama, samples, target, subjects)
    if arguments[1:]:
        return
    for language, suffix in (("en", ""), ("es", "-es")):
        for name in ("chat", "documents", "finetune"):
            README_PICTURES.mkdir(exist_ok=True)
            shutil.copyfile(target / f"{name}-{language}-desktop-light.png", README_PICTURES / f"{name}{suffix}.png")


def make_documents(folder: Path) -> list[Path]:
    """A few documents as an office has them, one of them broken."""
    folder.mkdir()
    (folder / "vacaciones.txt").write_text("Cada persona tiene 23 días laborables de vacaciones al año. Se piden con "
                                           "dos semanas de antelación.", encoding="utf-8")
    (folder / "warranty.md").write_text("# Warranty\n\nEvery pump is covered for 36 months from delivery. Keep the "
                                        "invoice.", encoding="utf-8")
    return [make_pdf(folder / "Manual de mantenimiento.pdf", MANUAL),
            make_pdf(folder / "Maintenance handbook.pdf", HANDBOOK), make_pdf(folder / "plano escaneado.pdf", [""]),
            broken_pdf(folder / "factura 2026-114.pdf"), folder / "vacaciones.txt", folder / "warranty.md"]


def take_all(app: RunningApp, ollama: OllamaServer, samples: list[Path], target: Path, subjects: list[str]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(BROWSER_FLAGS))
        first = open_page(browser, app, Look("es", "desktop", dark=False))
        add_documents(first, samples)
        if "finetune" in subjects:
            start_training(first, app.folder / "tiny-model", target)
        for language in ("es", "en"):
            ollama.behave(reply=REPLIES[language], thinking=THOUGHTS[language], tokens_per_second=12,
                          pull_bytes_per_second=60e6)
            for size in SIZES:
                for dark in (False, True):
                    look = Look(language, size, dark)
                    page = open_page(browser, app, look)
                    for subject in subjects:
                        SUBJECTS[subject](page, look, target)
                    page.context.close()
        browser.close()


def open_page(browser: Browser, app: RunningApp, look: Look) -> Page:
    width, height = SIZES[look.size]
    context = browser.new_context(locale="es-ES" if look.language == "es" else "en-US",
                                  viewport={"width": width, "height": height},
                                  color_scheme="dark" if look.dark else "light")
    page = context.new_page()
    page.goto(app.url)
    page.wait_for_selector("#engine .pill.ready", timeout=60_000)
    return page


def open_tab(page: Page, name: str, language: str) -> None:
    page.get_by_role("tab", name=translate(language, f"tabs.{name}"), exact=True).click()


def add_documents(page: Page, samples: list[Path]) -> None:
    open_tab(page, "documents", "es")
    page.set_input_files("#drop-documents input[type=file]", [str(path) for path in samples])
    expected = len(samples) + 2  # and the two guides
    page.wait_for_function(f"document.querySelectorAll('#documents .badge').length === {expected}", timeout=60_000)
    page.wait_for_function("!document.querySelector('#documents .badge:is(.queued,.parsing,.embedding)')",
                           timeout=60_000)


def start_training(page: Page, model: Path, target: Path) -> None:
    open_tab(page, "finetune", "es")
    page.locator("#use-sample").click()
    page.wait_for_selector("#dataset-summary .notice.done")
    field = page.locator("#base-model input")
    field.fill(str(model))
    field.press("Enter")
    page.locator("#start-training").click()
    page.wait_for_function("document.querySelectorAll('#loss-curve svg, #loss-curve canvas').length > 0",
                           timeout=120_000)
    page.screenshot(path=target / "finetune-running.png")
    page.wait_for_selector("#run-status .badge.finished", timeout=400_000)


def take_chat(page: Page, look: Look, target: Path) -> None:
    page.screenshot(path=target / f"welcome-{look.suffix}.png")
    page.locator("#question textarea").fill(QUESTIONS[look.language])
    page.keyboard.press("Enter")
    page.wait_for_selector("#messages .bot.message strong", timeout=60_000)
    page.screenshot(path=target / f"streaming-{look.suffix}.png")
    page.wait_for_selector("#question button.submit-button", timeout=60_000)
    page.wait_for_selector("#page-view img", state="attached", timeout=60_000)
    page.wait_for_timeout(800)
    page.screenshot(path=target / f"chat-{look.suffix}.png")
    page.locator("#messages .thought-group .title").first.click()
    page.wait_for_timeout(400)
    page.screenshot(path=target / f"thinking-{look.suffix}.png")
    take_drawers(page, look, target)
    take_context(page, look, target)


def take_drawers(page: Page, look: Look, target: Path) -> None:
    if look.size == "phone":
        page.locator("#messages a[href*='#source-']").first.click()
        take_drawer(page, target / f"source-{look.suffix}.png")
        page.locator("[data-drawer=list]").first.click()
        take_drawer(page, target / f"conversations-{look.suffix}.png")
    page.locator("#open-settings").click()
    take_drawer(page, target / f"settings-{look.suffix}.png")
    page.locator("#engine button").click()
    page.locator("#pull-name").locator("input, textarea").fill(PULLED)
    page.locator("#pull-start").click()
    page.wait_for_selector("#model-pulls progress[value]", timeout=60_000)
    page.wait_for_timeout(2000)  # until its speed is known
    page.screenshot(path=target / f"pull-{look.suffix}.png")
    page.locator("#model-pulls .pull button").first.click()
    page.wait_for_selector("#model-pulls progress", state="detached", timeout=60_000)
    page.keyboard.press("Escape")


def take_context(page: Page, look: Look, target: Path) -> None:
    """The meter of a model with little room, and what was left out for it."""
    page.locator("#model input").click()
    page.get_by_role("option", name=SMALL_MODEL).click()
    page.locator("#question textarea").fill(QUESTIONS[look.language])
    page.keyboard.press("Enter")
    page.wait_for_selector("#messages .user.message >> nth=1", timeout=60_000)
    page.wait_for_selector("#question button.submit-button", timeout=60_000)
    page.wait_for_timeout(800)
    page.screenshot(path=target / f"context-{look.suffix}.png")


def take_tab(name: str) -> Callable[[Page, Look, Path], None]:
    """What takes the picture of a tab."""
    def take(page: Page, look: Look, target: Path) -> None:
        open_tab(page, name, look.language)
        page.wait_for_timeout(1800)
        page.screenshot(path=target / f"{name}-{look.suffix}.png")
    return take


def take_drawer(page: Page, path: Path) -> None:
    """The drawer that is opening; it is closed afterwards."""
    page.wait_for_timeout(1200)
    page.screenshot(path=path)
    page.keyboard.press("Escape")
    page.wait_for_timeout(300)


SUBJECTS = {"chat": take_chat, "documents": take_tab("documents"), "finetune": take_tab("finetune")}

if __name__ == "__main__":
    main(sys.argv[1:])
