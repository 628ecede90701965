"""Judging models: what each is worth on the held-back cases of each site, and of sites that take no part."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from imagiq.bench import Bench
from imagiq.learning import Learner, Weights, predict_each
from imagiq.merging import weights_of
from imagiq.objects import Digest, digest_of
from imagiq.simulation.measuring import Scored, scored
from imagiq.site import marks_of
from imagiq.site.sources import SiteCases

__all__ = ["Judge", "keeps_local", "weights_at"]


def weights_at(bench: Bench, commit: Digest) -> Weights | None:
    """Return the model that a commit holds; None: it holds none, or the bench does not have it."""
    name = bench.history[commit].commit.tree
    if name is None or commit not in bench.models.complete:
        return None
    tree = bench.models.tree(name)
    return weights_of(bench.models.schema(tree.schema), tree, bench.store.read)


States = Callable[[str], bytes]
"""From a site to what stays there of its last training in a study."""

NOTHING = digest_of(b"")


def _nothing(_: str) -> bytes:
    return b""


def keeps_local(bench: Bench, commit: Digest) -> bool:
    """Tell whether a part of a commit's model stays at each site: its BatchNorm."""
    name = bench.history[commit].commit.tree
    if name is None or commit not in bench.models.complete:
        return False
    return bench.models.schema(bench.models.tree(name).schema).architecture.get("batch_norm") == "local"


class Judge:
    """Scores models on held-back cases, each model and site once.

    Args:
        seed: The scenario's; it draws the patients of each site, the same ones for every model.
        cases: The cases of the sites.
        learner: Applies the models.

    Attributes:
        seen: By site: the scores of some model there, whose marks say what its cases are.
    """

    def __init__(self, seed: int, cases: Mapping[str, SiteCases], learner: Learner) -> None:
        self.seen: dict[str, Scored] = {}
        self._seed = seed
        self._cases = cases
        self._learner = learner
        self._scored: dict[tuple[str, Digest, Digest], Scored] = {}

    def score(self, weights: Weights, places: Iterable[str], states: States | None = None) -> dict[str, Scored]:
        """Return a model's scores at the sites that hold cases back; ``states``: what stays at each of them."""
        found: dict[str, Scored] = {}
        tried = [place for place in places if len(self._cases[place].held_back)]
        said = predict_each(
            self._learner,
            [(weights, self._cases[place].held_back, states(place) if states else b"") for place in tried],
        )
        for place, one in zip(tried, said, strict=True):
            seed = int(digest_of(f"imagiq patients\n{self._seed}\n{place}".encode())[:12], 16)
            found[place] = scored(one, seed)
            self.seen.setdefault(place, found[place])
        return found

    def score_commit(
        self, bench: Bench, commit: Digest, places: Iterable[str], states: States | None = None
    ) -> dict[str, Scored]:
        """Return the scores of a commit's model at sites; empty if the bench does not have it.

        Args:
            bench: Where the model is.
            commit: Its commit.
            places: The sites.
            states: What each site keeps for models of this study, such as its BatchNorm; asked only where models need it.
        """
        wanted = list(places)
        tree = bench.history[commit].commit.tree
        if tree is None:
            return {}
        at = states if states is not None and keeps_local(bench, commit) else _nothing
        keys = {place: (place, tree, digest_of(at(place))) for place in wanted}
        missing = [place for place in wanted if keys[place] not in self._scored]
        weights = weights_at(bench, commit) if missing else None
        if weights is not None:
            self._scored |= {keys[place]: one for place, one in self.score(weights, missing, at).items()}
        return {place: self._scored[keys[place]] for place in wanted if keys[place] in self._scored}

    def point(self, bench: Bench, commit: Digest, place: str, measure: str) -> float | None:
        """Return one measure of a commit's model at a site, without an interval; None: there is none, or it is silent."""
        tree = bench.history[commit].commit.tree
        if tree is not None and (place, tree, NOTHING) in self._scored:
            one = self._scored[place, tree, NOTHING]
            return one.measures[measure].point if one.tells(measure) and one.defines(measure) else None
        held_back = self._cases[place].held_back
        weights = weights_at(bench, commit)
        if weights is None or len(held_back) == 0 or keeps_local(bench, commit):
            return None
        marks = marks_of(self._learner.predict(weights, held_back))
        value = marks.points().get(measure, float("nan"))
        return None if measure in marks.silent or value != value else value  # noqa: PLR0124 - NaN
