"""Where sentences end, in Spanish and English, and where they only seem to."""

from __future__ import annotations

import pytest

from core.engines.sentences import split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Uno. Dos. ¿Tres? ¡Cuatro!", ["Uno.", "Dos.", "¿Tres?", "¡Cuatro!"]),
        ("El Sr. Pérez llegó. La Dra. Ruiz no.", ["El Sr. Pérez llegó.", "La Dra. Ruiz no."]),
        ("Mide 3.5 metros. Pesa 1.200 kg.", ["Mide 3.5 metros.", "Pesa 1.200 kg."]),
        ("Véase el art. 5 y la pág. 12. Sigue.", ["Véase el art. 5 y la pág. 12.", "Sigue."]),
        ("Vive en EE. UU. desde 1999. Trabaja.", ["Vive en EE. UU. desde 1999.", "Trabaja."]),
        ("Fue al mar. Volvió el mar. 3 de mayo.", ["Fue al mar.", "Volvió el mar. 3 de mayo."]),
        ("Dr. Smith saw Mr. Jones. They left.", ["Dr. Smith saw Mr. Jones.", "They left."]),
        ("Read J. R. R. Tolkien. Then rest.", ["Read J. R. R. Tolkien.", "Then rest."]),
        ("See e.g. Paris. It rained in the U.S. Army.", ["See e.g. Paris.", "It rained in the U.S. Army."]),
        ("“It works.” She smiled… Then “Why?” (Nobody knew.) End", [
            "“It works.”", "She smiled…", "Then “Why?”", "(Nobody knew.)", "End",
        ]),
        ("Born in 1999. 2001 was better.", ["Born in 1999.", "2001 was better."]),
        ("", []),
        (" \n\n ", []),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_ends_them(text: str, sentences: list[str]) -> None:
    assert list(split_sentences(text)) == sentences


def test_hard_line_breaks_of_a_pdf_are_joined() -> None:
    text = "La ciudad fue fundada por los roma-\nnos en el siglo segundo antes de\nCristo con ese nombre."
    assert list(split_sentences(text)) == [
        "La ciudad fue fundada por los romanos en el siglo segundo antes de Cristo con ese nombre."
    ]


def test_headings_and_list_items_stand_alone_without_their_marks() -> None:
    text = "# History\nThe town grew after the railway came.\n- First item\n- Second item\n\nEnd of it."
    assert list(split_sentences(text)) == [
        "History",
        "The town grew after the railway came.",
        "First item",
        "Second item",
        "End of it.",
    ]


def test_no_word_is_lost() -> None:
    text = "Uno dos - tres. 5 > 4 es\ncierto (cinco). «Seis» siete… # ocho * nueve\n\nOcho 9. Diez – once"
    assert " ".join(split_sentences(text)).split() == text.split()


def test_a_number_that_a_line_break_moved_is_no_list_number() -> None:
    wrapped = "Much was said about making the road part of Interstate\n9. Work on it is under way."
    assert next(split_sentences(wrapped)).endswith("Interstate 9.")
    steps = "Steps:\n1. Open the box and take all out.\n2. Close it"
    assert list(split_sentences(steps))[1:] == ["1. Open the box and take all out.", "2. Close it"]
