"""Benchmarks are not run with the tests; that they can start at all is tested here."""

from importlib import import_module
from pathlib import Path

import pytest

from tests import benchmarks

MODULES = sorted(path.stem for path in Path(*benchmarks.__path__).glob("*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_a_benchmark_can_be_imported(name: str) -> None:
    assert import_module(f"{benchmarks.__name__}.{name}").__doc__, "it says what it measures"
