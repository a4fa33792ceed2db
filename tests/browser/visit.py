"""A reader of the page in a real browser: what they do, what they see, and what went wrong behind it.

Selects by element id and role, and takes texts from the locales. Knows nothing of how the page is served.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Locator, Page, expect

from ui.i18n import translate

LOCALES = {"es": "es-ES", "en": "en-US"}
SLOW_MS = 30_000
LEAVING = ("console: AbortError", "console: Unexpected error Connection errored out.")
DESKTOP = (1280, 800)


class Visit:
    """One browser window with cookies of its own. `problems` collects script errors, error messages in the console
    and requests to other hosts: a test without hostile content must end with none."""

    def __init__(self, browser: Browser, url: str, language: str = "es", size: tuple[int, int] = DESKTOP) -> None:
        self.url, self.language = url, language
        self.problems: list[str] = []
        self._context = browser.new_context(locale=LOCALES[language],
                                            viewport={"width": size[0], "height": size[1]})
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(SLOW_MS)
        expect.set_options(timeout=SLOW_MS)  # its own 5 s are short on a busy machine
        self.page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        self.page.on("console", lambda message: self.problems.append(f"console: {message.text}")
                     if message.type == "error" else None)
        self.page.on("request", lambda request: self.problems.append(f"request: {request.url}")
                     if self._foreign(request.url) else None)
        self.open()

    def open(self) -> None:
        """The page, loaded, with search and model ready."""
        self.page.goto(self.url)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        self.page.wait_for_selector("#engine .pill.ready", timeout=60_000)

    def close(self) -> None:
        self._context.close()

    def text(self, key: str, **values: object) -> str:
        return translate(self.language, key, **values)

    def switch_to(self, language: str) -> None:
        """The header's switch, which loads the page anew."""
        self.language = language
        before = len(self.problems)
        with self.page.expect_navigation():
            self.page.locator(f"#language button[data-language={language}]").click()
        self._loaded_anew(before)

    def reload(self) -> None:
        """Load the page anew."""
        before = len(self.problems)
        self.page.reload()
        self._loaded_anew(before)

    def _loaded_anew(self, before: int) -> None:
        # A page that is left while it listens complains of it; the browser shows that to nobody.
        self.problems[before:] = [problem for problem in self.problems[before:] if not problem.startswith(LEAVING)]
        self.wait_until_ready()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=self.text(f"tabs.{name}"), exact=True).click()

    # Documents.

    def drop(self, *files: Path) -> None:
        self.page.set_input_files("#drop-documents input[type=file]", [str(file) for file in files])

    def row(self, name: str) -> Locator:
        """The line of a document in the table."""
        return self.page.locator("#documents tbody tr").filter(
            has=self.page.get_by_text(name, exact=True))

    def expect_state(self, name: str, state: str) -> None:
        badge = self.row(name).locator(f".badge.{state}")
        expect(badge).to_have_text(self.text(f"documents.state_{state}"), timeout=SLOW_MS)

    # Chat.

    @property
    def question(self) -> Locator:
        return self.page.locator("#question textarea")

    @property
    def send(self) -> Locator:
        return self.page.locator("#question button.submit-button")

    @property
    def stop(self) -> Locator:
        return self.page.locator("#question button.stop-button")

    @property
    def answers(self) -> Locator:
        return self.page.locator("#messages .bot.message")

    def ask(self, question: str) -> None:
        """Ask, and see the question among the messages; the answer is being written then."""
        asked = self.page.locator("#messages .user.message")
        before = asked.count()
        self.submit(question)
        expect(asked).to_have_count(before + 1, timeout=SLOW_MS)

    def submit(self, question: str) -> None:
        self.question.fill(question)
        self.question.press("Enter")

    def pick(self, model: str) -> None:
        """Choose a model, and see it in the header."""
        self.page.locator("#model input").click()
        self.page.get_by_role("option", name=model).click()
        expect(self.page.locator("#engine")).to_contain_text(model)

    def engine_drawer(self, fold: str) -> None:
        """The panel of models, with one of its folds open."""
        self.page.locator("#engine button").click()
        self.page.locator(f"#{fold} > button").click()

    def wait_for_answer(self) -> None:
        """The answer is finished when the send button is back."""
        expect(self.stop).to_be_hidden(timeout=SLOW_MS)
        expect(self.send).to_be_visible(timeout=SLOW_MS)

    def _foreign(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc
