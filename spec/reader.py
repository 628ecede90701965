"""A second reader of imagiq repositories, from the documents in this folder alone: ``reader.py FOLDER [--json]``."""
# ruff: noqa: D101, D102, D103, INP001, T201 - a script that prints; where a name says it all, nothing stands below it

import json
import math
import re
import sys
from collections import Counter, defaultdict
from contextlib import suppress
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Json: TypeAlias = dict[str, Any]
P, L, BLOB = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493, 4_194_304
ORDER_8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
FLOATS = {"float64": (53, 1023), "float32": (24, 127), "float16": (11, 15), "bfloat16": (8, 127)}
# Kind and fields: "?": optional; "=", form. Form: kind, ":", bound; arrays: "*", how many at most, "^" and by what they rise.
FORMS = r"""charter kind=word:charter title=text:256 version=int:1 previous?=hex:64 federation?=hex:64 rules=json members=member*4096^name voters=text:64*4096^ recovery=hex:64*64^ cuts=sighting*16384^feed
member name=word:[^\0-\x1f\x7f-\x9f]{1,64} site_key=hex:64 exchange_key=hex:64; sighting feed=hex:64 number=int:1 commit=hex:64; json
schema kind=word:schema groups=group*1024 architecture=json channels=text:4194304*1024 labels=each:int:0 preprocessing=json
tensor name=word:(?s:.){1,512} dtype=word:u?int(8|16|32|64)|float(16|32|64|8_e4m3fn|8_e5m2)|bfloat16|bool shape=int:0*16 rule=word:mean|max|min|equal; group name=text:512 tensors=tensor*100000
commit federation=hex:64 charter=hex:64 feed=hex:64 number=int:1 previous?=hex:64 certificate?=certificate study?=hex:64 parents=parent*1024^role,commit recipe=recipe tree?=hex:64 action?=hex:64 metrics=each:metric cases?=int:0 seen=sighting*1024^feed,number,commit created=text:64
certificate federation=hex:64 site=hex:64 feed=hex:64 number=int:1 ends?=hex:64 signature=hex:128; parent role=word:base|input|state commit=hex:64; recipe name=text:64 version=int:1 parameters=json seed?=int:0"""
RECORDS = {kind: [field.split("=") for field in fields] for kind, *fields in map(str.split, re.split("; |\n", FORMS))}


class Bad(Exception): ...  # what the format refuses; its argument says why in a word


def need(holds: object, why: str) -> None:
    if not holds:
        raise Bad(why)


def canonical(value: object, depth: int = 16) -> str:
    need(depth or not isinstance(value, dict | list), "json")
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name], depth - 1)}" for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth - 1) for item in value) + "]"
    need(not isinstance(value, float) and (not isinstance(value, int) or abs(value) < 2**53), "json")
    return json.dumps(value, ensure_ascii=False)


def fits(value: Any, form: str) -> bool:  # noqa: ANN401 - foreign JSON
    form, _, most = form.partition("*")
    if most:
        most, rises, keys = most.partition("^")
        good = isinstance(value, list) and len(value) <= int(most) and all(fits(item, form) for item in value)
        marks = [tuple(item[k] for k in keys.split(",")) if keys else item for item in value if rises] if good else []
        return good and marks == sorted(set(marks))
    kind, _, bound = form.partition(":")
    if pattern := {"text": "(?s:.){0,%s}", "hex": "[0-9a-f]{%s}", "word": "%s"}.get(kind):
        return isinstance(value, str) and re.fullmatch(pattern % bound, value) is not None
    if kind == "metric" and isinstance(value, str):  # the shortest decimal of a float64, as ECMAScript writes it
        x = float(value) if re.fullmatch(r"-?[0-9]{1,21}(\.[0-9]{1,23})?(e[+-][0-9]{1,3})?", value) else math.inf
        plain = np.format_float_positional(x, trim="-") if x == 0 or 1e-6 <= abs(x) < 1e21 else ""
        return math.isfinite(x) and value == (plain or re.sub("(e.)0", r"\1", repr(x))) != "-0"
    if kind in {"int", "metric"}:
        return type(value) is int and (kind == "metric" or value >= int(bound))
    if not isinstance(value, dict) or kind == "each":
        return isinstance(value, dict) and all(fits(item, bound) for item in value.values())
    return all(fits(value[n.rstrip("?")], f) if n.rstrip("?") in value else n[-1] == "?" for n, f in RECORDS[kind])


def read_json(raw: bytes, limit: int, kind: str) -> Json:
    need(len(raw) <= limit, "size")
    try:
        value = json.loads(raw)
        need(isinstance(value, dict) and canonical(value).encode() == raw, "json")
    except (ValueError, RecursionError) as error:
        raise Bad("json") from error
    need(not fits(value.get("format"), "int:0") or value["format"] == 1, "format")
    need(fits(value.get("format"), "int:1") and fits(value, kind), "form")
    return dict(value)


