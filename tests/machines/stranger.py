"""A member who keeps no rule, and outsiders: commits with real signatures and all that can be wrong about them."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence

import numpy as np

from imagiq.bench import Bench
from imagiq.errors import NotFound
from imagiq.exchange import BenchPeer, pull
from imagiq.federation import Named, StudyHistory, recover_recipe, study_recipe, vote_recipe
from imagiq.keys import COMMIT_TAG, FeedKey, SiteKey, certify, recovery_signature, sign_commit
from imagiq.merging import blobs_of
from imagiq.objects import JSON, Certificate, Commit, Digest, Draft, Group, Parent, Recipe, Schema, Seen, Tensor
from imagiq.store import MemoryStore
from tests.machines.hospitals import RECOVERY, World
from tests.machines.model import mean_of, name_of
from tests.machines.toy import SCHEMA, toy_weights

FOREIGN = Schema(groups=(Group("other", (Tensor("other", "float32", (3,)),)),))
GIANT = Schema(groups=(Group("giant", (Tensor("giant", "float64", (2_000,)),)),))
MODELS = ("fair", "nan", "infinite", "few", "many", "short", "foreign", "giant", "no-tree")
MERGES = ("right", "false", "weights", "zero", "unweighted", "other-rule")
DEEDS = (
    "train",
    "merge",
    "again",
    "fork",
    "backdate",
    "feed",
    "double-feed",
    "vote",
    "accuse",
    "recipe",
    "study",
    "lost",
    "trouble",
)
DEEDS_TOO = ("train", "train", "merge", "cases", "recover", "seen", "evaluate")
NONSENSE = (
    "outsider",
    "forged",
    "stolen",
    "cut-off",
    "flipped",
    "random",
    "oversized",
    "spaces",
    "federation",
    "chain",
)


class Stranger:
    """Somebody with a member's key, and a bench to show what was made with it."""

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.key = SiteKey(bytes([number]) * 32)
        self.numbers = np.random.default_rng(number)
        self.made: list[Commit] = []
        self.certificates = 0
        self.feeds: list[FeedKey] = []

    def settle_in(self, world: World) -> bytes:
        """Come into being as a founder; return the vote for version 1."""
        self.world = world
        self.draw = world.draw
        self.bench = Bench(MemoryStore(), world.founding, clock=world.clock)
        return self.write(vote_recipe(world.founding.digest, 1), charter=world.founding.digest).raw

    def listen(self) -> None:
        for hospital in self.world.up:
            pull(self.bench, BenchPeer(hospital.name, hospital.bench))

    # ---------------------------------------------------------------------------------------------- writing

    def new_feed(self, number: int) -> FeedKey:
        feed = self.world.feed_key()
        self.feeds.append(feed)
        self.certificates = max(number, self.certificates)
        self._next_certificate = self._certificate(feed, number)
        return feed

    def _certificate(self, feed: FeedKey, number: int) -> Certificate:
        federation = self.world.founding.digest
        ends = self.made[-1].digest if self.made else None
        return certify(self.key, federation=federation, feed=feed.public, number=number, ends=ends)

    def write(
        self,
        recipe: Recipe,
        *,
        after: Commit | None = None,
        parents: Sequence[Parent] = (),
        study: Digest | None = None,
        tree: Digest | None = None,
        action: Digest | None = None,
        cases: int | None = None,
        charter: Digest | None = None,
        seen: tuple[Seen, ...] = (),
    ) -> Commit:
        """Sign a commit after another of its own, by default the last; its own bench admits it, or lets it wait."""
        own = [commit for commit in self.made if self.feeds and commit.feed == self.feeds[-1].public]
        previous = after or (own[-1] if own else None)
        if previous is None and not self.feeds:
            self.new_feed(self.certificates + 1)
        feed = next((key for key in self.feeds if previous and key.public == previous.feed), self.feeds[-1])
        ruling = self.bench.standing.ruling
        draft = Draft(
            federation=self.world.founding.digest,
            charter=charter or (ruling.digest if ruling is not None else self.world.founding.digest),
            feed=feed.public,
            number=1 if previous is None else previous.number + 1,
            previous=None if previous is None else previous.digest,
            recipe=recipe,
            created=f"whenever {len(self.made)}",
            study=study,
            parents=tuple(sorted(parents)),
            tree=tree,
            action=action,
            cases=cases,
            seen=seen,
            certificate=self._next_certificate if previous is None else None,
        )
        commit = sign_commit(draft, feed)
        self.made.append(commit)
        self.bench.admit([commit.raw], "self")
        return commit

    def keep(self, kind: str) -> Digest | None:
        """Keep a model of some kind, well formed or not; return its tree."""
        weights, store = toy_weights(self.numbers), self.bench.store
        if kind in {"nan", "infinite"}:
            weights["narrow"][1] = float("nan") if kind == "nan" else float("inf")
        blobs = [bytes(blob) for blob in blobs_of(SCHEMA, weights)]
        schema = {"foreign": FOREIGN, "giant": GIANT}.get(kind, SCHEMA)
        if kind in {"foreign", "giant"}:
            blobs = [bytes(schema.nbytes)]
        if kind in {"few", "many"}:
            blobs = blobs[:1] if kind == "few" else [*blobs, b"more"]
        if kind == "short":
            blobs[0] = blobs[0][:-8]
        raw = bytes.fromhex(schema.digest + "".join(store.add(blobs)))
        store.add([schema.raw, raw])
        return None if kind == "no-tree" else name_of_tree(raw)

    # ----------------------------------------------------------------------------------------------- deeds

    def act(self, deed: str) -> list[bytes]:
        """Do something that only a member can do; return the commits' bytes."""
        before = len(self.made)
        studies = [steps for _, steps in sorted(self.bench.studies.items())]
        steps = self.draw.choice(studies) if studies else None
        if deed in {"train", "again", "cases", "merge", "lost", "accuse", "evaluate", "trouble"} and steps is not None:
            self._in_study(deed, steps)
        elif deed in {"fork", "backdate"}:
            feed = self.draw.choice(self.feeds).public
            own = [commit for commit in self.made if commit.feed == feed]
            self.write(Recipe("note"), after=own[-2] if deed == "fork" and len(own) > 1 else self.draw.choice(own))
        elif deed in {"feed", "double-feed"}:
            self.new_feed(self.certificates + (deed == "feed"))
            self.write(Recipe("note"))
        elif deed in {"vote", "recover"}:
            self._on_charters(deed)
        elif deed == "seen":
            self.write(Recipe("note"), seen=(Seen(self.feeds[0].public, 7, self.world.founding.digest),))
        elif deed == "recipe":
            self.write(Recipe("teleport", 3, {"charter": "nowhere", "ballot": "none"}))
        elif deed == "study":
            name, sites = self.draw.choice(["unheard-of", "forbidden"]), [self.name]
            terms = {"strategy": Named(name), "task": Named("toy"), "steps": 1, "updates": 1, "sites": sites, "seed": 1}
            self.write(study_recipe(title="odd", **terms), tree=self.keep("fair"))  # type: ignore[arg-type]
        return [commit.raw for commit in self.made[before:]]

    def _in_study(self, deed: str, steps: StudyHistory) -> None:
        study, known = steps.study.digest, [step for step in steps if step.digest in self.bench.history]
        base = self.draw.choice(known)
        action = Digest(name_of(b"%d" % (0 if deed == "again" else len(self.made))))
        parents = [Parent("base", base.digest)]
        cases: int | None = self.draw.choice([5, 9, None])
        if deed == "merge":
            self._merge(steps, study)
        elif deed == "accuse":
            merges = [step.digest for step in known if step.kind == "merge"]
            accused = self.draw.choice(merges or [study])
            self.write(Recipe("attest", 1, {"verdict": "FALSE"}), parents=[Parent("input", accused)], study=study)
        elif deed == "trouble":
            self.write(Recipe("trouble", 1, {"action": action, "code": "learner-failed"}), study=study)
        elif deed == "evaluate":
            self.write(Recipe("evaluate"), parents=[Parent("input", base.digest)], study=study, action=action)
        else:
            if deed == "lost" and self.draw.random() < 0.5:
                self.write(Recipe("note"), study=Digest(name_of(b"nobody opened this")))
                return
            if deed == "lost":
                parents = [Parent("base", Digest(name_of(b"nobody has this %d" % len(self.made))))]
            if deed == "cases":
                cases = self.draw.choice([0, 2**31, 2**40])
            tree = self.keep(self.draw.choice(MODELS) if deed == "train" else "fair")
            recipe = Recipe("train", 1, {"step": 1})
            self.write(recipe, parents=parents, study=study, tree=tree, action=action, cases=cases)

    def _merge(self, steps: StudyHistory, study: Digest) -> None:
        inputs = [step for step in steps if step.kind != "merge" and self._has(step.commit.tree)]
        chosen = sorted(self.draw.sample(inputs, min(len(inputs), self.draw.randrange(1, 4))), key=lambda s: s.digest)
        if not chosen:
            return
        kind = self.draw.choice(MERGES)
        weights: list[JSON] = [self.draw.randrange(1, 20) for _ in chosen]
        right = [(str(step.commit.tree), int(str(w))) for step, w in zip(chosen, weights, strict=True)]
        try:
            content = bytearray(mean_of(lambda name: self._read(Digest(name)), right))
        except (NotFound, struct.error, OverflowError):
            return
        if kind == "false":
            content[3] ^= 1
        if kind in {"weights", "zero"}:
            weights[0] = int(str(weights[0])) + 1 if kind == "weights" else 0
        cut = SCHEMA.blob_sizes[0]
        names = self.bench.store.add([bytes(content[:cut]), bytes(content[cut:])])
        raw = bytes.fromhex(SCHEMA.digest + "".join(names))
        self.bench.store.add([SCHEMA.raw, raw])
        rule = "mode" if kind == "other-rule" else "mean"
        parameters: Mapping[str, JSON] = {"rule": rule} | ({} if kind == "unweighted" else {"weights": weights})
        parents = [Parent("input", step.digest) for step in chosen]
        self.write(Recipe("merge", 1, parameters), parents=parents, study=study, tree=name_of_tree(raw))

    def _has(self, name: Digest | None) -> bool:
        stores = [self.bench.store, *(hospital.bench.store for hospital in self.world.up)]
        return name is not None and any(store.has(name) for store in stores)

    def _read(self, name: Digest) -> bytes:
        stores = [self.bench.store, *(hospital.bench.store for hospital in self.world.up)]
        return next((store for store in stores if store.has(name)), self.bench.store).read(name)

    def _on_charters(self, deed: str) -> None:
        ruling = self.bench.standing.ruling
        following = [c for c in self.world.proposals if ruling is not None and c.previous == ruling.digest]
        if not following:
            return
        proposal = self.draw.choice(following)
        self.bench.store.add([proposal.raw])
        self.bench.learn_charter(proposal)
        if deed == "vote":
            self.write(vote_recipe(proposal.digest, self.draw.choice([1, 1, 1, 2])))
        else:
            keys = self.draw.sample(sorted(RECOVERY), self.draw.choice([1, 1, 2]))
            signed = {key: recovery_signature(RECOVERY[key], proposal.digest) for key in keys}
            self.write(recover_recipe(proposal.digest, signed))

    # -------------------------------------------------------------------------------------------- nonsense

    def nonsense(self, kind: str) -> bytes:
        """Return bytes that nobody may ever take for a commit of this federation."""
        victim = self.draw.choice([entry.commit for entry in self.bench.history])
        raw, key = victim.raw, FeedKey(b"o" * 32)
        body = json.loads(raw[64:])
        if kind == "flipped":
            place = self.draw.randrange(len(raw))
            return raw[:place] + bytes([raw[place] ^ 1 << self.draw.randrange(8)]) + raw[place + 1 :]
        if kind in {"cut-off", "random", "oversized", "spaces"}:
            spaced = raw[:64] + raw[64:].replace(b",", b", ")
            odd = {"cut-off": raw[:-3], "random": self.draw.randbytes(300), "oversized": raw + b" " * 2**18}
            return odd.get(kind, spaced)
        if kind == "forged":
            return key.sign(COMMIT_TAG + raw[64:]) + raw[64:]
        if kind == "chain":
            last = self.made[-1]
            feed = next(feed for feed in self.feeds if feed.public == last.feed)
            later = {field: value for field, value in json.loads(last.raw[64:]).items() if field != "certificate"}
            return self._resigned({**later, "number": last.number + 2, "previous": last.digest}, feed)
        outsider = SiteKey(b"q" * 32)
        federation = Digest(name_of(b"elsewhere")) if kind == "federation" else self.world.founding.digest
        certificate = certify(outsider, federation=federation, feed=key.public, number=1, ends=None).to_json()
        signature = outsider.sign(b"") if kind == "stolen" else outsider.sign(_certificate_text(certificate))
        certificate["site"] = victim.certificate.site if victim.certificate and kind == "stolen" else outsider.public
        body |= {"federation": federation, "feed": key.public, "number": 1, "parents": [], "seen": []}
        body |= {"certificate": {**certificate, "signature": signature.hex()}, "charter": self.world.founding.digest}
        return self._resigned(
            {field: value for field, value in body.items() if field not in {"previous", "study"}}, key
        )

    def _resigned(self, body: Mapping[str, JSON], key: FeedKey) -> bytes:
        text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        return key.sign(COMMIT_TAG + text) + text


def name_of_tree(raw: bytes) -> Digest:
    return Digest(name_of(raw))


def _certificate_text(fields: Mapping[str, JSON]) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return b"imagiq feed certificate 1\n" + text
