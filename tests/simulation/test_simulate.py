from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from imagiq.bench import Bench
from imagiq.clock import SystemClock
from imagiq.errors import Conflict, ContractBroken, Corrupt, ImagiqError, Misuse, NotFound, Refused
from imagiq.federation import Action, Finished, Named, Train, View
from imagiq.learning import Initial, Predictions, Trained, Weights
from imagiq.learning.logistic import Logistic
from imagiq.learning.tables import Table
from imagiq.merging import weights_of
from imagiq.objects import Digest, parse_charter
from imagiq.scoring import ACCURACY, AUC, bootstrap, bootstrap_difference
from imagiq.simulation import Outcome, SitesFolder, World, read_journal, replay, simulate
from imagiq.simulation.pooling import together
from imagiq.store import FolderStore
from tests.simulation.wards import NAMES, TASK, TOML, cases_of, into, scenario, table_of, write_file

WAYS = ("local", "fedavg", "latest-of-each")


@pytest.fixture(scope="module")
def world() -> World:
    return simulated()[1]


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return simulated()[0]


def simulated() -> tuple[Outcome, World]:
    seen: list[World] = []
    outcome = simulate(scenario(*WAYS), cases=cases_of(), progress=into(seen))
    return outcome, seen[0]


def predictions(world: World, outcome: Outcome, title: str, site: str) -> Predictions:
    """What the model that a site ended up with says, by another path than the outcome's."""
    result = {r.site: r for r in outcome.way(title).sites}[site]
    assert result.model is not None
    bench = world.bench(site)
    tree = bench.models.tree(Digest(str(bench.history[result.model].commit.tree)))
    weights = weights_of(bench.models.schema(tree.schema), tree, bench.store.read)
    return Logistic(**TASK.parameters).predict(weights, cases_of()[site].held_back)  # type: ignore[arg-type]


def patients_seed(site: str) -> int:
    import hashlib

    return int(hashlib.sha256(f"imagiq patients\n1\n{site}".encode()).hexdigest()[:12], 16)


@pytest.mark.parametrize("title", WAYS)
@pytest.mark.parametrize("site", NAMES)
def test_scores_are_those_of_the_final_models(title: str, site: str, outcome: Outcome, world: World) -> None:
    said = predictions(world, outcome, title, site)
    result = {r.site: r for r in outcome.way(title).sites}[site]
    assert result.score["accuracy"] == bootstrap(ACCURACY, said.truth, said.score, seed=patients_seed(site))
    assert result.score["auc"] == bootstrap(AUC, said.truth, said.score, seed=patients_seed(site))
    alone = predictions(world, outcome, "local", site)
    assert result.gain is not None
    assert result.gain["auc"] == bootstrap_difference(
        AUC, said.truth, said.score, alone.score, seed=patients_seed(site)
    )


def test_the_final_model_is_what_the_site_itself_measured(outcome: Outcome, world: World) -> None:
    for way in outcome.ways:
        for result in way.sites:
            measured = [
                entry.commit.metrics
                for entry in world.bench(result.site).history
                if entry.commit.recipe.name == "evaluate"
                and entry.commit.study == way.study
                and world.founding.names_by_site_key[entry.site] == result.site
                and result.model in entry.commit.parents_in("input")
            ]
            assert result.score["accuracy"] is not None
            assert [float(metrics["accuracy"]) for metrics in measured] == [result.score["accuracy"].point]


def test_means_and_shares_are_those_of_the_sites(outcome: Outcome) -> None:
    assert outcome.pooled is not None
    for way in outcome.lines:
        scores = [result.score["auc"].point for result in way.sites if result.score["auc"] is not None]
        assert way.mean["auc"] is not None
        assert outcome.pooled.mean["auc"] is not None
        assert way.mean["auc"].point == pytest.approx(np.mean(scores))
        assert way.mean["auc"].low <= way.mean["auc"].point <= way.mean["auc"].high
        assert way.share_of_pooled["auc"] == pytest.approx(way.mean["auc"].point / outcome.pooled.mean["auc"].point)


