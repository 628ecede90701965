from __future__ import annotations

from pathlib import Path

import pytest

from imagiq.errors import ContractBroken, ImagiqError, Misuse, NotFound, Unsupported
from imagiq.federation import Named
from imagiq.simulation import Crash, Partition, SimulatedSite, read_scenario, simulate
from imagiq.strategies import BUILT_IN
from tests.simulation.wards import TOML, write_file

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_file_becomes_a_scenario(tmp_path: Path) -> None:
    more = """
        [network]
        loss = 0.5
        neighbours = 1
        [[fault]]
        kind = "crash"
        site = "east"
        at_s = 1
        for_s = 2
        [[fault]]
        kind = "partition"
        sites = ["west"]
        at_s = 3
        for_s = 4.5
        [charter]
        strategies = ["local", "fedavg"]
        """
    text = TOML.replace(
        'strategy = "fedavg"', 'strategy = "fedavg"\nsteps = 7\nsites = ["east"]\nparameters = {quorum = 2}'
    )
    scenario, cases = read_scenario(write_file(tmp_path, text + more), strategies=BUILT_IN)
    assert (scenario.title, scenario.seed) == ("Wards", 3)
    assert scenario.task == Named("logistic", 1, {"features": 2, "learning_rate": "0.05"})
    assert scenario.sites == (
        SimulatedSite(name="east", cases="east", speed=2),
        *(SimulatedSite(name=n) for n in ("north", "west")),
    )
    assert [(s.title, s.steps, s.updates, s.sites) for s in scenario.studies] == [
        ("alone", 2, 3, ()),
        ("fedavg", 7, 3, ("east",)),
    ]
    assert scenario.studies[1].strategy.parameters == {"quorum": 2}
    assert (scenario.network.loss, scenario.network.neighbours) == (0.5, 1)
    assert scenario.faults == (
        Crash(site="east", at_s=1, for_s=2),
        Partition(sites=frozenset({"west"}), at_s=3, for_s=4.5),
    )
    assert scenario.rules == {"audit_per_mille": 100, "strategies": ["local", "fedavg"]}
    assert {name: len(found.training) for name, found in cases.items()} == {"east": 13, "north": 13, "west": 13}
    assert cases["east"].columns == ("age", "pulse")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("seed = 3", f"seed = 3\nupdate_s = {10**400}", "'update_s' is a number beyond all measure"),
        ("speed = 2", "sped = 2", "wards.toml, [[site]] number 1: there is no key 'sped'. Did you mean 'speed'?"),
        ("[budget]", "[bugdet]", "Did you mean 'budget'?"),
        ("steps = 2", "stesp = 2", "[budget]: there is no key 'stesp'. Did you mean 'steps'?"),
        ("seed = 3", "sede = 3", "wards.toml: there is no key 'sede'. Did you mean 'seed'?"),
        ('label = "ill"', 'lable = "ill"', "[data]: cases of kind 'table' have no 'lable'. Did you mean 'label'?"),
        ('title = "alone"', 'titel = "alone"', "[[study]] number 1: there is no key 'titel'. Did you mean 'title'?"),
        ("learning_rate =", "lerning_rate =", "[task]: The learner 'logistic' has no parameter 'lerning_rate'."),
        ('strategy = "fedavg"', 'strategy = "fedagv"', "there is no strategy 'fedagv'. Did you mean 'fedavg'?"),
        ('learner = "logistic"', 'learner = "logistik"', "[task]: No installed package offers a learner"),
        ('kind = "table"', 'kind = "tabel"', "[data]: no installed package offers cases of kind 'tabel'. Did you mean"),
        ('name = "east"', 'name = "eats"', "[[site]] number 1: the data has no site 'eats'. Did you mean 'east'?"),
        ("speed = 2", "speed = -2", "[[site]] number 1: 'speed' is -2. It must be above 0."),
        ("steps = 2", "steps = -2", "[[study]] number 1: 'steps' is -2. It must be above 0."),
        ("seed = 3", "seed = -3", "wards.toml: 'seed' is -3. It must be 0 or more."),
        ("learning_rate = 0.05", "learning_rate = -0.05", "[task]: The learner's learning_rate is out of its range."),
        ("speed = 2", 'speed = "fast"', "[[site]] number 1: 'speed' is text, not a number."),
        ("steps = 2", "steps = 2.5", "[budget]: 'steps' is the number 2.5, not a whole number."),
        ("seed = 3", "seed = true", "'seed' is true or false, not a whole number."),
        ('title = "Wards"', "title = 1", "'title' is the number 1, not text."),
        ('"age", "pulse"]', '"age", 1]', "[data]: 'features' is not a list of texts."),
        ('path = "cases.csv"', "path = 1", "[data]: 'path' is not text."),
        ("[budget]", "[[budget]]", "'budget' is a list, not a table."),
        ("[[site]]", "[site]", "'site' is a table, not a list of tables."),
        ("[data]", "[date]", "there is no key 'date'. Did you mean 'data'?"),
        ("steps = 2\n", "", "[[study]] number 1: 'steps' is missing."),
        ('label = "ill"\n', "", "[data]: 'label' is missing."),
        ('strategy = "fedavg"', "", "[[study]] number 2: 'strategy' is missing."),
        (
            'strategy = "fedavg"',
            'strategy = "fedavg"\nsites = ["eats"]',
            "No site is called 'eats'. Did you mean 'east'?",
        ),
        (
            'strategy = "fedavg"',
            'strategy = "swarm"\nparameters = { patiense_s = 60 }',
            "The strategy 'swarm' has no parameter 'patiense_s'.",
        ),
        (
            'strategy = "fedavg"',
            'strategy = "fedavg"\nparameters = { sample = 1.5 }',
            "The parameter 'sample' of the strategy 'fedavg' is '1.5'.",
        ),
        ("features = 2", "features = 3", "[task]: The cases of 'east' have 2 columns, the model takes 3."),
        ("features = 2", "features = 2\nsince = 2000-01-01", "[task]: 'since' is a date or time."),
        ('path = "cases.csv"', 'path = "case.csv"', "[data]: There is no file"),
        ("seed = 3", "seed = ", "is not TOML"),
        ('title = "alone"', 'title = "fedavg"', "Two times a study is called 'fedavg'."),
    ],
)
def test_a_mistake_is_explained(before: str, after: str, said: str, tmp_path: Path) -> None:
    assert before in TOML
    path = write_file(tmp_path, TOML.replace(before, after, 1))
    with pytest.raises((Misuse, NotFound, Unsupported, ImagiqError)) as wrong:
        simulate(path)
    assert said in str(wrong.value)
    assert "wards.toml" in str(wrong.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[[fault]]\nkind = "crsh"\nsite = "east"', "[[fault]] number 1: 'kind' is 'crsh'. Did you mean 'crash'?"),
        ('[[fault]]\nkind = "crash"\nsite = "eats"\nat_s = 1', "No site is called 'eats'"),
        ('[[fault]]\nkind = "crash"\nsite = "east"\nat_s = -1', "[[fault]] number 1: 'at_s' is -1."),
        ('[[fault]]\nkind = "crash"\nsite = "east"\nsites = []', "there is no key 'sites'. Did you mean 'site'?"),
        ("[network]\nloss = 2", "[network]: 'loss' is 2. It must be a probability"),
        ("[network]\nlose = 0.2", "[network]: there is no key 'lose'. Did you mean 'loss'?"),
        ('[charter]\nstrategies = ["local"]', "do not permit the study 'fedavg'"),
        ("[charter]\naudit = 5", "[charter]: there is no key 'audit'. Did you mean 'audit_per_mille'?"),
    ],
)
def test_a_mistake_further_down_is_explained(more: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Misuse) as wrong:
        simulate(write_file(tmp_path, TOML + more))
    assert said in str(wrong.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no file .*none\.toml"):
        simulate(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("ward,age,ill\neast,1,0\n", r"does not have exactly one column called 'pulse'"),
        ("ward,age,pulse,ill\n", "has no rows"),
        ("", "does not have exactly one column"),
    ],
)
def test_data_without_columns_or_rows_is_explained(rows: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ContractBroken, match=said) as broken:
        simulate(write_file(tmp_path, rows=rows))
    assert str(broken.value).startswith("wards.toml, [data]: ")


