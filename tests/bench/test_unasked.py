"""Nothing is kept that nobody asked for, though it is whole, signed, or of this very federation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from imagiq.errors import Refused
from tests.bench.town import Town


def test_a_charter_of_this_federation_that_no_vote_names_is_not_kept() -> None:
    town = Town()
    ruling = town.founding
    for number in range(5):
        proposal = replace(
            ruling, title=f"spam {number}", version=2, previous=ruling.digest, federation=ruling.digest, raw=b""
        )
        with pytest.raises(Refused) as caught:
            town.benches["a"].admit_charter(proposal.raw)
        assert caught.value.code == "charter-unasked"
        assert not town.benches["a"].store.has(proposal.digest)
        assert proposal.digest not in town.benches["a"].standing.charters