def test_the_pooled_line_is_a_plain_loop_over_all_cases(outcome: Outcome) -> None:
    import hashlib

    cases, learner = cases_of(), Logistic(**TASK.parameters)  # type: ignore[arg-type]
    parts = [cases[name].training for name in NAMES]
    whole = Table(x=np.concatenate([p.x for p in parts]), y=np.concatenate([p.y for p in parts]))
    weights = learner.initial(1).weights
    for step in range(9):
        seed = int(hashlib.sha256(f"imagiq pooled seed\n1\n{step}".encode()).hexdigest()[:12], 16)
        weights = learner.train(weights, whole, budget=5, seed=seed, progress=step / 9).weights
    assert outcome.pooled is not None
    for result in outcome.pooled.sites:
        said = learner.predict(weights, cases[result.site].held_back)
        assert result.score["auc"] is not None
        assert result.score["auc"].point == AUC(said.truth, said.score)
    assert any("45 updates" in sentence for sentence in outcome.findings)


def test_counts_are_those_of_the_history(outcome: Outcome, world: World) -> None:
    for way in outcome.ways:
        entries = [e for e in world.bench("east").history if way.study in {e.commit.study, e.digest}]
        assert way.commits == len(entries) == sum(result.commits for result in way.sites)
        assert way.bytes_moved == world.traffic.bytes_of[Digest(str(way.study))] > 0
    assert outcome.duration_s == max(way.ended_s for way in outcome.ways)


def test_an_outcome_is_json_and_the_same_each_time(outcome: Outcome) -> None:
    text = json.dumps(outcome.to_json(), allow_nan=False)
    assert json.dumps(simulated()[0].to_json()) == text
    assert set(json.loads(text)["ways"][0]["sites"]) == set(NAMES)


def test_an_auc_that_rests_on_few_cases_is_marked_and_left_out_of_the_mean() -> None:
    cases = cases_of()
    few = table_of(30, 5)
    few = Table(x=few.x, y=np.array([1] * 28 + [0] * 2, dtype=np.int8))
    cases["west"] = replace(cases["west"], held_back=few)
    outcome = simulate(scenario("local", "fedavg"), cases=cases)
    assert {h.name: "auc" in h.silent for h in outcome.hospitals} == {"east": False, "north": False, "west": True}
    way = outcome.way("fedavg")
    points = {r.site: r.score["auc"].point for r in way.sites if r.score["auc"] is not None}
    assert way.mean["auc"] is not None
    assert way.mean["auc"].point == pytest.approx((points["east"] + points["north"]) / 2)
    assert any("west holds back 2 negative cases: its AUC tells nothing" in said for said in outcome.findings)
    assert any("mean of east and north" in said for said in outcome.findings)


def test_who_is_not_finished_says_what_it_waits_for() -> None:
    outcome = simulate(scenario("fedavg", until_s=1.5), cases=cases_of())
    waiting = {result.site: result.waits_for for result in outcome.way("fedavg").sites if not result.finished}
    assert set(waiting) == set(NAMES)
    assert all(waiting.values())
    assert any("stopped after 1.5 s" in warning for warning in outcome.warnings)
    assert any("east is not finished; it waits for" in warning for warning in outcome.warnings)


def test_columns_that_differ_between_sites_are_refused() -> None:
    cases = {name: replace(found, columns=("age", "sex", "bmi", "pulse")) for name, found in cases_of().items()}
    assert simulate(scenario("local"), cases=cases).hospitals
    cases["west"] = replace(cases["west"], columns=("age", "bmi", "sex", "pulse"))
    with pytest.raises(Refused, match="columns of 'west' differ from those of 'east': 'bmi' stands where 'sex' should"):
        simulate(scenario("local"), cases=cases)


def test_the_columns_stand_in_the_models_schema() -> None:
    seen: list[World] = []
    cases = {name: replace(found, columns=("age", "sex", "bmi", "pulse")) for name, found in cases_of().items()}
    simulate(scenario("local"), cases=cases, progress=into(seen))
    bench = seen[0].bench("west")
    start = bench.history[seen[0].studies["local"].digest].commit
    assert bench.models.schema(bench.models.tree(Digest(str(start.tree))).schema).channels == (
        "age",
        "sex",
        "bmi",
        "pulse",
    )


def test_only_some_ways_run_and_a_strategy_without_a_study_gets_one() -> None:
    outcome = simulate(scenario("local", "fedavg"), cases=cases_of(), only=["fedavg", "cyclic"])
    assert [(way.title, way.strategy) for way in outcome.ways] == [("fedavg", "fedavg"), ("cyclic", "cyclic")]
    with pytest.raises(Misuse, match=r"no study or strategy 'cylcic'. Did you mean 'cyclic'?"):
        simulate(scenario("local"), cases=cases_of(), only=["cylcic"])


