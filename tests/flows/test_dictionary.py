from pathlib import Path

from flows.dictionary import build_page


def test_the_page_in_the_docs_is_the_declarations() -> None:
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert page.read_text() == build_page(), "run `make tables`"
