"""What members have witnessed and a store does not know: named exactly, bounded, and no liar's nonsense holds anybody up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from imagiq.federation.unheard import CLAIMS_OF_ONE, Unheard, Witnessed, claims_before, let_in_by, must_know
from imagiq.objects import Charter, Commit, Recipe, Seen, digest_of
from tests.federation.world import Feed, Reader, World, charter, feed_key, site_key, successor

NAMES = ("A", "B", "C", "D")


def as_seen(commit: Commit) -> Seen:
    return Seen(commit.feed, commit.number, commit.digest)


def nonsense(feed: str, number: int) -> Seen:
    return Seen(feed, number, digest_of(f"nonsense {feed} {number}".encode()))


def says(feed: Feed, *seen: Seen, under: Charter | None = None) -> Commit:
    """Make a commit whose author says that it knows these heads."""
    return feed.commit(Recipe("note", 1, {}), under=under, seen=tuple(sorted(seen)))


class Listener(Reader):
    """A reader who also keeps what others have witnessed."""

    def __init__(self, founding: Charter) -> None:
        super().__init__(founding)
        self.witnessed = Witnessed(self.history)

    def hear(self, *commits: Commit) -> Listener:
        for commit in commits:
            self.learn(commit)
            self.witnessed.note(commit)
        return self

    @property
    def unheard(self) -> tuple[Unheard, ...]:
        return self.witnessed.unheard(self.standing)

    def told(self) -> dict[str, dict[str, int]]:
        """Return by feed who knows up to which number."""
        return {one.feed: {name: seen.number for name, seen in one.witnesses.items()} for one in self.unheard}


def members(*names: str) -> tuple[World, dict[str, Feed], Listener]:
    """Return a founded world, a feed for each member, and one who has heard all of it."""
    world = World(charter(names))
    feeds = {name: Feed(world, name) for name in names}
    listener = Listener(world.founding)
    listener.hear(*(feed.vote(world.founding) for feed in feeds.values()))
    return world, feeds, listener


@st.composite
def worlds(draw: st.DrawFn) -> tuple[World, list[Commit]]:
    """Draw a world whose members witness heads, some of which are nonsense, and what of it one reader has heard, in which order."""
    world = World(charter(NAMES))
    feeds = [Feed(world, name) for name in NAMES]
    written: dict[str, list[Commit]] = {feed.site: [] for feed in feeds}
    for _ in range(draw(st.integers(1, 24))):
        feed = draw(st.sampled_from(feeds))
        others = [commit for site, commits in written.items() if site != feed.site for commit in commits]
        chosen = draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if others else []
        lies = draw(st.lists(st.tuples(st.sampled_from(feeds), st.integers(1, 9)), max_size=1))
        seen = {as_seen(c) for c in chosen} | {nonsense(f.key.public, n) for f, n in lies}
        written[feed.site].append(says(feed, *seen))
    left = {site: commits[: draw(st.integers(0, len(commits)))] for site, commits in written.items()}
    heard = []
    while rest := [site for site, commits in left.items() if commits]:
        heard.append(left[draw(st.sampled_from(rest))].pop(0))
    return world, heard


@given(worlds())
def test_unheard_is_exactly_the_highest_witnessed_heads_that_are_not_in_the_history(
    drawn: tuple[World, list[Commit]],
) -> None:
    world, heard = drawn
    listener = Listener(world.founding).hear(*heard)
    expected: dict[str, dict[str, Seen]] = {}
    for entry in listener.history:
        name = world.founding.names_by_site_key[entry.site]
        for seen in entry.commit.seen:
            if seen.commit not in listener.history:
                of_feed = expected.setdefault(seen.feed, {})
                of_feed[name] = max(seen, of_feed.get(name, seen))
    assert {one.feed: dict(one.witnesses) for one in listener.unheard} == expected
    for one in listener.unheard:
        heads = listener.history.heads.get(one.feed, ())
        assert one.here == max((listener.history[head].commit.number for head in heads), default=0)
        assert one.site == next((n for n in NAMES if feed_key(f"{n} 1").public == one.feed and heads), "")


def test_what_a_member_knows_is_unheard_until_it_comes() -> None:
    _, feeds, listener = members("A", "B", "C")
    first, second = feeds["C"].note(), feeds["C"].note()
    listener.hear(says(feeds["A"], as_seen(first)), says(feeds["A"], as_seen(second)), says(feeds["B"], as_seen(first)))
    (one,) = listener.unheard
    assert (one.site, one.here, one.number) == ("C", 1, 3)
    assert {name: seen.number for name, seen in one.witnesses.items()} == {"A": 3, "B": 2}
    assert len(one.said_in) == 3
    listener.hear(first)
    assert listener.told() == {feeds["C"].key.public: {"A": 3}}
    listener.hear(second)
    assert listener.told() == {}


def test_what_still_waits_is_a_witness_if_its_feed_is_known() -> None:
    _, feeds, listener = members("A", "B", "C")
    hidden = feeds["C"].note()
    seen = (as_seen(hidden),)
    listener.witnessed.note(feeds["A"].commit(Recipe("note", 1, {}), seen=seen))
    listener.witnessed.note(Feed(feeds["A"].world, "X").commit(Recipe("note", 1, {}), seen=(nonsense("f" * 64, 3),)))
    assert listener.told() == {feeds["C"].key.public: {"A": 2}}


def test_a_feed_of_which_nothing_has_come_is_named_without_a_site() -> None:
    _, feeds, listener = members("A", "B")
    listener.hear(says(feeds["A"], nonsense("e" * 64, 7)))
    assert [(one.site, one.here, one.number) for one in listener.unheard] == [("", 0, 7)]


def test_the_words_of_a_site_that_was_removed_count_no_more() -> None:
    world, feeds, listener = members("A", "B", "C")
    words = says(feeds["C"], nonsense(feeds["A"].key.public, 10**9))
    listener.hear(words)
    assert listener.told() == {feeds["A"].key.public: {"C": 10**9}}
    after = successor(world.founding, remove=["C"], cuts=[words])
    listener.learn(after)
    listener.hear(feeds["A"].vote(after), feeds["B"].vote(after))
    assert listener.told() == {}


def test_the_words_of_a_key_that_was_used_twice_count_no_more() -> None:
    _, feeds, listener = members("A", "B")
    twin = feeds["B"].fork()
    words = says(feeds["B"], nonsense(feeds["A"].key.public, 99))
    listener.hear(words)
    assert len(listener.unheard) == 1
    listener.hear(twin.note("another of that number"))
    assert listener.told() == {}


def test_what_lies_beyond_a_cut_is_not_missed_and_what_lies_before_it_is() -> None:
    world, feeds, listener = members("A", "B", "C")
    stands, beyond = feeds["C"].note("stands"), feeds["C"].note("beyond")
    listener.hear(says(feeds["A"], as_seen(stands)), says(feeds["B"], as_seen(beyond)))
    after = successor(world.founding, remove=["C"], cuts=[stands])
    listener.learn(after)
    listener.hear(feeds["A"].vote(after), feeds["B"].vote(after))
    assert listener.told() == {feeds["C"].key.public: {"A": 2}}
    assert listener.unheard[0].site == "C"
    listener.hear(stands)
    assert listener.told() == {}


def test_what_was_said_of_an_unknown_feed_before_a_site_was_removed_may_be_about_that_site() -> None:
    world, feeds, listener = members("A", "B", "C")
    after = successor(world.founding, remove=["C"])
    listener.hear(says(feeds["A"], nonsense("e" * 64, 3)))
    assert len(listener.unheard) == 1
    listener.learn(after)
    listener.hear(feeds["A"].vote(after), feeds["B"].vote(after))
    assert listener.told() == {}
    listener.hear(says(feeds["A"], nonsense("d" * 64, 3), under=after))
    assert [one.feed for one in listener.unheard] == ["d" * 64]


def test_of_a_contested_feed_only_what_is_not_contested_is_missed() -> None:
    _, feeds, listener = members("A", "B", "C")
    at = feeds["C"].last
    one, other = feeds["C"].note("one"), feeds["C"].fork(at).note("other")
    listener.hear(one, says(feeds["A"], as_seen(other)))
    assert listener.told() == {feeds["C"].key.public: {"A": 2}}, "the other branch is news, and proof"
    listener.hear(other, says(feeds["B"], nonsense(feeds["C"].key.public, 5)))
    assert listener.told() == {}


def test_a_site_that_witnesses_nonsense_without_end_takes_little_room_and_hides_nobody_elses_word() -> None:
    _, feeds, listener = members("A", "B", "C")
    hidden = feeds["C"].note()
    listener.hear(says(feeds["A"], as_seen(hidden)))
    for start in range(0, CLAIMS_OF_ONE + 1024, 512):
        listener.hear(says(feeds["B"], *(nonsense(f"{start + n:064x}", 1) for n in range(512))))
    told = listener.told()
    assert sum("B" in witnesses for witnesses in told.values()) == CLAIMS_OF_ONE
    assert told[feeds["C"].key.public] == {"A": 2}


def test_the_first_and_the_newest_word_on_a_feed_are_kept_however_many_there_are() -> None:
    _, feeds, listener = members("A", "B")
    words = [says(feeds["A"], nonsense(feeds["B"].key.public, number)) for number in range(2, 100)]
    listener.hear(*words)
    (one,) = listener.unheard
    assert one.number == 99
    assert {words[0].digest, words[-1].digest} <= one.said_in
    assert len(one.said_in) < 20


# ---------------------------------------------------------------------------------------------------- newcomers


def needed(listener: Listener, newcomer: str) -> list[tuple[str, int]]:
    """Return whose commits a newcomer must hear of first, and up to which number."""
    standing, history = listener.standing, listener.history
    votes = let_in_by(site_key(newcomer).public, standing)
    known_to = {vote.voter: claims_before(vote.commit, history) for vote in votes}
    return [(one.site, one.number) for one in must_know(known_to, history, standing)]


def let_in(feeds: dict[str, Feed], listener: Listener, seen: dict[str, tuple[Seen, ...]]) -> None:
    """Let D in by the votes of those who are named, each after it has said what it knows."""
    after = successor(listener.standing.charter, add=["D"])
    listener.learn(after)
    for name, heads in seen.items():
        listener.hear(says(feeds[name], *heads), feeds[name].vote(after))
    assert listener.standing.ruling is not None
    assert listener.standing.ruling.digest == after.digest


def test_a_newcomer_must_know_what_more_than_half_of_those_knew_who_let_it_in() -> None:
    _, feeds, listener = members("A", "B", "C")
    first, second = feeds["C"].note(), feeds["C"].note()
    let_in(feeds, listener, {"A": (as_seen(second),), "B": (as_seen(first),)})
    assert needed(listener, "D") == [("C", 2)], "both knew the first, one alone the second"
    listener.hear(first)
    assert needed(listener, "D") == []


def test_a_founder_is_no_newcomer() -> None:
    _, feeds, listener = members("A", "B", "C")
    listener.hear(says(feeds["A"], as_seen(feeds["C"].note())))
    assert needed(listener, "B") == []


def test_a_minority_of_liars_keeps_no_newcomer_waiting() -> None:
    _, feeds, listener = members("A", "B", "C")
    lies = tuple(nonsense(feed, 10**9) for feed in (feeds["A"].key.public, feeds["C"].key.public, "e" * 64))
    let_in(feeds, listener, {"A": (), "B": lies})
    assert needed(listener, "D") == []


def test_the_only_voter_is_believed_until_a_commit_of_that_number_comes() -> None:
    _, feeds, listener = members("A")
    lies = (nonsense(feeds["A"].key.public[::-1], 2),)
    let_in(feeds, listener, {"A": lies})
    assert needed(listener, "D") == [("", 2)]


def hide_a_commit_of_c() -> tuple[World, dict[str, Feed], Listener, Commit]:
    """Return a world in which D was let in by A and B, who both knew a commit of C that has not come here."""
    world, feeds, listener = members("A", "B", "C")
    hidden = feeds["C"].fork().note("hidden")
    let_in(feeds, listener, {"A": (as_seen(hidden),), "B": (as_seen(hidden),)})
    assert needed(listener, "D") == [("C", 2)]
    return world, feeds, listener, hidden


def test_the_waiting_ends_when_the_commit_comes() -> None:
    _, _, listener, hidden = hide_a_commit_of_c()
    assert needed(listener.hear(hidden), "D") == []


def test_the_waiting_ends_when_another_commit_of_that_number_comes() -> None:
    _, feeds, listener, _ = hide_a_commit_of_c()
    assert needed(listener.hear(feeds["C"].note("another")), "D") == []


def test_the_waiting_ends_when_the_site_whose_commits_are_missing_is_removed() -> None:
    _, feeds, listener, _ = hide_a_commit_of_c()
    without = successor(listener.standing.charter, remove=["C"])
    listener.learn(without)
    dora = Feed(feeds["A"].world, "D")
    listener.hear(*(feed.vote(without) for feed in (feeds["A"], feeds["B"], dora)))
    assert needed(listener, "D") == []


def test_the_words_of_a_voter_that_was_removed_keep_nobody_waiting() -> None:
    _, feeds, listener, _ = hide_a_commit_of_c()
    without = successor(listener.standing.charter, remove=["A", "B"])
    listener.learn(without)
    dora = Feed(feeds["A"].world, "D")
    listener.hear(*(feed.vote(without) for feed in (feeds["A"], feeds["B"], dora)))
    assert needed(listener, "D") == []