def test_a_scenario_needs_cases_for_each_site() -> None:
    with pytest.raises(Misuse, match="without cases"):
        simulate(scenario("local"))
    with pytest.raises(Misuse, match="no cases for a site 'west'"):
        simulate(scenario("local"), cases=cases_of(("east", "north")))


# ------------------------------------------------------------------------------------- own strategies and learners


def once(view: View, me: str) -> Action:
    """Train once, then be done."""
    mine = view.newest_training(me)
    return Train(base=view.start.digest, step=1, progress=0.0) if mine is None else Finished(model=mine.digest)


def test_a_strategy_of_ones_own_runs_unchanged(tmp_path: Path) -> None:
    path = write_file(tmp_path, TOML + '[[study]]\nstrategy = "once"\n')
    outcome = simulate(path, strategies={("once", 1): once})
    way = outcome.way("once")
    assert all(result.finished and result.model for result in way.sites)
    assert [result.commits for result in way.sites] == [3, 2, 2]


@dataclass(frozen=True)
class Mean:
    """A model of one number: the share of positive cases."""

    start: str = "0.5"

    def initial(self, seed: int) -> Initial:
        return Initial(
            weights={"share": np.array([float(self.start)])},
            architecture={"name": "mean"},
            channels=(),
            labels={"no": 0, "yes": 1},
            preprocessing={},
        )

    def train(self, weights: Weights, cases: NDArray[np.int64], *, budget: int, seed: int, progress: float) -> Trained:
        return Trained(weights={"share": np.array([cases.mean()])}, metrics={}, cases=len(cases))

    def predict(self, weights: Weights, cases: NDArray[np.int64]) -> Predictions:
        return Predictions(truth=cases, score=np.full(len(cases), weights["share"][0]))


@pytest.mark.parametrize("learner", [Mean, Mean("0.25")], ids=["factory", "ready"])
def test_a_learner_of_ones_own_runs_unchanged(learner: Mean | type[Mean]) -> None:
    rng = np.random.default_rng(0)
    cases = {
        name: replace(found, training=rng.integers(2, size=20), held_back=rng.integers(2, size=20))
        for name, found in cases_of().items()
    }
    outcome = simulate(scenario(*WAYS, task=Named("mine")), cases=cases, learners={"mine": learner})
    assert all(result.finished for way in outcome.ways for result in way.sites)
    assert outcome.pooled is not None
    assert outcome.pooled.mean["auc"] is not None
    assert outcome.pooled.mean["auc"].point == 0.5


def test_cases_of_some_kinds_can_be_put_together_and_others_cannot() -> None:
    assert together([[1, 2], [3]]) == [1, 2, 3]
    assert together([(1,), (2, 3)]) == (1, 2, 3)
    joined = together([table_of(3, 0), table_of(4, 1)])
    assert isinstance(joined, Table)
    assert joined.x.shape == (7, 4)
    assert together([{1: 2}, {3: 4}]) is None
    assert together([[1], (2,)]) is None
    assert together([Mean(), Mean()]) is None


def test_without_pooled_cases_there_is_no_pooled_line() -> None:
    class Case:
        def __init__(self, table: Table) -> None:
            self.table = table

        def __len__(self) -> int:
            return len(self.table)

    class OfCases(Logistic):
        def train(self, weights: Weights, cases: Case, **rest: object) -> Trained:  # type: ignore[override]
            return super().train(weights, cases.table, **rest)  # type: ignore[arg-type]

        def predict(self, weights: Weights, cases: Case) -> Predictions:  # type: ignore[override]
            return super().predict(weights, cases.table)

    cases = {n: replace(c, training=Case(c.training), held_back=Case(c.held_back)) for n, c in cases_of().items()}
    outcome = simulate(scenario("fedavg"), cases=cases, learners={"logistic": OfCases})
    assert outcome.pooled is None
    assert outcome.way("fedavg").share_of_pooled == {}


# --------------------------------------------------------------------------------------------- folders and journals


