"""What is true of a set of commits, worked out again from their bytes: plain dictionaries, nothing of imagiq imported.

Order of arrival cannot matter here, since there is none: a :class:`Model` is made anew from the whole set each time.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Body = Mapping[str, Any]
Read = Callable[[Any], bytes]
FLOAT64S, FLOAT32S, INTEGERS, MOMENTS = 5, 3, 2, 4
BLOB_SIZES = (8 * FLOAT64S + 4 * FLOAT32S + 8 * INTEGERS, 4 * MOMENTS)
"""The models of the machines' learner: two groups, so two blobs."""


def name_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


@lru_cache(maxsize=10_000)
def read_commit(raw: bytes) -> tuple[str, Body]:
    """Return a commit's name and fields; its signature is the author's, or this fails."""
    body = json.loads(raw[64:])
    assert body.get("federation") is not None
    _check(body["feed"], raw[:64], b"imagiq commit 1\n" + raw[64:])
    certificate = body.get("certificate")
    assert (certificate is None) == (body["number"] > 1) == ("previous" in body)
    if certificate is not None:
        signed = {key: value for key, value in certificate.items() if key != "signature"}
        text = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        _check(certificate["site"], bytes.fromhex(certificate["signature"]), b"imagiq feed certificate 1\n" + text)
        assert (certificate["feed"], certificate["federation"]) == (body["feed"], body["federation"])
    return name_of(raw), body