def signs(key: str, signature: Any, message: bytes) -> bool:  # noqa: ANN401 - foreign JSON
    raw = bytes.fromhex(signature) if fits(signature, "hex:128") else b"\xff" * 64
    y, s = (int.from_bytes(number, "little") for number in (bytes.fromhex(key), raw[32:]))
    if y % 2**255 < P and y % 2**255 not in {0, 1, P - 1, ORDER_8, P - ORDER_8} and s < L:
        with suppress(InvalidSignature):  # OpenSSL checks the equation without the cofactor and compares R as bytes
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(raw, message)
            return True
    return False


def read_commit(raw: bytes) -> Json:
    commit = read_json(raw[64:], 262_080, "commit")
    proof = commit.get("certificate")
    need((commit["number"] > 1) == ("previous" in commit) == (proof is None), "form")
    need(signs(commit["feed"], raw[:64].hex(), b"imagiq commit 1\n" + raw[64:]), "signature")
    if proof:
        need((proof["federation"], proof["feed"]) == (commit["federation"], commit["feed"]), "certificate")
        signed = canonical({field: value for field, value in proof.items() if field != "signature"})
        need(signs(proof["site"], proof["signature"], f"imagiq feed certificate 1\n{signed}".encode()), "signature")
    return commit


def read_charter(raw: bytes) -> Json:
    charter = read_json(raw, 1_048_576, "charter")
    names = {member["site_key"]: member["name"] for member in charter["members"]}
    keys = {*names, *(member["exchange_key"] for member in charter["members"])}
    need(len(keys) == 2 * len(charter["members"]) and set() < set(charter["voters"]) <= set(names.values()), "form")
    need((charter["version"] > 1) == ("previous" in charter) == ("federation" in charter), "form")
    return charter | {"names": names, "sites": names.items()}


def read_schema(raw: bytes) -> tuple[list[Json], list[int]]:
    groups, sizes = read_json(raw, BLOB, "schema")["groups"], list[int]()
    tensors = [tensor for group in groups for tensor in group["tensors"]]
    for tensor, kind, rule in ((tensor, tensor["dtype"], tensor["rule"]) for tensor in tensors):
        tensor["size"] = math.prod(tensor["shape"]) * int((re.findall("[0-9]+", kind) or "8")[0]) // 8
        need(rule == ("equal" if kind == "bool" else "mean" if "float" in kind else rule), "form")
    need(all(len({item["name"] for item in items}) == len(items) for items in (groups, tensors)), "form")
    need(len(tensors) <= 100_000 and sum(tensor["size"] for tensor in tensors) <= 2**41, "form")
    for group in groups:
        runs = [0]
        for size in (tensor["size"] for tensor in group["tensors"]):
            runs[-1:] = [runs[-1], size, 0] if size >= 65_536 else [runs[-1] + size]
        sizes += [min(BLOB, run - at) for run in runs for at in range(0, run, BLOB)]
    return tensors, sizes


def rounded(exact: Fraction, bits: int = 53, largest: int = 1023) -> float:
    top = abs(exact.numerator).bit_length() - exact.denominator.bit_length()
    unit = Fraction(2) ** (max(top - (abs(exact) < Fraction(2) ** top), 1 - largest) - bits + 1)
    value = abs(round(exact / unit) * unit)  # ties to even
    return (-1 if exact < 0 else 1) * (float(value) if value < 2 ** (largest + 1) else math.inf)


def mean(row: tuple[Any, ...], weights: list[int], kind: str) -> float:
    if kind not in FLOATS:
        return round(Fraction(sum(x * n for x, n in zip(row, weights, strict=True)), sum(weights)))
    acc = 0.0
    for x, n in zip(row, weights, strict=True):  # what is not finite is left to the machine
        product = rounded(Fraction(x) * n) if math.isfinite(x) else x
        acc = rounded(Fraction(acc) + Fraction(product)) if math.isfinite(acc + product) else acc + product
    acc = rounded(Fraction(acc) / sum(weights)) if math.isfinite(acc) else acc
    narrow = rounded(Fraction(acc), *FLOATS[kind]) if acc and math.isfinite(acc) else acc
    return math.nan if math.isnan(narrow) else narrow


