"""What the documents take from the code says what the code says today."""

from documents import PAGES
from generated import GENERATED, parts, wings


def test_generated_parts_are_those_of_today():
    found = {name: text for page in PAGES for name, text in parts(page.read_text()).items()}
    assert set(found) == set(GENERATED)
    for name, text in found.items():
        assert text == GENERATED[name](), f"{name}: python tests/docs/generated.py writes it anew"


def test_generated_parts_say_something():
    for name, make in GENERATED.items():
        assert len(make().splitlines()) > 2, name


def test_every_wing_says_what_it_is_for_and_what_it_never_does():
    for row in wings().splitlines()[2:]:
        _, _, purpose, never, _ = (cell.strip() for cell in row.split("|"))
        assert purpose and never, row
