"""What a bench knows: the history, and all that follows from it. No I/O; everything here can be built anew."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from itertools import islice

from imagiq.errors import Refused
from imagiq.federation import Standing, State, Step, Study, StudyHistory, check_permitted, parse_study
from imagiq.federation.notices import NOTICES
from imagiq.federation.unheard import Witnessed
from imagiq.history import Entry, History
from imagiq.objects import Charter, Commit, Digest, Seen

__all__ = ["Known"]

SEEN_AT_ONCE = 64
"""How many heads of other feeds one commit witnesses; what is left over is witnessed by the next."""


class Known:
    """The commits that are known, their standing, the studies among them, and this site's own actions.

    Args:
        founding: Version 1 of the charter: the federation.
        site: The site's public key; "" for a reader.
        steps: The steps of studies that others in this process have made of the same commits; None: nobody has.
    """

    def __init__(self, founding: Charter, site: str, steps: dict[Digest, Step] | None = None) -> None:
        self.history = History()
        self.standing = Standing(self.history, founding)
        self.witnessed = Witnessed(self.history)
        """What others say that they know, and this store does not."""
        self.accused: dict[Digest, None] = {}
        """The merges that somebody calls FALSE, in the order of the claims."""
        self.notices: dict[str, list[Digest]] = {name: [] for name in sorted(NOTICES)}
        """The commits that only say something, by recipe; what they are worth is asked of the standing."""
        self._site = site
        self._steps = steps
        self._studies: dict[Digest, StudyHistory] = {}
        self._own_actions: set[Digest] = set()
        self._indexed_epoch = 0
        self._witnessed: set[Digest] = set()
        self._news: dict[str, None] = {}

    def add(self, commit: Commit) -> Entry:
        """Put an admitted commit in its place."""
        entry = self.history.add(commit)
        self.standing.note(entry)
        self.witnessed.note(commit)
        if commit.recipe.name == "attest" and commit.recipe.parameters.get("verdict") == "FALSE":
            self.accused |= dict.fromkeys(commit.parents_in("input"))
        if commit.recipe.name in NOTICES:
            self.notices[commit.recipe.name].append(entry.digest)
        if entry.site == self._site:
            self._witnessed |= {seen.commit for seen in commit.seen}
            for seen in commit.seen:
                if set(self.history.heads.get(seen.feed, ())) <= self._witnessed:
                    self._news.pop(seen.feed, None)
        self._news[commit.feed] = None
        if self.standing.epoch == self._indexed_epoch:
            self._index(entry)
        return entry

    def unwitnessed(self, feed: str) -> tuple[Seen, ...]:
        """Return the heads of feeds other than ``feed`` that no own commit has witnessed yet, sorted.

        What is void is not witnessed: nobody passes it on, so whoever lacks it would blame a remote for that.
        """
        new = (heads for other in self._news if other != feed and (heads := self._new_heads(other)))
        return tuple(sorted(seen for heads in islice(new, SEEN_AT_ONCE) for seen in heads))

    def _new_heads(self, feed: str) -> list[Seen]:
        heads = (self.history[head].commit for head in self.history.heads[feed])
        new = (h for h in heads if self.standing.state(h.digest) is not State.VOID)
        return [Seen(feed, h.number, h.digest) for h in new if h.digest not in self._witnessed]

    def _index(self, entry: Entry) -> None:
        commit = entry.commit
        state = self.standing.state(entry.digest)
        if entry.site == self._site and commit.action is not None and state.is_input:
            self._own_actions.add(commit.action)
        study = parse_study(commit) if commit.recipe.name == "study" else None
        if study is not None and state is not State.VOID and self._permits(study, commit):
            self._studies[study.digest] = StudyHistory(study, entry, self._steps)
        elif commit.study in self._studies:
            steps, name = self._studies[commit.study], self.standing.name_of(entry)
            steps.add(entry, name, is_input=state.is_input)
            if (commit.recipe.name, commit.recipe.version) == ("trouble", 1) and state is not State.VOID:
                steps.add_trouble(entry, name)

    def _permits(self, study: Study, commit: Commit) -> bool:
        try:
            check_permitted(study, self.standing.charters[commit.charter])
        except Refused:
            return False
        return True

    def _bring_up_to_date(self) -> None:
        """Index everything again when states that were told before have changed."""
        if self.standing.epoch != self._indexed_epoch:
            self._indexed_epoch = self.standing.epoch
            self._studies, self._own_actions = {}, set()
            for entry in self.history:
                self._index(entry)

    @property
    def studies(self) -> Mapping[Digest, StudyHistory]:
        """The studies, by the commits that opened them."""
        self._bring_up_to_date()
        return self._studies

    @property
    def own_actions(self) -> AbstractSet[Digest]:
        """The actions of this site that have succeeded; the success of a void or contested commit does not count."""
        self._bring_up_to_date()
        return self._own_actions
