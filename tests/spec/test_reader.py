"""The second reader, under 300 lines and from the documents alone, finds what imagiq finds."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from imagiq.bench.repository import open_repository
from imagiq.bench.verify import verify
from imagiq.errors import Unsupported
from imagiq.exchange import FolderRemote
from imagiq.objects import Commit, Cut, Digest, Recipe, digest_of
from spec import reader
from spec.vectors.builder import SCHEMA, Federation, Site, founding, successor
from spec.vectors.damage import resigned
from spec.vectors.scenes import SCENES, answers
from tests.exchange.ward import Ward

READER = Path(str(reader.__file__))
FIXTURES = Path(__file__).parents[1] / "fixtures"
REPOSITORY = FIXTURES / "format-1" / ".imagiq"
ANNA, BERT, CARL, DORA = (Site(name) for name in ("anna", "bert", "carl", "dora"))


def read(folder: Path) -> tuple[int, dict[str, Any]]:
    """Run the reader as a user would; return its exit code and what it found."""
    done = subprocess.run(
        [sys.executable, str(READER), str(folder), "--json"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, dict(json.loads(done.stdout))


def test_it_has_at_most_300_lines_and_imports_nothing_of_imagiq() -> None:
    source = READER.read_text("utf-8")
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography", "numpy"}
    assert len(source.splitlines()) <= 300


@pytest.mark.parametrize("name", SCENES)
def test_it_gives_imagiqs_answers(name: str, tmp_path: Path) -> None:
    world = SCENES[name]()
    world.write(tmp_path)
    found = reader.Repository(tmp_path)
    assert found.problems == {}
    expected = answers(world)
    assert {
        "line": found.line,
        "rivals": found.rivals,
        "enacted": sorted(found.enacted),
        "forks": found.forks,
        "heads": [list(head) for head in found.heads],
        "states": found.states,
    } == {key: expected[key] for key in ("line", "rivals", "enacted", "forks", "heads", "states")}


class Hostile:
    """A federation in which nearly everything is tried."""

    def __init__(self) -> None:
        sites = [ANNA, BERT, CARL]
        self.world = world = Federation(founding(sites))
        world.found(sites)
        self.study = study = world.commit(ANNA, Recipe("study", 1), tree=world.model(0.0, 0.0, 0))
        models = {ANNA: (0.1, 1e308, 3), BERT: (0.3, 1e308, 5), CARL: (-5e-324, 1e-300, 4)}
        self.trained = {
            site: world.commit(
                site, Recipe("train"), parents=[("base", study)], study=study, tree=world.model(*model), cases=7
            )
            for site, model in models.items()
        }
        # (0.1 * 303 + 0.3 * 46) / 349 and an overflow; weights in the order of the sorted parents
        both = [self.trained[ANNA], self.trained[BERT]]
        weights = [303 if commit is both[0] else 46 for commit in sorted(both, key=lambda commit: commit.digest)]
        right = world.model(self._mean(both, weights), float("inf"), 5)
        self.true = self.merge(both, weights, right)
        self.false = self.merge(both, weights, world.model(0.1, 1.0, 5))
        self.too_few_weights = self.merge(both, weights[:1], right)
        self.weight_zero = self.merge(both, [1, 0], right)
        self.weight_true = self.merge(both, [1, True], right)
        self.other_rule = self.merge(both, weights, right, rule="median")
        self.no_model = self.merge([world.commits[0]], [1], right)
        self.missing = self.merge([self.trained[CARL]], [1], world.model(-5e-324, 1e-300, 4))
        self.fork = world.commit(BERT, Recipe("train"), after=self.trained[BERT], parents=[("base", study)])
        self.forked = world.commit(BERT, Recipe("note"), after=self.trained[BERT])
        kept = self.trained[CARL]
        self.ruling = world.propose(successor(world.charter, [ANNA, BERT], cuts=[Cut(kept.feed, 2, kept.digest)]))
        for site in (ANNA, BERT):
            world.vote(site, self.ruling)
        self.beyond = world.commit(CARL, Recipe("note"))
        self.standing_on_it = world.commit(ANNA, Recipe("note"), under=self.ruling, parents=[("input", self.beyond)])

    def _mean(self, both: list[Commit], weights: list[int]) -> float:
        """The plain arithmetic; inputs go by the digests of their trees."""
        values = {self.trained[ANNA].digest: 0.1, self.trained[BERT].digest: 0.3}
        of = {c.digest: n for c, n in zip(sorted(both, key=lambda c: c.digest), weights, strict=True)}
        acc = 0.0
        for commit in sorted(both, key=lambda c: str(c.tree)):
            acc += values[commit.digest] * float(of[commit.digest])
        return acc / 349.0

    def merge(self, inputs: list[Commit], weights: list[int], tree: Digest, rule: str = "mean") -> Commit:
        return self.world.commit(
            ANNA,
            Recipe("merge", 1, {"rule": rule, "weights": list(weights)}),
            parents=[("base", self.study), *(("input", given) for given in inputs)],
            study=self.study,
            tree=tree,
        )


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Hostile, Path, int, dict[str, Any]]:
    scene = Hostile()
    world = scene.world
    folder = tmp_path_factory.mktemp("hostile")
    stranger = world.commit(DORA, Recipe("note"))
    foreign = resigned(world.commits[0], {"federation": "a" * 64, "certificate": {"federation": "a" * 64}})
    waiting = resigned(world.commits[-2], {"parents": [{"role": "base", "commit": "b" * 64}]})
    unsigned = bytes(64) + world.commits[0].raw[64:]
    world.commits += [foreign, waiting]
    world.write(folder)
    (folder / "commits" / digest_of(unsigned)[:2]).mkdir(exist_ok=True)
    (folder / "commits" / digest_of(unsigned)[:2] / digest_of(unsigned)[2:]).write_bytes(unsigned)
    (folder / "commits" / "README").write_text("other files are passed over")
    _blob(scene, scene.trained[CARL], folder).unlink()
    damaged = _blob(scene, scene.false, folder)
    scene.problems = {  # type: ignore[attr-defined]
        stranger.digest: "member",
        foreign.digest: "chain",
        waiting.digest: "waiting",
        digest_of(unsigned): "signature",
    }
    assert damaged.is_file()
    return scene, folder, *read(folder)


def _blob(scene: Hostile, commit: Commit, folder: Path) -> Path:
    name = scene.world.objects[Digest(str(commit.tree))][32:64].hex()
    return folder / "objects" / name[:2] / name[2:]


def test_it_finds_every_commit_that_must_not_be_used(hostile: tuple[Hostile, Path, int, dict[str, Any]]) -> None:
    scene, _, code, found = hostile
    assert code == 1
    refused = {name: why for name, why in found["problems"].items() if name not in found["states"]}
    assert refused == scene.problems  # type: ignore[attr-defined]


def test_it_finds_the_fork_the_removed_member_and_what_stands_on_it(
    hostile: tuple[Hostile, Path, int, dict[str, Any]],
) -> None:
    scene, _, _, found = hostile
    assert found["line"] == [scene.world.charter.digest, scene.ruling.digest]
    assert found["forks"] == {BERT.feed("first").public: 3}
    expected = {
        scene.trained[BERT]: "sound",
        scene.fork: "contested",
        scene.forked: "contested",
        scene.trained[CARL]: "sound",
        scene.beyond: "void",
        scene.standing_on_it: "tainted",
        scene.true: "sound",
    }
    assert {commit: found["states"][commit.digest] for commit in expected} == expected


def test_it_recomputes_every_merge(hostile: tuple[Hostile, Path, int, dict[str, Any]]) -> None:
    scene, _, _, found = hostile
    expected = {
        scene.study: "complete",
        scene.trained[ANNA]: "complete",
        scene.trained[CARL]: "not held",
        scene.true: "verified",
        scene.false: "FALSE",
        scene.too_few_weights: "FALSE",
        scene.weight_zero: "FALSE",
        scene.weight_true: "FALSE",
        scene.other_rule: "unknown",
        scene.no_model: "FALSE",
        scene.missing: "not held",
    }
    assert {commit: found["models"][commit.digest] for commit in expected} == expected


def test_it_finds_damaged_objects(tmp_path: Path) -> None:
    scene = Hostile()
    scene.world.write(tmp_path)
    blob = _blob(scene, scene.trained[ANNA], tmp_path)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\xff")
    schema = tmp_path / "objects" / SCHEMA.digest[:2] / SCHEMA.digest[2:]
    assert schema.is_file()
    code, found = read(tmp_path)
    assert code == 1
    assert found["models"][scene.trained[ANNA].digest] == "damaged"
    commit = tmp_path / "commits" / scene.beyond.digest[:2] / scene.beyond.digest[2:]
    commit.write_bytes(commit.read_bytes()[:-1])
    code, found = read(tmp_path)
    assert found["problems"][scene.beyond.digest] == "damaged"
    assert found["problems"][scene.standing_on_it.digest] == "waiting"


def test_it_refuses_a_folder_of_another_format(tmp_path: Path) -> None:
    (tmp_path / "format").write_bytes(b"imagiq repository 2\n")
    with pytest.raises(reader.Bad, match="format"):
        reader.Repository(tmp_path)


def test_it_reads_a_repository_that_imagiqs_store_has_written(tmp_path: Path) -> None:
    from imagiq.store import FolderStore

    world = SCENES["settled"]()
    with FolderStore.create(tmp_path / "store") as store:
        store.add(world.objects.values())
        store.add_commits(commit.raw for commit in world.commits)
        store.sidecar_write(world.commits[0].digest, "scores", b"private")
        store.secret_write("site", bytes(32))
    code, found = read(tmp_path / "store")
    assert code == 0
    assert found["states"] == answers(world)["states"]


def test_it_reads_the_fixture() -> None:
    expected = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
    expected.pop("remote")
    code, found = read(REPOSITORY)
    assert code == expected.pop("exit")
    assert {key: found[key] for key in expected} == expected


FROZEN = {
    "commits": "9deada17c3b29627c6bcf388357f2e9aeb022306876ffe35e7bc5aae76692c0d",
    "decimals": "79ccac4e780bdf19890245d356717dede0c34f779bd413afb79d2a643dc95932",
    "federations": "5029d22252bcb1a47f2ef84805e1aae9dcf8b85a7be57d5a16339210961bb758",
    "json": "dfa65c1da10bdd773799d001de486f0915e150c0815f9b29ce7c32d6a82806e3",
    "merge": "d84db9a0e07a03280cd275d167bb2022f944e9f2e1be110a1b6304994e50bf0d",
    "objects": "6ba44ce58c62633fd6d488d9e183b7d1a31e6d18e2533c06c70a2eacba8a6605",
    "sealed": "625819e4491eb33c47a29d0ec89092adeff71c34df5d8c757ac05bb959afd6d5",
}
"""Each file of vectors, with the digest that it has for ever; what is added for format 1 later stands in a file of its own."""


def fingerprint_of(folder: Path) -> str:
    """Return a digest of all names and bytes below a folder, but for what reading leaves behind."""
    left = {"lock", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm"}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in left)
    lines = [f"{path.relative_to(folder).as_posix()} {digest_of(path.read_bytes())}" for path in files]
    return digest_of("\n".join(lines).encode())


def test_the_fixtures_and_the_vectors_of_format_1_are_frozen() -> None:
    """Never change these digests: what was written in format 1 stays as it is. A later format gets fixtures of its own."""
    assert fingerprint_of(FIXTURES / "format-1") == "671e08103d330b1392e59ea25cf5ee3a9cd2d782e4db80ecbdaf719aa3e26257"
    vectors = READER.parent / "vectors"
    assert {file.stem: digest_of(file.read_bytes()) for file in vectors.glob("*.json")} == FROZEN


def test_a_site_reads_what_lies_sealed_on_a_remote_of_format_1(tmp_path: Path) -> None:
    expected = json.loads((FIXTURES / "expected.json").read_text("utf-8"))["remote"]
    remote = FolderRemote(shutil.copytree(FIXTURES / "format-1" / "remote", tmp_path / "remote"))
    ward = Ward()
    ward.newcomer("b")
    ward.pull("b", remote)
    assert sorted(ward.known("b")) == expected
    bench = ward.bench("b")
    assert {entry.digest for entry in bench.history if entry.commit.recipe.name == "study"} <= bench.models.complete


def test_a_repository_of_the_draft_is_refused_in_words(tmp_path: Path) -> None:
    copy = shutil.copytree(REPOSITORY.parent, tmp_path / "copy")
    (copy / ".imagiq" / "format").write_bytes(b"imagiq repository 0\n")
    with pytest.raises(Unsupported) as refused:
        open_repository(copy)
    assert refused.value.code == "store-format"
    assert "draft" in refused.value.advice
    with pytest.raises(reader.Bad):
        reader.Repository(copy / ".imagiq")


def test_imagiq_reads_the_fixture_as_the_second_reader_does(tmp_path: Path) -> None:
    expected = json.loads((FIXTURES / "expected.json").read_text("utf-8"))
    bench = open_repository(shutil.copytree(REPOSITORY.parent, tmp_path / "copy"))
    assert {entry.digest: bench.standing.state(entry.digest).value for entry in bench.history} == expected["states"]
    assert [charter.digest for charter in bench.standing.line.versions] == expected["line"]
    assert dict(bench.history.forks) == expected["forks"]
    found = verify(bench)
    false = {name for name, problem in expected["problems"].items() if problem == "FALSE"}
    assert {merge.digest for merge in found.merges if merge.finding == "FALSE"} == false
    assert len(false) == 1
