"""XQuAD as files and questions: 24 articles in English and Spanish, and what counts as a hit.

A hit is a passage of the right article that covers the answer's characters; an article's file is its paragraphs
joined by a blank line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LANGUAGES = ("en", "es")


@dataclass(frozen=True)
class Question:
    id: str  # "en-17"
    language: str
    text: str
    source: str  # the file that answers
    start: int  # of the answer in that file, characters
    end: int


@dataclass(frozen=True)
class Found:
    """A passage some search returned."""

    source: str
    start: int
    end: int


def write_articles(data: Path, folder: Path) -> list[Question]:
    """Write `<language>/<title>.txt` for every article below `folder`; returns all questions about them."""
    questions: list[Question] = []
    for language in LANGUAGES:
        articles = json.loads((data / f"xquad.{language}.dev.json").read_text(encoding="utf-8"))["data"]
        (folder / language).mkdir(parents=True)
        for article in articles:
            source = f"{language}/{article['title']}.txt"
            paragraphs = [paragraph["context"] for paragraph in article["paragraphs"]]
            (folder / source).write_bytes("\n\n".join(paragraphs).encode("utf-8"))
            begin = 0
            for paragraph in article["paragraphs"]:
                for asked in paragraph["qas"]:
                    answer = asked["answers"][0]
                    start = begin + answer["answer_start"]
                    questions.append(Question(f"{language}-{len(questions)}", language, asked["question"], source,
                                              start, start + len(answer["text"])))
                begin += len(paragraph["context"]) + 2
    return questions


def recall(questions: Sequence[Question], found: Mapping[str, Sequence[Found]], language: str, count: int) -> float:
    """R@count: the share of a language's questions with a hit among their first `count` passages."""
    asked = [question for question in questions if question.language == language]
    return sum(any(answers(question, passage) for passage in found[question.id][:count]) for question in asked
               ) / len(asked)


def answers(question: Question, passage: Found) -> bool:
    return (passage.source == question.source and passage.start <= question.start
            and question.end <= passage.end)
