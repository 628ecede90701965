"""Git for models, made for hospitals: asynchronous and decentralized federated learning for medical imaging.

::

    import imagiq

    with imagiq.open("heart-demo/cleveland") as bench:
        print(bench.log().entries[0])
        weights = bench.weights("latest-of-each@cleveland")

``imagiq.open`` gives a :class:`~imagiq.face.Repository`; ``imagiq.simulate`` runs a federation on this machine; all
errors are of :class:`~imagiq.errors.ImagiqError`. Importing this loads nothing else: each is loaded when it is used.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as typing's, without loading it
if TYPE_CHECKING:
    from imagiq.errors import (
        BudgetSpent,
        Conflict,
        ContractBroken,
        Corrupt,
        ImagiqError,
        Misuse,
        NotFound,
        Refused,
        Unreachable,
        Unsupported,
        Untrusted,
    )
    from imagiq.face import open_path as open  # noqa: A004 - it is what one says: imagiq.open
    from imagiq.simulation import simulate

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
    "open",
    "simulate",
]

_ELSEWHERE = {"open": ("imagiq.face", "open_path"), "simulate": ("imagiq.simulation", "simulate")}


def __getattr__(name: str) -> object:
    """Load what is asked for."""
    if name == "__version__":
        return import_module("importlib.metadata").version("imagiq")
    if name not in __all__:
        raise AttributeError(f"module 'imagiq' has no attribute '{name}'")
    room, there = _ELSEWHERE.get(name, ("imagiq.errors", name))
    found: object = getattr(import_module(room), there)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return what there is to use."""
    return [*__all__, "__version__"]