def _check(key: str, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(signature, message)


@dataclass(frozen=True)
class Line:
    versions: tuple[str, ...]
    rivals: tuple[str, ...]
    enacted: frozenset[str]


@dataclass(frozen=True)
class Steps:
    """A study: each step's progress; which count, in causal order, by site and kind."""

    progress: Mapping[str, tuple[int, ...]]
    trainings: Mapping[str, Sequence[str]]
    merges: Sequence[str]

    @property
    def all_trainings(self) -> Sequence[str]:
        return [digest for trainings in self.trainings.values() for digest in trainings]


class Model:
    """All that follows from a set of commits and the charters that they name."""

    def __init__(self, raws: Iterable[bytes], charters: Mapping[Any, bytes], founding: str) -> None:
        self.commits: dict[str, Body] = dict(sorted(map(read_commit, raws), key=lambda item: item[1]["number"]))
        self.charters: dict[str, Body] = {name: json.loads(raw) for name, raw in charters.items()}
        self.founding = founding
        self.first: dict[str, str] = {}
        self.cuts: dict[str, Body] = {}
        for digest, body in self.commits.items():
            self.first[digest] = digest if body["number"] == 1 else self.first[body["previous"]]
            before = self.commits.get(body.get("previous", ""), {"feed": body["feed"], "number": 0})
            assert (before["feed"], before["number"]) == (body["feed"], body["number"] - 1)
        self.heights: dict[str, int] = {}
        for digest in self.commits:
            self._measure(digest)

    def _measure(self, digest: str) -> None:
        to_do = [digest]
        while to_do:
            body = self.commits[to_do[-1]]
            below = [parent["commit"] for parent in body["parents"]]
            below += [body["previous"]] if "previous" in body else []
            if missing := [one for one in below if one not in self.heights]:
                to_do += missing
            else:
                self.heights[to_do.pop()] = 1 + max((self.heights[one] for one in below), default=0)

    def order(self, digest: str) -> tuple[int, str]:
        return self.heights[digest], digest

    def site(self, digest: str) -> str:
        return str(self.commits[self.first[digest]]["certificate"]["site"])

    def certificate(self, digest: str) -> int:
        return int(self.commits[self.first[digest]]["certificate"]["number"])

    def base(self, digest: str) -> str | None:
        bases = [parent["commit"] for parent in self.commits[digest]["parents"] if parent["role"] == "base"]
        return bases[0] if len(bases) == 1 else None

    def merged(self, digest: str) -> set[str]:
        return {parent["commit"] for parent in self.commits[digest]["parents"] if parent["role"] == "input"}

    def author(self, digest: str) -> str:
        names = self._names(self.commits[digest]["charter"])
        return names.get(self.site(digest), self.site(digest)[:12])

    def _names(self, charter: str) -> dict[str, str]:
        return {member["site_key"]: member["name"] for member in self.charters[charter]["members"]}

    @cached_property
    def heads(self) -> dict[str, tuple[str, ...]]:
        followed = {body.get("previous") for body in self.commits.values()}
        found = defaultdict(list)
        for digest, body in self.commits.items():
            if digest not in followed:
                found[body["feed"]].append(digest)
        return {feed: tuple(sorted(heads)) for feed, heads in found.items()}

    @cached_property
    def forks(self) -> dict[str, int]:
        """The feeds that fork, each with the first number used twice."""
        places = defaultdict(set)
        for digest, body in self.commits.items():
            places[body["feed"], body["number"]].add(digest)
        twice = sorted((number, feed) for (feed, number), there in places.items() if len(there) > 1)
        return {feed: number for number, feed in reversed(twice)}

    @cached_property
    def certified_twice(self) -> set[tuple[str, int]]:
        feeds = defaultdict(set)
        for digest, body in self.commits.items():
            feeds[self.site(digest), self.certificate(digest)].add(body["feed"])
        return {place for place, named in feeds.items() if len(named) > 1}

    # ------------------------------------------------------------------------------------------- charters

    @cached_property
    def votes(self) -> set[tuple[str, int, str, str]]:
        """Base, ballot, voter, charter."""
        found = set()
        for digest, body in self.commits.items():
            recipe, base = body["recipe"], body["charter"]
            proposal = self.charters.get(recipe["parameters"].get("charter", ""))
            if (recipe["name"], recipe["version"]) != ("vote", 1) or proposal is None:
                continue
            name = str(recipe["parameters"]["charter"])
            voter = self._names(base).get(self.site(digest))
            may = voter is not None and (proposal["version"] == 1 or voter in self.charters[base]["voters"])
            if may and base == proposal.get("previous", name):
                found.add((base, int(recipe["parameters"]["ballot"]), str(voter), name))
        return found

    @cached_property
    def recoveries(self) -> dict[str, set[str]]:
        """The recovery keys that signed each charter."""
        found = defaultdict(set)
        for body in self.commits.values():
            recipe = body["recipe"]
            name = recipe["parameters"].get("charter", "")
            base = self.charters.get(self.charters.get(name, {}).get("previous", ""))
            if recipe["name"] != "recover" or base is None:
                continue
            for key in base["recovery"]:
                try:
                    signature = bytes.fromhex(recipe["parameters"]["signatures"].get(key, ""))
                    _check(key, signature, b"imagiq recovery 1\n" + bytes.fromhex(name))
                except InvalidSignature:
                    continue
                found[name].add(key)
        return found

    @cached_property
    def line(self) -> Line:
        if not self._won(self.founding, len(self.charters[self.founding]["members"]) - 1):
            return Line((), (), frozenset({self.founding}))
        versions, rivals = self._settle()
        return Line(versions, rivals, frozenset(self._enact((self.founding,))))

    def _won(self, charter: str, more_than: float) -> bool:
        by_ballot = defaultdict(set)
        for _, ballot, voter, voted in self.votes:
            if voted == charter:
                by_ballot[ballot].add(voter)
        return any(len(voters) > more_than for voters in by_ballot.values())

    def followers(self, path: tuple[str, ...]) -> list[str]:
        """Return the charters that may follow a line of versions."""
        last = self.charters[path[-1]]
        names = {key: name for version in path for key, name in self._names(version).items()}
        present = self._names(path[-1])
        return [
            digest
            for digest, charter in sorted(self.charters.items())
            if (charter.get("previous"), charter["version"]) == (path[-1], last["version"] + 1)
            and charter.get("federation") == self.founding
            and all(names.get(key, name) == name for key, name in self._names(digest).items())
            and not (set(names) - set(present)) & set(self._names(digest))
        ]

    def _winners(self, path: tuple[str, ...]) -> tuple[list[str], list[str]]:
        last, follow = self.charters[path[-1]], self.followers(path)
        signed = [name for name in follow if 2 * len(self.recoveries.get(name, ())) > len(last["recovery"]) > 0]
        return signed, [name for name in follow if self._won(name, len(last["voters"]) / 2)]

    def _settle(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        path: tuple[str, ...] = (self.founding,)
        while True:
            signed, voted = self._winners(path)
            winners = signed or voted
            if len(winners) != 1:
                return path, tuple(winners)
            path += (winners[0],)

    def _enact(self, path: tuple[str, ...]) -> Iterable[str]:
        yield path[-1]
        signed, voted = self._winners(path)
        for name in {*signed, *voted}:
            yield from self._enact((*path, name))

    # --------------------------------------------------------------------------------------------- states

    @cached_property
    def states(self) -> dict[str, str]:
        found: dict[str, str] = {}
        self.cuts = {}
        if self.line.versions:
            self.cuts = {cut["feed"]: cut for cut in self.charters[self.line.versions[-1]]["cuts"]}
        for digest in sorted(self.commits, key=self.order):
            below = [found[parent["commit"]] for parent in self.commits[digest]["parents"]]
            if self._is_void(digest):
                found[digest] = "void"
            elif self._is_contested(digest):
                found[digest] = "contested"
            else:
                found[digest] = "sound" if set(below) <= {"sound"} else "tainted"
        return found

    def _is_void(self, digest: str) -> bool:
        body = self.commits[digest]
        recipe = body["recipe"]
        is_word = recipe["name"] in {"vote", "recover"} and recipe["version"] == 1
        if not self.line.versions or (is_word and not body["parents"] and "tree" not in body):
            return False
        cut = self.cuts.get(body["feed"])
        if cut is None:
            return self.site(digest) not in self._names(self.line.versions[-1])
        if cut["commit"] not in self.commits:
            return bool(body["number"] > cut["number"])
        stands: str | None = cut["commit"]
        while stands is not None and stands != digest:
            stands = self.commits[stands].get("previous")
        return stands is None

    def _is_contested(self, digest: str) -> bool:
        body = self.commits[digest]
        if self.cuts.get(body["feed"], {"commit": ""})["commit"] in self.commits:
            return False
        forked = body["number"] >= self.forks.get(body["feed"], body["number"] + 1)
        return forked or (self.site(digest), self.certificate(digest)) in self.certified_twice

    def is_input(self, digest: str) -> bool:
        return self.states[digest] in {"sound", "tainted"}

    @cached_property
    def inputs(self) -> set[str]:
        return {digest for digest in self.commits if self.is_input(digest)}

    # ---------------------------------------------------------------------------------------------- studies

    @cached_property
    def studies(self) -> dict[str, Steps]:
        return {digest: self._steps(digest) for digest in self.commits if self._opens(digest)}

    def _opens(self, digest: str) -> bool:
        body = self.commits[digest]
        terms = body["recipe"]["parameters"]
        if body["recipe"]["name"] != "study" or self.states[digest] == "void" or "tree" not in body:
            return False
        allowed = self.charters[body["charter"]]["rules"].get("strategies")
        return allowed is None or terms["strategy"]["name"] in allowed

    def sites(self, study: str) -> tuple[str, ...]:
        return tuple(sorted(set(self.commits[study]["recipe"]["parameters"]["sites"])))

    def _steps(self, study: str) -> Steps:
        sites = self.sites(study)
        budget = self.commits[study]["recipe"]["parameters"]["budget"]["steps"]
        progress: dict[str, tuple[int, ...]] = {study: (0,) * len(sites)}
        done: set[tuple[str, str]] = set()
        trainings: dict[str, list[str]] = {site: [] for site in sites}
        merges: list[str] = []
        for digest in sorted(self.commits, key=self.order):
            body, author = self.commits[digest], self.author(digest)
            below = [parent["commit"] for parent in body["parents"]]
            kind = body["recipe"]["name"]
            if body.get("study") != study or "tree" not in body or not _has_form(body):
                continue
            if author not in sites or not progress.keys() >= set(below):
                continue
            counts = [max(column) for column in zip(*(progress[one] for one in below), strict=True)]
            counts[sites.index(author)] += kind == "train"
            progress[digest] = tuple(counts)
            action = body.get("action")
            if not self.is_input(digest) or (author, action) in done:
                continue
            within = counts[sites.index(author)] <= budget and 0 < body.get("cases", 1) < 2**31
            if kind == "train" and not within:
                continue
            done |= set() if action is None else {(author, action)}
            (merges if kind == "merge" else trainings[author]).append(digest)
        return Steps(progress, trainings, merges)


def _has_form(body: Body) -> bool:
    roles = [parent["role"] for parent in body["parents"]]
    recipe = (body["recipe"]["name"], body["recipe"]["version"])
    if recipe == ("train", 1):
        return roles.count("base") == 1 and "input" not in roles
    return recipe == ("merge", 1) and "input" in roles and roles.count("base") <= 1


# ------------------------------------------------------------------------------------------------- arithmetic


def tree_of(read: Read, tree: str) -> tuple[str, tuple[str, ...]]:
    """Return a tree's schema and blobs, by name."""
    raw = read(tree)
    names = [raw[at : at + 32].hex() for at in range(0, len(raw), 32)]
    return names[0], tuple(names[1:])


def numbers_of(read: Read, tree: str) -> tuple[list[float], list[float], list[int]]:
    """Return the float64s, the float32s and the integers of a model of the machines' learner."""
    content = b"".join(read(blob) for blob in tree_of(read, tree)[1])
    values = struct.unpack(f"<{FLOAT64S}d{FLOAT32S}f{INTEGERS}q{MOMENTS}f", content)
    at = FLOAT64S + FLOAT32S
    wide, narrow, whole = values[:FLOAT64S], values[FLOAT64S:at], values[at : at + INTEGERS]
    return list(wide), [*narrow, *values[at + INTEGERS :]], list(whole)


def mean_of(read: Read, inputs: Iterable[tuple[str, int]]) -> bytes:
    """Return the one right merge of (tree, weight), as the bytes of all its blobs; Python's floats are float64."""
    together: dict[str, int] = defaultdict(int)
    for tree, weight in inputs:
        together[tree] += weight
    models = [(numbers_of(read, tree), together[tree]) for tree in sorted(together)]
    total = sum(together.values())
    wide, narrow = [0.0] * FLOAT64S, [0.0] * (FLOAT32S + MOMENTS)
    for (wides, narrows, _), weight in models:
        wide = [acc + x * float(weight) for acc, x in zip(wide, wides, strict=True)]
        narrow = [acc + x * float(weight) for acc, x in zip(narrow, narrows, strict=True)]
    narrow = [acc / float(total) for acc in narrow]
    sums = [sum(Fraction(whole[place]) * weight for (_, _, whole), weight in models) for place in range(INTEGERS)]
    return struct.pack(
        f"<{FLOAT64S}d{FLOAT32S}f{INTEGERS}q{MOMENTS}f",
        *(acc / float(total) for acc in wide),
        *narrow[:FLOAT32S],
        *(round(Fraction(one) / total) for one in sums),
        *narrow[FLOAT32S:],
    )
