"""What the documents take from the code says what the code says today."""

from documents import PAGES
from generated import GENERATED, parts


def test_generated_parts_are_those_of_today():
    found = {name: text for page in PAGES for name, text in parts(page.read_text()).items()}
    assert set(found) == set(GENERATED)
    for name, text in found.items():
        assert text == GENERATED[name](), f"{name}: python tests/docs/generated.py writes it anew"


def test_generated_parts_say_something():
    for name, make in GENERATED.items():
        assert len(make().splitlines()) > 2, name
