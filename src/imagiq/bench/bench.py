"""The bench: a site's view of all models it holds, its own and received ones, over one store.

Foreign bytes enter by :meth:`Bench.admit` and nowhere else. What a bench writes itself is signed, durable, then visible.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from imagiq.bench.admission import (
    Admitted,
    Limits,
    Outcome,
    RefusedCommit,
    Waiting,
    WaitingRoom,
    charters_named,
    examine,
    missing_commits,
    waiting_in,
    waiting_record,
)
from imagiq.bench.author import Author, charter_to_write_under
from imagiq.bench.charters import stored_charter
from imagiq.bench.checks import Checks, Verdict
from imagiq.bench.known import Known
from imagiq.bench.models import Models
from imagiq.bench.unread import UnreadRoom
from imagiq.clock import Clock
from imagiq.errors import Corrupt, ImagiqError, Misuse, Refused, Unreachable, Unsupported
from imagiq.federation import Standing, StudyHistory
from imagiq.history import Entry, History
from imagiq.keys import certify, sign_commit
from imagiq.objects import (
    JSON,
    Certificate,
    Charter,
    Commit,
    Digest,
    Draft,
    Parent,
    Recipe,
    Tree,
    digest_of,
    parse_charter,
    parse_digest,
)
from imagiq.store import Store

__all__ = ["Bench"]

STALE_RECORDS = 256


class Bench:
    """One store's view of a federation.

    Args:
        store: Where objects rest. A new one gets the founding charter; an old one is read whole.
        founding: Version 1 of the charter: the federation.
        clock: For first-seen times and for the date that people read.
        author: The keys to write with; None: read only.
        checks: Where checks of equal bytes are shared; None: in this bench.
        limits: How much of what others send is kept.
        read_only: Nothing is written to the store, not even verdicts.
        on_entries: Called with the entries that were admitted, once they are durable: an index listens here.
    """

    def __init__(
        self,
        store: Store,
        founding: Charter,
        *,
        clock: Clock,
        author: Author | None = None,
        checks: Checks | None = None,
        limits: Limits | None = None,
        read_only: bool = False,
        on_entries: Callable[[Sequence[Entry]], None] | None = None,
    ) -> None:
        self.store = store
        self.founding = founding
        self.author = author
        self.checks = checks or Checks()
        self.limits = limits or Limits()
        self.read_only = read_only
        self._clock = clock
        self._on_entries = on_entries
        self._in_doubt: bytes | None = None
        self.models = Models(store, self.checks, largest_bytes=self.limits.model_bytes, read_only=read_only)
        self._open()

    def _open(self) -> None:
        """Read the whole store; also what follows when a disk failed in the middle of an admission."""
        self._forget()
        if not self.read_only and not self.store.has(self.founding.digest):
            self.store.add([self.founding.raw])
        records = list(self.store.journal.read())
        if not self.read_only and not any(record.get("kind") == "federation" for record in records):
            self.store.journal.append([{"kind": "federation", "digest": self.founding.digest}], durable=True)
        stored = [self.checks.commit(raw) for raw in self.store.commits()]
        self._recall(records)
        self._put_in_order(sorted(stored, key=lambda commit: (commit.number, commit.digest)))
        if not self.read_only:
            self._resume_waiting(records)
            for entry in self.history:
                if entry.digest in self.models.complete:
                    self._judge(entry.digest)
                elif entry.commit.tree is not None and entry.digest not in self.models.forgotten:
                    self.settle(entry.digest)
        self._is_open = True

    def _forget(self) -> None:
        self._is_open = False
        site = self.author.site.public if self.author is not None else ""
        self.known = Known(self.founding, site, self.checks.steps)
        self.models = self.models.anew()
        self.waiting = WaitingRoom(self.limits)
        self.first_seen_s: dict[Digest, float] = {}
        self.verdicts: dict[Digest, Verdict] = {}
        self._fresh_verdicts: list[tuple[Digest, Verdict]] = []
        self._unjudged: dict[Digest, set[Digest]] = {}
        self._unwritten: list[Entry] = []
        self._waiting_records = 0
        self.unread = UnreadRoom(None if self.read_only else self.store.journal)

    def _recall(self, records: Sequence[Mapping[str, JSON]]) -> None:
        self.models.recall(records)
        self.unread.recall(records)
        called_false = (name for name, why in self.models.set_aside.items() if why.startswith("merge-false"))
        self.verdicts |= dict.fromkeys(called_false, Verdict.FALSE)
        for record in records:
            if record.get("kind") == "first-seen":
                at_ms = record.get("at_ms")
                commit = parse_digest(record.get("commit"), "A journal's commit")
                self.first_seen_s[commit] = min(self._clock.now_s(), at_ms / 1000 if isinstance(at_ms, int) else 0.0)
            elif record.get("kind") == "recomputed":
                commit = parse_digest(record.get("commit"), "A journal's commit")
                with suppress(ValueError):  # a later version may have found more to say
                    self.verdicts[commit] = Verdict(record.get("verdict"))

    def _resume_waiting(self, records: Sequence[Mapping[str, JSON]]) -> None:
        for raw, source, at_ms in waiting_in(records):
            outcome = self._admit_one(raw, source, remember=False)
            if isinstance(outcome, Waiting) and outcome.kept:
                self.first_seen_s.setdefault(outcome.commit.digest, min(self._clock.now_s(), at_ms / 1000))
            self._waiting_records += 1
        self._write_admitted()
        self._compact_journal()

    def _compact_journal(self) -> None:
        """Leave the records of commits out that no longer wait, once they are many beside all that is read for it."""
        if self._waiting_records > 2 * len(self.waiting) + STALE_RECORDS + len(self.history) // 8:
            others = [record for record in self.store.journal.read() if record.get("kind") != "waiting"]
            waiting = [waiting_record(c, s, self.first_seen_s.get(c.digest, 0.0)) for c, s in self.waiting.commits()]
            self.store.journal.rewrite([*others, *waiting])
            self._waiting_records = len(self.waiting)

    def _put_in_order(self, commits: Sequence[Commit]) -> None:
        """Put stored commits in their places; each was admitted before, so only their order is to be found."""
        for name in {name for commit in commits for name in charters_named(commit)}:
            self._learn_stored_charter(name)
        room = WaitingRoom(Limits(waiting_commits=len(commits) + 1, waiting_bytes=2**62))
        ready = list(reversed(commits))
        while ready:
            commit = ready.pop()
            missing = missing_commits(commit, self.history)
            if missing:
                room.enter(commit, missing, "store")
                continue
            self.known.add(commit)
            room.leave(commit.digest)
            ready += reversed(room.waiting_for(commit.digest))

    def _learn_stored_charter(self, name: Digest) -> None:
        if name not in self.standing.charters:
            self.standing.learn_charter(stored_charter(self.store, name))

    @property
    def history(self) -> History:
        """All admitted commits."""
        return self.known.history

    @property
    def standing(self) -> Standing:
        """The line of charters, and the state of each commit."""
        return self.known.standing

    @property
    def studies(self) -> Mapping[Digest, StudyHistory]:
        """The studies, by the commits that opened them."""
        return self.known.studies

    def _ensure_open(self) -> None:
        """Read the store again if a failing disk has left it unclear what is known."""
        if not self._is_open:
            self._open()

    # ---------------------------------------------------------------------------------------- foreign bytes

    def admit(self, raws: Iterable[bytes], source: str) -> tuple[Outcome, ...]:
        """Take in the bytes of foreign commits; the one door.

        Args:
            raws: The bytes, as they came and in any order.
            source: Whom they came from: limits are per source.

        Returns:
            For each of ``raws`` what became of it. Admitted commits are durable.
        """
        self._ensure_open()
        outcomes = []
        try:
            for raw in raws:
                outcomes.append(self._admit_one(raw, source, remember=True))  # noqa: PERF401 - kept if raws fails
        finally:
            self._write_admitted()
        self._compact_journal()
        return tuple(outcomes)

    def _admit_one(self, raw: bytes, source: str, *, remember: bool) -> Outcome:
        try:
            commit = self.checks.commit(raw)
            known = self.history.get(commit.digest)
            if known is not None:
                return Admitted(known)
            missing = examine(commit, self.history, self.standing, self.founding.digest)
        except Unsupported as error:
            self.unread.note(digest_of(raw), "", source, error)
            return RefusedCommit(error)
        except ImagiqError as error:
            return RefusedCommit(error)
        if missing:
            already = commit.digest in self.waiting
            kept = self.waiting.enter(commit, missing, source)
            self.known.witnessed.note(commit)
            if kept and remember and not already:
                self._remember_waiting(commit, source)
            return Waiting(commit, missing, kept)
        entry = self._take(commit)
        self._admit_waiting(commit.digest, *self._newly_enacted())
        return Admitted(entry)

    def _remember_waiting(self, commit: Commit, source: str) -> None:
        """Note in the journal that a commit waits; what a failing disk does not take may not wait, and comes again."""
        now_s = self._clock.now_s()
        try:
            self.store.journal.append([waiting_record(commit, source, now_s)], durable=False)
        except Unreachable:
            self.waiting.leave(commit.digest)
            raise
        self.first_seen_s[commit.digest] = now_s
        self._waiting_records += 1

    def _take(self, commit: Commit) -> Entry:
        """Put a commit in its place; :meth:`_write_admitted` makes it durable before anybody else looks."""
        entry = self.known.add(commit)
        self._unwritten.append(entry)
        return entry

    def _write_admitted(self) -> None:
        """Make what was taken durable, all at once; if the disk does not take it, forget everything, to read the store anew."""
        entries, self._unwritten = self._unwritten, []
        if not entries:
            return
        try:
            self.store.add_commits([entry.commit.raw for entry in entries])
            at_ms = round(self._clock.now_s() * 1000)
            self.store.journal.append(
                [{"kind": "first-seen", "commit": entry.digest, "at_ms": at_ms} for entry in entries], durable=False
            )
        except Unreachable:
            self._forget()
            raise
        self.first_seen_s |= {entry.digest: at_ms / 1000 for entry in entries}
        if self._on_entries is not None:
            self._on_entries(entries)

    def _newly_enacted(self) -> tuple[Digest, ...]:
        """Return the charters that are in force and that somebody waits for."""
        return tuple(name for name in sorted(self.standing.line.enacted) if self.waiting.waiting_for(name))

    def _admit_waiting(self, *arrived: Digest) -> None:
        """Admit whatever waited for what has arrived, and what waited for that."""
        arrivals = list(arrived)
        while arrivals:
            for commit in self.waiting.waiting_for(arrivals.pop()):
                try:
                    missing = examine(commit, self.history, self.standing, self.founding.digest)
                except ImagiqError:
                    self.waiting.leave(commit.digest)
                    self.first_seen_s.pop(commit.digest, None)
                    continue
                if missing:
                    self.waiting.enter(commit, missing, "")
                    continue
                self.waiting.leave(commit.digest)
                self._take(commit)
                arrivals += [commit.digest, *self._newly_enacted()]

    def admit_charter(self, raw: bytes) -> Charter:
        """Take in a foreign charter that some waiting commit names.

        Raises:
            Corrupt: malformed.
            Refused: nobody waits for it, or it belongs to another federation.
        """
        charter = parse_charter(raw)
        if charter.digest not in self.waiting.missing or charter.founding != self.founding.digest:
            raise Refused("charter-unasked", "A charter came that nothing here waits for.", "Nothing needs to be done.")
        self.store.add([raw])
        self.learn_charter(charter)
        return charter

    def learn_charter(self, charter: Charter) -> None:
        """Take a charter that is in the store into account."""
        self.standing.learn_charter(charter)
        self._admit_waiting(charter.digest, *self._newly_enacted())
        self._write_admitted()

    # ------------------------------------------------------------------------------------------- own commits

    def commit(
        self,
        recipe: Recipe,
        *,
        parents: Sequence[Parent] = (),
        study: Digest | None = None,
        tree: Tree | None = None,
        action: Digest | None = None,
        metrics: Mapping[str, str | int] | None = None,
        cases: int | None = None,
        charter: Digest | None = None,
        sidecar: Mapping[str, bytes] | None = None,
    ) -> Entry:
        """Write a commit into this store's feed: signed, durable, then visible.

        Args:
            recipe: By what it was made.
            parents: What it was made from.
            study: The study that it belongs to.
            tree: The model that it holds; kept before, see :meth:`Models.keep`.
            action: The action whose success it is.
            metrics: What was measured.
            cases: How many cases were used.
            charter: The version that it is made under; None: the ruling one.
            sidecar: What belongs to it and never leaves the site, by name; durable before the commit is.

        Raises:
            Misuse: this bench is read only, or the federation is not founded yet.
            Refused: this site is no member by that charter.
            Unreachable: the disk does not take it. Nothing is lost, and no number is used twice: what was signed is
                written first at the next call.
        """
        if self.author is None:
            raise Misuse("bench-read-only", "This bench has no keys to write with.", "Open it as its site.")
        self._ensure_open()
        self.finish_in_doubt()
        under = charter_to_write_under(self.author, self.standing, charter)
        feed = self.author.feed.public
        heads = self.history.heads.get(feed, ())
        previous = max((self.history[head] for head in heads), key=lambda e: (e.commit.number, e.digest), default=None)
        draft = Draft(
            federation=self.founding.digest,
            charter=under,
            feed=feed,
            number=1 if previous is None else previous.commit.number + 1,
            previous=None if previous is None else previous.digest,
            recipe=recipe,
            created=self._clock.utc(),
            study=study,
            parents=tuple(parents),
            tree=None if tree is None else tree.digest,
            action=action,
            metrics=dict(metrics or {}),
            cases=cases,
            seen=self.known.unwitnessed(feed),
            certificate=self._certificate(feed) if previous is None else None,
        )
        commit = sign_commit(draft, self.author.feed)
        for name, content in (sidecar or {}).items():
            self.store.sidecar_write(commit.digest, name, content)
        self._in_doubt = commit.raw
        entry = self.finish_in_doubt()
        if entry is None:  # pragma: no cover - finish_in_doubt returns the entry of what it was given
            raise Unreachable("commit-lost", "The commit could not be written.", "Try again.")
        return entry

    def finish_in_doubt(self) -> Entry | None:
        """Write the own commit that a failing disk may or may not have kept, if there is one."""
        self._ensure_open()
        if self._in_doubt is None:
            return None
        commit = self.checks.commit(self._in_doubt)
        entry = self.history.get(commit.digest)
        if entry is None:
            entry = self._take(commit)
            self._write_admitted()
        else:
            self.store.add_commits([commit.raw])  # a disk that failed may show what it has not kept
        self._admit_waiting(commit.digest, *self._newly_enacted())
        self._write_admitted()
        self.settle(commit.digest)
        self._in_doubt = None
        return entry

    def _certificate(self, feed: str) -> Certificate:
        if self.author is None:
            raise Misuse("bench-read-only", "This bench has no keys to write with.", "Open it as its site.")
        number, ends = self.history.next_certificate(self.author.site.public)
        return certify(self.author.site, federation=self.founding.digest, feed=feed, number=number, ends=ends)

    # ---------------------------------------------------------------------------------------- models, merges

    def start_of(self, commit: Commit) -> Commit | None:
        """Return the commit that holds the first model of a commit's study; None if it is in no study."""
        steps = self.studies.get(commit.study) if commit.study is not None else None
        return None if steps is None else steps.start.commit

    def take_verdicts(self) -> list[tuple[Digest, Verdict]]:
        """Return what was recomputed since the last call: other sites' merges and what came of it."""
        verdicts, self._fresh_verdicts = self._fresh_verdicts, []
        return verdicts

    def settle(self, digest: Digest) -> bool:
        """Pass a commit's model through the gate once all of it is here; tell whether it is complete.

        A merge whose parents are held is recomputed on the way; a false one is set aside.

        Raises:
            Unreachable: the disk failed. What is known is read anew, so that no merge is left unjudged.
        """
        try:
            return self._settle(digest)
        except Unreachable:
            self._forget()
            raise

    def _settle(self, digest: Digest) -> bool:
        commit = self.history[digest].commit
        start = self.start_of(commit)
        like = None
        if start is not None and start.tree is not None and start.digest != digest:
            if not self.store.has(start.tree):
                return False
            like = self.models.tree(start.tree)
        if not self.models.settle(commit, like):
            return False
        for merge in sorted(self._unjudged.pop(digest, set())):
            self._judge(merge)
        return self._judge(digest)

    def _judge(self, digest: Digest) -> bool:
        """Recompute a merge whose model is complete, now or when its parents are; tell whether nothing speaks against it."""
        commit = self.history[digest].commit
        mine = self.author is not None and commit.feed == self.author.feed.public
        if commit.recipe.name != "merge" or digest in self.verdicts or mine:
            return self.verdicts.get(digest) is not Verdict.FALSE
        verdict = self.recompute(digest)
        if verdict is None:
            for parent in commit.parents_in("input"):
                self._unjudged.setdefault(parent, set()).add(digest)
            return True
        if verdict is Verdict.FALSE:  # before the verdict is remembered: who remembers it does not look again
            error = Refused("merge-false", "The merge is not what its recipe gives.", "Ask its author.")
            self.models.put_aside(commit, error)
        self.verdicts[digest] = verdict
        self._fresh_verdicts.append((digest, verdict))
        if not self.read_only:
            record = {"kind": "recomputed", "commit": digest, "verdict": verdict.value}
            self.store.journal.append([record], durable=False)
        return verdict is Verdict.VERIFIED

    def recompute(self, digest: Digest) -> Verdict | None:
        """Recompute a merge from its parents; None when they, or it, are not held whole, or it is no merge of known kind."""
        commit = self.history[digest].commit
        recipe = commit.recipe
        if (recipe.name, recipe.version, recipe.parameters.get("rule")) != ("merge", 1, "mean") or commit.tree is None:
            return None
        inputs = [self.history[parent].commit.tree for parent in commit.parents_in("input")]
        trees = [tree for tree in inputs if tree is not None]
        if len(trees) != len(inputs):
            return Verdict.FALSE
        if not all(self.models.holds(tree) for tree in (*trees, commit.tree)):
            return None
        tree = self.models.tree(commit.tree)
        schema = self.models.schema(tree.schema)
        try:
            return self.checks.merge(commit, tree, schema, [self.models.tree(t) for t in trees], self.store.read)
        except Corrupt:
            return None