def test_a_ward_with_one_class_or_one_case_takes_part_and_is_warned_of(tmp_path: Path) -> None:
    whole = "".join(f"east,{case},{case % 3},{case % 2}\n" for case in range(20))
    ill = "".join(f"north,{case},{case % 3},1\n" for case in range(10))
    outcome = simulate(write_file(tmp_path, rows=f"ward,age,pulse,ill\n{whole}{ill}west,1,1,1\n"))
    assert "north: All training cases are of one class." in outcome.warnings
    assert "west: There is one training case." in outcome.warnings
    north, west = outcome.way("fedavg").sites[1:]
    assert (north.score["auc"], north.score["accuracy"] is None, west.score["accuracy"]) == (None, False, None)
    assert all(result.finished for result in outcome.way("fedavg").sites)


@pytest.mark.parametrize("name", ["heart", "faults"])
def test_an_example_works(name: str) -> None:
    outcome = simulate(EXAMPLES / name / "federation.toml")
    assert all(result.finished for way in outcome.ways for result in way.sites)
    assert len(set(outcome.histories.values())) == 1


@pytest.mark.parametrize(("shipped", "example"), [("heart", "heart"), ("brain", "phantom_brain")])
def test_the_demo_runs_the_example(shipped: str, example: str) -> None:
    file = Path(__file__).parents[2] / "src/imagiq/simulation" / f"{shipped}.toml"
    assert file.read_text("utf-8") == (EXAMPLES / example / "federation.toml").read_text("utf-8")
