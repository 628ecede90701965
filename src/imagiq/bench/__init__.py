"""The git-like face of a site: open, commit, checkout, log, diff, merge, verify, admit."""

from imagiq.bench.admission import Admitted, Limits, Outcome, RefusedCommit, Waiting
from imagiq.bench.bench import Author, Bench
from imagiq.bench.checks import Checks, Verdict
from imagiq.bench.models import Models, Want

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
]
