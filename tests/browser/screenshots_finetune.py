"""Pictures of the Fine-tune tab, whole page: `python -m tests.browser.screenshots_finetune FOLDER [PART…]`.

Before, during and after a run, one that broke off, two compared, examples with wrong rows: both languages, light and
dark, desktop and phone. The runs are folders as a worker leaves them, so that nothing has to be trained. PART names
the moments wanted, and may name looks too: `during es-phone`.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from core.finetune.config import TrainConfig
from core.finetune.events import EventWriter
from tests.browser.screenshots import SIZES, Look, open_page, open_tab
from tests.conftest import BROWSER_FLAGS, browser_path
from tests.ollama_server import OllamaServer
from tests.running_app import RunningApp
from tests.tiny_model import make_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MODELS = ("Qwen/Qwen3-0.6B", "bolsillo-y-taller/Qwen3-1.7B-instrucciones-en-castellano-v2")
ANSWERS = (
    ("¿Cada cuánto se revisa la bomba X22?", "La bomba debe revisarse periódicamente.",
     "Cada 220 horas de funcionamiento.", "Cada 220 horas de funcionamiento; se anota en el libro."),
    ("Resume en una frase: el filtro doble se limpia cada 310 horas.", "Resumen: el filtro.",
     "El filtro doble, cada 310 horas.", "Se limpia cada 310 horas."),
)


def main(arguments: list[str]) -> None:
    target = Path(arguments[0])
    target.mkdir(parents=True, exist_ok=True)
    looks = [Look(language, size, dark) for language in ("es", "en") for size in SIZES for dark in (False, True)]
    with tempfile.TemporaryDirectory() as folder, OllamaServer({"gpt-oss:20b": {}}) as ollama:
        model = make_tiny_model(Path(folder) / "Qwen3-0.6B-tiny")
        with RunningApp(Path(folder), ollama_url=ollama.url) as app:
            take_all(app, model, target, looks, set(arguments[1:]))


def take_all(app: RunningApp, model: Path, target: Path, looks: list[Look], wanted: set[str]) -> None:
    from playwright.sync_api import sync_playwright

    runs = app.folder / "gpt_oss_fine_tuned"
    moments: dict[str, tuple[Callable[[], object], Callable[[Page], None]]] = {
        "empty": (lambda: None, nothing),
        "before": (lambda: None, lambda page: fill_form(page, app.folder, model)),
        "during": (lambda: training(runs / "2026-11-22-0931-qwen3-0.6b"), nothing),
        "broken": (lambda: made(runs / "2026-11-22-1001-qwen3-1.7b-instrucciones-en-castellano", MODELS[1], 31,
                                failed=("train_out_of_memory", {"model": MODELS[1], "batch_size": 4,
                                                                "max_length": 1024})), nothing),
        "after": (lambda: made(runs / "2026-11-22-1114-qwen3-0.6b", MODELS[0], 90, finished=True), nothing),
        "compared": (lambda: None, compare),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=list(BROWSER_FLAGS))
        for name, (prepare, act) in moments.items():
            held = prepare()
            for look in looks:
                if asked_for(name, wanted & set(moments)) and asked_for(look.suffix, wanted - set(moments)):
                    take(browser, app, look, act, target / f"finetune-{name}-{look.suffix}.png")
            if isinstance(held, FileLock):
                held.release()
        browser.close()


def asked_for(name: str, wanted: set[str]) -> bool:
    return not wanted or any(name.startswith(one) for one in wanted)


def take(browser: Browser, app: RunningApp, look: Look, act: Callable[[Page], None], path: Path) -> None:
    page = open_page(browser, app, look)
    open_tab(page, "finetune", look.language)
    page.wait_for_selector("#run-status :is(.run, .empty)", timeout=120_000)
    act(page)
    page.wait_for_timeout(1500)  # curves and tables are drawn within a second
    page.screenshot(path=path, full_page=True)
    page.context.close()


def nothing(page: Page) -> None:
    """The page as it opens."""


def fill_form(page: Page, folder: Path, model: Path) -> None:
    """Examples with wrong rows, and a model in a folder; later windows find them filled in."""
    if not page.locator("#dataset-summary .notice.done").is_visible():
        path = folder / "preguntas-y-respuestas-del-manual-de-mantenimiento-de-bombas.jsonl"
        rows = [{"instruction": f"¿Cuánto es {number} más uno?" + " Explícalo." * (number % 9),
                 "output": f"Es {number + 1}."} for number in range(120)]
        lines = [json.dumps(row, ensure_ascii=False) for row in [*rows, rows[4], rows[7]]]
        lines[2:2], lines[6:6] = ["{no es json"], ['{"instruction": "¿sin respuesta?"}']
        path.write_text("\n".join(lines), encoding="utf-8")
        page.set_input_files("#drop-dataset input[type=file]", str(path))
        field = page.locator("#base-model input")
        field.fill(str(model))
        field.press("Enter")
    page.wait_for_selector("#dataset-lengths .histogram", timeout=120_000)
    page.wait_for_selector("#verdict .memory")
    page.locator("#advanced > button").click()


def compare(page: Page) -> None:
    page.locator("#runs tbody tr").nth(1).locator("summary").click()
    page.locator("#runs tbody tr").nth(1).locator("[data-act=compare]").click()
    page.wait_for_selector("#run-result .differences")


def training(folder: Path) -> FileLock:
    """A run whose worker lives, as far as can be seen, while the lock is held."""
    lock = FileLock(folder / "worker.lock")
    folder.mkdir(parents=True)
    lock.acquire()
    made(folder, MODELS[0], 47)
    return lock


def made(folder: Path, model: str, steps: int, *, finished: bool = False,
         failed: tuple[str, dict[str, Any]] | None = None) -> Path:
    """A run of 90 steps that came as far as `steps`."""
    (folder / "adapter").mkdir(parents=True, exist_ok=True)
    about = {"title": "", "created": time.time(), "dataset": {"name": "preguntas-del-manual.jsonl", "examples": 120}}
    config = TrainConfig(model=model, batch_size=2 if failed else 4, max_length=512 if failed else 1024)
    for name, text in (("about.json", json.dumps(about)), ("config.json", json.dumps(config.to_dict())),
                       ("dataset.jsonl", '{"instruction": "a", "output": "b"}\n'),
                       ("log.txt", "".join(f"{{'loss': '{loss_at(step):.3f}', 'epoch': '{step / 30:.2f}'}}\n"
                                           for step in range(1, steps + 1)))):
        (folder / name).write_text(text, encoding="utf-8")
    writer = EventWriter(folder / "events.jsonl")
    writer.write("start", total_steps=90, rows=108, held_out_rows=12, shortened_rows=3, matched_modules=112,
                 target_modules=["q_proj", "k_proj", "v_proj", "o_proj"], device="cpu", precision="bf16",
                 bytes_4bit=248_000_000, bytes_other=312_000_000)
    writer.write("state", state="training")
    for step in range(1, steps + 1):
        writer.write("step", step=step, total=90, loss=loss_at(step), learning_rate=2e-4 * (1 - step / 90),
                     seconds=4.2 * step, tokens_per_second=151.4, memory_bytes=1_920_000_000)
        if step % 9 == 0:
            writer.write("eval", step=step, total=90, loss=loss_at(step) * 1.06, seconds=4.2 * step)
    if failed:
        writer.write("failed", code=failed[0], values=failed[1])
    if finished:
        (folder / "adapter" / "adapter_config.json").write_text("{}", encoding="utf-8")
        samples = [dict(zip(("prompt", "base", "tuned", "expected"), one, strict=True)) for one in ANSWERS]
        writer.write("result", verdict="helped", base_loss=2.914, tuned_loss=1.206, rows=12, held_out=True,
                     samples=samples)
        writer.write("finished", final_loss=loss_at(steps), seconds=4.2 * steps)
    return folder


def loss_at(step: int) -> float:
    """A curve that falls, and trembles as curves do."""
    return round(1.0 + 2.1 * math.exp(-step / 28) + 0.12 * math.sin(step * 1.7) * math.cos(step * 0.9), 4)


if __name__ == "__main__":
    main(sys.argv[1:])
