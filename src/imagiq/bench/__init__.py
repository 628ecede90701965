"""The git-like face of a site: open, commit, checkout, log, diff, merge, verify, admit.

What is named here is loaded when it is used, so that ``imagiq log`` loads no more than it reads.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from imagiq.bench.admission import Admitted, Limits, Outcome, RefusedCommit, Waiting
    from imagiq.bench.author import Author
    from imagiq.bench.bench import Bench
    from imagiq.bench.checks import Checks, Verdict
    from imagiq.bench.models import Models, Want, Whole

__all__ = [
    "Admitted",
    "Author",
    "Bench",
    "Checks",
    "Limits",
    "Models",
    "Outcome",
    "RefusedCommit",
    "Verdict",
    "Waiting",
    "Want",
    "Whole",
]

_MODULES: Final = {
    **dict.fromkeys(("Admitted", "Limits", "Outcome", "RefusedCommit", "Waiting"), "admission"),
    "Author": "author",
    "Bench": "bench",
    **dict.fromkeys(("Checks", "Verdict"), "checks"),
    **dict.fromkeys(("Models", "Want", "Whole"), "models"),
}


def __getattr__(name: str) -> object:
    """Load what is asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module 'imagiq.bench' has no attribute '{name}'")
    found: object = getattr(import_module(f"imagiq.bench.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
