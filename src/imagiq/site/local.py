"""What a site has and others do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imagiq.federation import Named, Strategy, Study
from imagiq.learning import Learner
from imagiq.objects import Digest
from imagiq.site.sources import SiteCases

__all__ = ["Local"]


@dataclass(frozen=True, kw_only=True)
class Local:
    """A site's own data, learners and policy.

    Attributes:
        cases: Reads its cases; called when they are needed, and every time the same.
        data: Tells these cases apart from others, without telling what they are.
        learner_of: Makes the learner that a task names.
        dismiss: Called with a learner that the site needs no more; ends its workers if it is the site's alone.
        strategies: The strategies that the site's owner has registered, by name and version.
        accepts: The site's own policy: which studies it takes part in.
        audit_draw: Draws a number from 0 to 999 for a commit; secret at a real site, so that nobody knows what is audited.
    """

    cases: Callable[[], SiteCases]
    data: str
    learner_of: Callable[[Named], Learner]
    dismiss: Callable[[Learner], None] = lambda _: None
    strategies: Mapping[tuple[str, int], Strategy]
    accepts: Callable[[Study], bool]
    audit_draw: Callable[[Digest], int]
