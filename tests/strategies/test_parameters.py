"""What is misspelt among a strategy's parameters is told to whoever opens the study."""

from __future__ import annotations

import pytest

from imagiq.errors import Misuse
from imagiq.federation import Named
from imagiq.objects import JSON
from imagiq.strategies import BUILT_IN, PARAMETERS, check_parameters

SITES = ("east", "west")


@pytest.mark.parametrize(
    ("strategy", "parameters"),
    [
        ("fedavg", {"server": "west", "quorum": 1, "deadline_s": 60, "sample": "0.5"}),
        ("fedavg", {"sample": 2}),
        ("swarm", {"quorum": 2, "deadline_s": 60, "patience_s": 60}),
        ("cyclic", {"order": ["west", "east"], "patience_s": 9}),
        ("gossip", {"peers": 3, "patience_s": 1}),
        ("one-shot", {"deadline_s": 1}),
        ("of my own", {"anything": ["goes"]}),
    ],
)
def test_what_a_strategy_understands_passes(strategy: str, parameters: dict[str, JSON]) -> None:
    check_parameters(Named(strategy, 1, parameters), SITES)


@pytest.mark.parametrize(
    ("strategy", "parameters", "said"),
    [
        ("swarm", {"patience": 60}, "Did you mean 'patience_s'?"),
        ("fedavg", {"quorom": 2}, "Did you mean 'quorum'?"),
        ("local", {"peers": 2}, "It has no parameters."),
        ("fedavg", {"quorum": 0}, "a whole number from 1"),
        ("fedavg", {"deadline_s": "1.5"}, "a whole number from 1"),
        ("gossip", {"peers": True}, "a whole number from 1"),
        ("fedavg", {"server": "north"}, "the name of one of the study's sites"),
        ("cyclic", {"order": ["north"]}, "a list of names of the study's sites"),
        ("fedavg", {"sample": "1.5"}, "a share above 0.0 and up to 1.0"),
        ("fedavg", {"sample": "half"}, "a share above 0.0 and up to 1.0"),
    ],
)
def test_what_it_does_not_understand_is_told_with_what_to_do(
    strategy: str, parameters: dict[str, JSON], said: str
) -> None:
    with pytest.raises(Misuse) as raised:
        check_parameters(Named(strategy, 1, parameters), SITES)
    assert raised.value.code == "strategy-parameter"
    assert said in raised.value.advice


def test_each_strategy_says_what_its_parameters_are() -> None:
    assert PARAMETERS.keys() == BUILT_IN.keys()
