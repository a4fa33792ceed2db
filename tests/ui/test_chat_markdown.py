"""A model's Markdown on its way to the page: tables, code and formulas stay, pictures and HTML become text."""

from __future__ import annotations

import pytest

from ui.chat_markdown import harmless, shown


@pytest.mark.parametrize("text", [
    "| a | b |\n|---|---|\n| 1 | 2 |", "line<br>line", "H<sub>2</sub>O", "[go](https://example.com)", "a < b", "5 <- 6",
    "`<b> ![x](y)`", "```html\n<img src=x> ![x](y)\n$5 and $6\n```", "costs $5 or $10", "US$ 5 y US$ 10", "$ 5 $",
    "a! [b]", "~~~\n<script>\n~~~", "``a ` <i x>``",
    "So:\n\n    <b x> ![i](j)\n\n    $a$ $b$\n\nEnd.", "    <script>", "```\nx\n```\n\n\t<a x>"])
def test_harmless_markdown_and_code_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("text", [
    "![x](http://x.invalid/a.png)", "![x][ref]\n\n[ref]: http://x.invalid/a.png", "<img src=http://x.invalid/a.png>",
    "<IMG/SRC=x onerror=y>", "<script>x</script>", "<svg onload=x>", "<b onclick=x>", "<!-- x -->", "</div>",
    "<?php ?>", "`a <img src=x>", "``\n\n<img src=x>\n\n``", "<a href=javascript:x>x</a>", "a<br onload=x>b",
    "\n> <iframe src=x>", "- a\n\n    <img src=x>", "- a\nb\n\n    <img src=x>", "1. a `b`, c\n\n    ![x](y)",
    "- a\n\n  b\n\n    <img src=x>", "text\n    <img src=x>", "* a\n\n  ```\n  x\n  ```\n\n    <img src=x>"])
def test_pictures_and_html_become_text(text: str) -> None:
    made = harmless(text)
    assert "![" not in made and "<" not in made


@pytest.mark.parametrize(("text", "made"), [
    ("$x^2$", r"\(x^2\)"), ("so $a_1 + b$.", r"so \(a_1 + b\)."), ("$$x$$", "$$x$$"), (r"\(x\)", r"\(x\)"),
    ("$a<b$", r"\(a< b\)"), ("$$a<b$$", "$$a< b$$"), (r"\$5 $x$", r"\$5 \(x\)"), ("$x$5", "$x$5"),
    ("$n![k]$", r"\(n![k]\)")])
def test_formulas_are_told_from_prices(text: str, made: str) -> None:
    assert harmless(text) == made


@pytest.mark.parametrize("text", ["[x](#source-0-1)", "[x]( #do)", "[x](<#do>)", "[x][r]\n\n[r]: #source-0-1"])
def test_a_model_makes_no_links_into_the_page(text: str) -> None:
    made = harmless(text)
    assert "](#" not in made and "]( #" not in made and "](<" not in made and "]: #" not in made


@pytest.mark.parametrize("answer", ["[1](https://example.com)", "[x]", "[12345]", "list[0", "[]"])
def test_what_is_no_citation_stays_as_it_is(answer: str) -> None:
    assert shown(answer, 0) == answer


def test_citations_become_links_outside_code() -> None:
    assert shown("So [2], `row[1]`.", 3) == "So [[2]](#source-3-2), `row[1]`."


def test_doubts_stand_behind_their_sentences_in_any_order() -> None:
    answer = "One [1]. Two $5 <x> [2]. Three."
    made = shown(answer, 0, ((9, 24), (0, 8)), 'why "so" <b>')
    mark = '<a href="#doubt" class="doubt" title="why &quot;so&quot; &lt;b&gt;">?</a>'
    assert made == f"One [[1]](#source-0-1).{mark} Two $5 &lt;x> [[2]](#source-0-2).{mark} Three."