def merged(tensor: Json, states: list[bytes], weights: list[int]) -> bytes:
    kind, rule, half = tensor["dtype"], tensor["rule"], tensor["dtype"] == "bfloat16"
    if rule == "equal":
        need(len(set(states)) == 1 and (kind != "bool" or max(states[0], default=0) < 2), "FALSE")
        return states[0]
    wide = [b"".join(b"\0\0" + raw[at : at + 2] for at in range(0, len(raw), 2)) for raw in states if half]
    plain = np.dtype("float32" if half else kind).newbyteorder("<")
    choose = {"max": max, "min": min}.get(rule, lambda row: mean(row, weights, kind))
    rows = zip(*(np.frombuffer(raw, plain).tolist() for raw in wide or states), strict=True)
    result = np.array([choose(row) for row in rows], plain).tobytes()
    return b"".join(result[at : at + 2] for at in range(2, len(result), 4)) if half else result


class Repository:
    def __init__(self, folder: Path) -> None:
        need((folder / "format").read_bytes() == b"imagiq repository 1\n", "format")
        self._folder, self.problems, self._charters = folder, dict[str, str](), dict[str, Json]()
        self._commits, self.states, before = dict[str, Json](), dict[str, str](), -1
        names = sorted(path.parent.name + path.name for path in (folder / "commits").glob("??/*"))
        found = {name: commit for name in names if (commit := self.note(name, self.read, name, read_commit, "commits"))}
        self.federation = Counter(commit["federation"] for commit in found.values()).most_common(1)[0][0]
        self.enacted = [self.federation]
        while before < len(self._commits):  # what is admitted may enact a charter, under which more is admitted
            before = len(self._commits)
            for name in sorted(found.keys() - self._commits.keys(), key=lambda name: (found[name]["number"], name)):
                if proof := self.note(name, self.admit, found[name]):
                    self._commits[name] = found[name] | {"proof": proof}
            self.follow_line()
        self.judge()
        held = [(name, commit) for name, commit in self._commits.items() if "tree" in commit]
        self.models = {name: self.note(name, self.check, commit) or self.problems[name] for name, commit in held}

    def note(self, name: str, call: Any, *given: object) -> Any:  # noqa: ANN401 - what call gives
        self.problems.pop(name, None)
        try:
            return call(*given)
        except Bad as bad:
            self.problems[name] = str(bad)
            return None

    def read(self, name: str, parse: Any = bytes, kind: str = "objects") -> Any:  # noqa: ANN401 - what parse gives
        path = self._folder / kind / name[:2] / name[2:]
        need(path.is_file(), "not held")
        need(sha256(path.read_bytes()).hexdigest() == name, "damaged")
        return parse(path.read_bytes())

    def charter(self, name: Any) -> Json:  # noqa: ANN401 - foreign JSON
        need(fits(name, "hex:64"), "waiting")
        self._charters[name] = self._charters.get(name) or self.read(name, read_charter)
        need(self._charters[name].get("federation", name) == self.federation, "federation")
        return self._charters[name]

    def admit(self, c: Json) -> Json:
        named = {c.get("previous"), c.get("study"), *(parent["commit"] for parent in c["parents"])}
        need(named - {None} <= self._commits.keys(), "waiting")
        first = {"feed": c["feed"], "number": 0, "proof": c.get("certificate")}
        old, recipe = self._commits.get(c.get("previous", ""), first), c["recipe"]
        need((self.federation, old["feed"], old["number"] + 1) == (c["federation"], c["feed"], c["number"]), "chain")
        need(old["proof"]["site"] in self.charter(c["charter"])["names"], "member")
        need(c["charter"] in self.enacted, "waiting")
        proposal = recipe["parameters"].get("charter") if recipe["name"] in {"vote", "recover"} else None
        need(not fits(proposal, "hex:64") or self.charter(proposal), "waiting")
        return dict(old["proof"])

    def follow_line(self) -> None:
        votes, signed, most = defaultdict[Any, set[str]](set), defaultdict[str, set[str]](set), Counter[str]()
        for commit in self._commits.values():
            recipe, terms = commit["recipe"], commit["recipe"]["parameters"]
            name, ballot, given = terms.get("charter"), terms.get("ballot"), terms.get("signatures")
            with suppress(Bad):
                need((recipe["name"], recipe["version"]) in {("vote", 1), ("recover", 1)}, "no vote")
                before = self.charter(name).get("previous", name)
                base = self.charter(before)
                if recipe["name"] == "vote" and commit["charter"] == before and fits(ballot, "int:1"):
                    voters = set(base["voters"] if name != before else base["names"].values())
                    votes[name, ballot] |= {base["names"].get(commit["proof"]["site"])} & voters
                    most[name] = max(most[name], len(votes[name, ballot]))
                elif recipe["name"] == "recover" and isinstance(given, dict) and name != before:
                    message = b"imagiq recovery 1\n" + bytes.fromhex(name)
                    signed[name] |= {key for key in base["recovery"] if signs(key, given.get(key), message)}

        def follow(path: list[str], charters: dict[str, Json] = self._charters) -> tuple[list[str], list[str]]:
            self.enacted += [path[-1]] * (path[-1] not in self.enacted)
            last, old = charters[path[-1]], {key for name in path for key in charters[name]["names"]}
            follows = {"previous": path[-1], "version": last["version"] + 1, "federation": self.federation}.items()
            right = ((name, c, dict(c["sites"] - last["sites"])) for name, c in charters.items())
            after = [name for name, c, new in right if follows <= c.items() and old.isdisjoint(new)]
            settling = sorted(n for n in after if 2 * len(signed[n]) > len(last["recovery"]))
            voted = sorted(n for n in after if 2 * most[n] > len(last["voters"]))
            ends, won = {n: follow([*path, n]) for n in {*settling, *voted}}, settling or voted
            return ends[won[0]] if len(won) == 1 else (path, won)

        founded = most[self.federation] >= len(self.charter(self.federation)["names"])
        self.line, self.rivals = follow([self.federation]) if founded else ([], [])

    def judge(self) -> None:
        ruling, commits = self._charters[self.line[-1]] if self.line else {"cuts": []}, self._commits.values()
        cuts, chains = {cut["feed"]: cut for cut in ruling["cuts"]}, defaultdict[str, set[str]](set)
        for feed, cut in cuts.items():
            at = cut["commit"]
            while at in self._commits:
                chains[feed].add(at)
                at = self._commits[at].get("previous")
        places = Counter((c["feed"], c["number"]) for c in commits)
        self.forks = {feed: number for (feed, number), n in sorted(places.items(), reverse=True) if n > 1}
        certified = Counter(key[:2] for key in {(c["proof"]["site"], c["proof"]["number"], c["feed"]) for c in commits})
        self.double_certificates = sorted(key for key, n in certified.items() if n > 1)
        for name, c in self._commits.items():
            feed, number, site = c["feed"], c["number"], c["proof"]["site"]
            beyond = name not in chains[feed] if chains[feed] else feed in cuts and number > cuts[feed]["number"]
            gone = beyond or (self.line and feed not in cuts and site not in ruling["names"])
            twice = number >= self.forks.get(feed, math.inf) or certified[site, c["proof"]["number"]] > 1
            sound = all(self.states[parent["commit"]] == "sound" for parent in c["parents"])
            worth = "contested" if twice and not chains[feed] else "sound" if sound else "tainted"
            word = f"{c['recipe']['name']} {c['recipe']['version']} {c['parents']} {c.get('tree')}"
            self.states[name] = worth if word in {"vote 1 [] None", "recover 1 [] None"} or not gone else "void"
        followed = {c.get("previous") for c in commits}
        self.heads = sorted((c["feed"], name) for name, c in self._commits.items() if name not in followed)

    def model(self, tree: str) -> tuple[str, list[Json], bytes]:
        raw = self.read(tree)
        names = [raw[at : at + 32].hex() for at in range(0, len(raw), 32)]
        need(names and len(raw) % 32 == 0, "form")
        tensors, sizes = self.read(names[0], read_schema)
        blobs = [self.read(name) for name in names[1:]]
        need([len(blob) for blob in blobs] == sizes, "form")
        return names[0], tensors, b"".join(blobs)

    def check(self, commit: Json) -> str:
        terms, at = commit["recipe"]["parameters"], 0
        schema, tensors, claimed = self.model(commit["tree"])
        if commit["recipe"]["name"] != "merge":
            return "complete"
        need(commit["recipe"]["version"] == 1 and terms.get("rule") == "mean", "unknown")
        inputs = [self._commits[p["commit"]].get("tree", "") for p in commit["parents"] if p["role"] == "input"]
        weights = terms["weights"] if fits(terms.get("weights"), "int:1*1024") else []
        need(len(weights) == len(inputs) > 0 and all(inputs) and max(weights) < 2**31, "FALSE")
        total = {tree: sum(n for t, n in zip(inputs, weights, strict=True) if t == tree) for tree in sorted(inputs)}
        models = [self.model(tree) for tree in total]
        need(all(model[0] == schema for model in models) and "float8" not in {t["dtype"][:6] for t in tensors}, "FALSE")
        for tensor in tensors:
            here = slice(at, at := at + tensor["size"])
            need(merged(tensor, [model[2][here] for model in models], [*total.values()]) == claimed[here], "FALSE")
        return "verified"


if __name__ == "__main__":
    report = {key: found for key, found in vars(Repository(Path(sys.argv[1]))).items() if key[0] != "_"}
    print(json.dumps(report, indent=None if "--json" in sys.argv else 2))
    sys.exit(not set(report["problems"].values()) <= {"not held", "unknown"})  # 1: something is damaged or false
