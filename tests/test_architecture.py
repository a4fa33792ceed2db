"""The rules the code keeps: who may import whom, which errors have words, which files the documents name.

Reads the source; only one test imports the product, in a process of its own.
"""

from __future__ import annotations

import ast
import json
import re
import string
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent

# From the foundation up: a layer may import from the ones before it, never from one beside or after it.
# core.documents and core.engines do not know each other, nor do core.chat and core.finetune.
LAYERS = (
    {"core.processes", "core.guard", "core.settings", "core.errors"},
    {"core.documents", "core.engines"},
    {"core.chat", "core.finetune"},
    {"ui"},
    {"app"},
)
MODEL_LIBRARIES = {"torch", "transformers", "sentence_transformers", "trl", "peft"}
# Only these run models, in processes of their own: the page stays light and outlives a model's crash. They
# are started by name; whatever the page's process imports must not import them.
CHILD_MODULES = {
    "core.documents.embedding_backends", "core.documents.embedding_worker", "core.engines.generation",
    "core.engines.generation_server", "core.finetune.evaluation", "core.finetune.experts",
    "core.finetune.inspect_worker", "core.finetune.loading", "core.finetune.measuring", "core.finetune.packing",
    "core.finetune.progress", "core.finetune.targets", "core.finetune.trainer", "core.finetune.worker",
}
ERRORS = {"AppError", "DocumentError", "EngineError", "TrainingError"}
MAX_LINES = 400


def sources() -> list[Path]:
    found = [*PROJECT.glob("core/**/*.py"), *PROJECT.glob("ui/**/*.py"), PROJECT / "app.py"]
    return sorted(path for path in found if path.exists())


def relative(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


every_source = pytest.mark.parametrize("path", sources(), ids=relative)


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Dotted names of everything a file imports, also inside functions; `from a import b` gives `a.b`."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            yield from (f"{base}.{alias.name}" for alias in node.names)


def is_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def layer(name: str) -> tuple[int, str] | None:
    """The place of a module in LAYERS, from the foundation, and the package that has it."""
    places = ((height, package) for height, packages in enumerate(LAYERS) for package in packages)
    return next((place for place in places if is_in(name, place[1])), None)


@every_source
def test_imports_follow_the_dependency_order(path: Path) -> None:
    own = layer(module_name(path))
    if own is None:
        assert module_name(path) == "core", f"{relative(path)} has no place in the dependency order"
        return
    for name in imported(path):
        other = layer(name)
        if other is not None and other[1] != own[1]:
            assert other[0] < own[0] or own[0] == 0 == other[0], f"{relative(path)} imports {name}"


@every_source
def test_core_knows_neither_the_page_nor_gradio(path: Path) -> None:
    if relative(path).startswith("core/"):
        for name in imported(path):
            assert not any(is_in(name, outside) for outside in ("gradio", "ui", "app")), name


@every_source
def test_models_run_in_child_processes_only(path: Path) -> None:
    if module_name(path) in CHILD_MODULES:
        return
    for name in imported(path):
        assert name.split(".")[0] not in MODEL_LIBRARIES, name
        assert not any(is_in(name, child) for child in CHILD_MODULES), name


def test_importing_every_module_of_the_page_loads_no_model_library() -> None:
    modules = sorted({module_name(path) for path in sources()} - CHILD_MODULES - {"app"})
    heavy = sorted(MODEL_LIBRARIES | {"faiss"})
    code = f"import importlib, sys; [importlib.import_module(name) for name in {modules}]; "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ran.stdout.strip() == "[]", ran.stdout + ran.stderr


@every_source
def test_a_module_says_what_it_does_and_stays_readable_in_a_sitting(path: Path) -> None:
    assert ast.get_docstring(parse(path)), "no docstring"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


# Words.


def locale(language: str) -> dict[str, str]:
    texts: dict[str, str] = json.loads((PROJECT / "ui" / "locales" / f"{language}.json").read_text("utf-8"))
    return texts


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_spanish_and_english_have_the_same_keys() -> None:
    assert set(locale("es")) == set(locale("en"))


def test_a_text_has_the_same_placeholders_in_both_languages() -> None:
    spanish, english = locale("es"), locale("en")
    different = [key for key in spanish.keys() & english.keys()
                 if placeholders(spanish[key]) != placeholders(english[key])]
    assert not different


def test_no_text_is_empty() -> None:
    for language in ("es", "en"):
        assert not [key for key, text in locale(language).items() if not text.strip()]


def raised_errors(path: Path) -> Iterator[tuple[str, int, set[str], bool]]:
    """Of every error with a literal code: code, line, names of its values, whether more come by `**`."""
    for node in ast.walk(parse(path)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        code = node.args[0]
        if name in ERRORS and isinstance(code, ast.Constant) and isinstance(code.value, str):
            values = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
            yield code.value, node.lineno, values, any(keyword.arg is None for keyword in node.keywords)


@every_source
def test_every_error_has_its_sentence_and_the_values_it_needs(path: Path) -> None:
    problems = []
    for code, line, values, open_ended in raised_errors(path):
        for language in ("es", "en"):
            sentence = locale(language).get(f"error.{code}")
            if sentence is None:
                problems.append(f"line {line}: no error.{code} in {language}.json")
            elif not open_ended and placeholders(sentence) - values:
                problems.append(f"line {line}: error.{code} needs {placeholders(sentence) - values}")
    assert not problems


@every_source
def test_every_text_asked_for_by_name_exists(path: Path) -> None:
    missing = []
    for node in ast.walk(parse(path)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) >= 2):
            continue
        key = node.args[1]
        endings = {"translate": ("",), "plural": (".one", ".many")}.get(node.func.id, ())
        if isinstance(key, ast.Constant):
            missing += [f"line {node.lineno}: {name}" for ending in endings
                        if (name := str(key.value) + ending) not in locale("es")]
    assert not missing


# Documents.


def test_every_module_the_readme_names_exists() -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    named = {name for block in fenced_blocks(readme) for name in re.findall(r"[\w/]+\.py\b", block)}
    on_disk = {relative(path) for path in PROJECT.rglob("*.py") if ".venv" not in path.parts}
    gone = {name for name in named if not any(file == name or file.endswith(f"/{name}") for file in on_disk)}
    assert not gone


def test_every_module_has_its_place_in_the_architecture_document() -> None:
    document = (PROJECT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\w+\.py\b", document))
    assert not [relative(path) for path in sources() if path.name != "__init__.py" and path.name not in named]


def fenced_blocks(text: str) -> list[str]:
    return re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
