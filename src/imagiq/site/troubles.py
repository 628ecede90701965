"""What is wrong in a running federation: each part of it that fails is in trouble until that part has done its work again."""

from __future__ import annotations

from imagiq.errors import ImagiqError

__all__ = ["Troubles"]


class Troubles:
    """Which parts fail, and why. Any thread calls it.

    That one part does its work says nothing of another: a site whose clerk can read goes on to be in trouble with what its
    work cannot write, and tells of it once.
    """

    def __init__(self) -> None:
        self._failing: dict[str, ImagiqError] = {}

    @property
    def newest(self) -> ImagiqError | None:
        """What went wrong last; None: all is well."""
        return next(reversed(list(self._failing.values())), None)

    def begin(self, part: str, error: ImagiqError) -> bool:
        """Note that a part has failed; return whether no part was in trouble of that kind."""
        is_new = error.code not in {known.code for known in list(self._failing.values())}
        self._failing.pop(part, None)
        self._failing[part] = error
        return is_new

    def end(self, *parts: str) -> bool:
        """Note that parts have done their work; return whether by that all is well again."""
        ended = [self._failing.pop(part, None) for part in parts]
        return not self._failing and any(error is not None for error in ended)