def test_the_sites_are_left_in_a_folder_that_real_benches_open(tmp_path: Path) -> None:
    outcome = simulate(write_file(tmp_path), folder=tmp_path / "left")
    for name in NAMES:
        with FolderStore.open(tmp_path / "left" / name / ".imagiq", read_only=True) as store:
            founding = parse_charter(store.read(outcome.federation))
            bench = Bench(store, founding, clock=SystemClock(), read_only=True)
            assert sum(1 for _ in bench.history) > 20
            assert {study.study.title for study in bench.studies.values()} == {"alone", "fedavg"}
            known = "\n".join(sorted(entry.digest for entry in bench.history)).encode()
            import hashlib

            assert hashlib.sha256(known).hexdigest() == outcome.histories[name]


def test_a_journal_replays_to_the_same_bytes_and_outcome(tmp_path: Path) -> None:
    path = write_file(tmp_path, TOML + "[network]\nloss = 0.3\njitter_s = 1\nrepeat = 0.4\ncut = 0.4\n")
    outcome = simulate(path, folder=tmp_path / "left", seed=9, only=["fedavg"])
    assert replay(tmp_path / "left/journal.jsonl", path) == outcome


def test_a_replay_with_other_bytes_is_an_error(tmp_path: Path) -> None:
    path = write_file(tmp_path)
    simulate(path, folder=tmp_path / "left")
    journal = tmp_path / "left/journal.jsonl"
    path.write_text(TOML.replace("0.05", "0.06"))
    with pytest.raises(ContractBroken, match=r"Other bytes came out .* at east, north, west"):
        replay(journal, path)
    path.write_text(TOML.replace('name = "east"', 'name = "orient"\ncases = "east"'))
    with pytest.raises(Misuse, match="tells of other sites"):
        replay(journal, path)


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write_file(tmp_path, TOML + "[network]\nloss = 0.3\nrepeat = 0.4\ncut = 0.4\n")
    seen: list[World] = []
    simulate(path, folder=tmp_path / "left", progress=into(seen))
    assert list(read_journal(tmp_path / "left/journal.jsonl").events) == seen[0].journal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "{}",
        '{"kind": "other"}\n{}\n',
        "[1]\n[2]\n",
        '{"kind": "imagiq simulation journal", "format": 0}\n',
    ],
)
def test_what_is_no_journal_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").write_text(text)
    with pytest.raises(Corrupt, match="no whole journal"):
        read_journal(tmp_path / "journal.jsonl")
    with pytest.raises(NotFound):
        read_journal(tmp_path / "none.jsonl")


def test_a_folder_is_replaced_only_when_asked_and_only_if_a_simulation_left_all_of_it(tmp_path: Path) -> None:
    path, left = write_file(tmp_path), tmp_path / "left"

    def again(*, fresh: bool) -> Outcome:
        return simulate(path, folder=SitesFolder(left, fresh=fresh, copy=True))

    first = again(fresh=False)
    with pytest.raises(Conflict, match="say --fresh"):
        again(fresh=False)
    assert again(fresh=True) == first
    (left / "federation.toml").write_text("# changed")
    with pytest.raises(Conflict, match="no simulation left there"):
        again(fresh=True)
    assert (left / "federation.toml").read_text() == "# changed"
    (left / "federation.toml").unlink()
    (left / "east" / "notes.txt").touch()
    with pytest.raises(Conflict, match="no simulation left there"):
        again(fresh=True)
    assert (left / "east" / "notes.txt").exists()


def test_a_folder_of_others_is_never_touched(tmp_path: Path) -> None:
    path, left = write_file(tmp_path), tmp_path / "left"
    left.mkdir()
    (left / "thesis.txt").touch()
    for fresh in (False, True):
        with pytest.raises(Conflict, match="it is not touched"):
            simulate(path, folder=SitesFolder(left, fresh=fresh))
    assert [inner.name for inner in left.iterdir()] == ["thesis.txt"]
    with pytest.raises(Conflict):
        simulate(path, folder=path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImagiqError, match="cannot be made"):
        simulate(write_file(tmp_path), folder=tmp_path / "no" / "such" / "place")


def test_a_simulation_that_was_killed_can_be_made_anew(tmp_path: Path) -> None:
    path, left = write_file(tmp_path), tmp_path / "left"

    def stop(world: World) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        simulate(path, folder=left, progress=stop)  # type: ignore[arg-type]
    with pytest.raises(ContractBroken, match="never finished"):
        replay(left / "journal.jsonl", path)
    simulate(path, folder=SitesFolder(left, fresh=True))
