"""``import imagiq``: a public surface that prints on one page, and loads what is used when it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import imagiq
from imagiq import errors

SURFACE = {"open", "simulate", *errors.__all__}


def test_the_surface_is_this_and_nothing_else() -> None:
    assert set(imagiq.__all__) == SURFACE
    assert list(imagiq.__all__) == sorted(imagiq.__all__)
    assert set(dir(imagiq)) == SURFACE | {"__version__"}


@pytest.mark.parametrize("name", sorted(SURFACE))
def test_everything_on_it_is_there(name: str) -> None:
    assert callable(getattr(imagiq, name))
    assert getattr(imagiq, name).__doc__


def test_errors_are_the_errors() -> None:
    assert all(getattr(imagiq, name) is getattr(errors, name) for name in errors.__all__)


def test_what_is_not_there_is_said_not_to_be() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        imagiq.nothing  # noqa: B018 - asking is the test


def test_a_star_import_gives_the_surface() -> None:
    names: dict[str, object] = {}
    exec("from imagiq import *", names)
    assert names.keys() - {"__builtins__"} == SURFACE


def test_each_is_loaded_when_it_is_used() -> None:
    code = (
        "import imagiq, sys\n"
        "assert not {'imagiq.errors', 'imagiq.bench', 'numpy', 'cryptography'} & sys.modules.keys()\n"
        "imagiq.NotFound\n"
        "assert 'imagiq.bench' not in sys.modules\n"
        "imagiq.open\n"
        "assert 'imagiq.simulation' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
