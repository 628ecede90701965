"""Every error that imagiq raises on purpose, sorted by what the reader can do about it.

::

    ImagiqError
    ├── NotFound        name it differently, or fetch it first
    ├── Corrupt         bytes are damaged or malformed: get them again from elsewhere
    ├── Untrusted       bytes are well formed, but not from whom they claim to be
    ├── Refused         a rule forbids it: the charter, the study, the arithmetic
    ├── BudgetSpent     a limit of size, number or time is used up
    ├── ContractBroken  a plugin or a data file does not keep its contract
    ├── Conflict        somebody else holds it: another process, another version
    ├── Unreachable     the disk, the network or a peer does not answer
    ├── Unsupported     this version of imagiq does not know it: upgrade, or convert
    └── Misuse          the call itself was wrong: correct it

An error carries a ``code`` that never changes (listed in ``docs/errors.md``), a sentence that says what happened, and
a sentence that says what to do.
"""

from __future__ import annotations

__all__ = [
    "BudgetSpent",
    "Conflict",
    "ContractBroken",
    "Corrupt",
    "ImagiqError",
    "Misuse",
    "NotFound",
    "Refused",
    "Unreachable",
    "Unsupported",
    "Untrusted",
]


class ImagiqError(Exception):
    """Something that imagiq can explain.

    Args:
        code: Stable name of the error, lower case with dashes, such as ``commit-signature``.
        what: One sentence: what happened, and to what.
        advice: One sentence: what the reader can do.
    """

    def __init__(self, code: str, what: str, advice: str) -> None:
        super().__init__(code, what, advice)
        self.code = code
        self.what = what
        self.advice = advice

    def __str__(self) -> str:
        """Return what happened, then what to do."""
        return f"{self.what} {self.advice}"


class NotFound(ImagiqError):
    """Something that was named is not here."""


class Corrupt(ImagiqError):
    """Bytes are damaged, malformed or not in their one encoding."""


class Untrusted(ImagiqError):
    """Bytes are well formed, but a signature, certificate or membership does not hold."""


class Refused(ImagiqError):
    """A rule of the charter, the study or the arithmetic forbids this."""


class BudgetSpent(ImagiqError):
    """A limit of size, number or time is used up."""


class ContractBroken(ImagiqError):
    """A plugin, a learner or a data file does not keep what its contract promises."""


class Conflict(ImagiqError):
    """Somebody else holds or has changed this."""


class Unreachable(ImagiqError):
    """A disk, a network or a peer does not do what was asked, for now."""


class Unsupported(ImagiqError):
    """A format, recipe or strategy that this version does not know."""


class Misuse(ImagiqError):
    """The call, the command line or the settings are wrong."""
