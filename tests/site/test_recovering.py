"""A lost quorum, a lost key and rival charters, settled by recovery keys that never see a network."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.site.homes import Homes


@pytest.fixture
def homes(tmp_path: Path) -> Homes:
    """Three members of whom three recovery keys are kept apart."""
    found = Homes(tmp_path)
    found.init("alba", "bert", "caro")
    keys = [found.call("recover", "key", str(tmp_path / f"key-{n}")).out.strip() for n in range(3)]
    listed = ", ".join(f'"{key}"' for key in keys)
    found.found("alba", f'title = "Heart"\nrecovery = [{listed}]\n')
    found.join("bert", "alba")
    found.join("caro", "alba", "alba", "bert")
    return found


def signed(homes: Homes, proposal: Path, *keys: int) -> list[str]:
    files = []
    for number in keys:
        file = homes.folder / f"signature-{proposal.name}-{number}"
        said = homes.call(
            "recover", "sign", str(proposal), "--key", str(homes.folder / f"key-{number}"), "-o", str(file), "--yes"
        )
        assert said.code == 0, said
        assert "Members: " in said.out
        files.append(str(file))
    return files


def test_a_quorum_that_is_lost_comes_back(homes: Homes) -> None:
    for name in ("bert", "caro"):
        shutil.rmtree(homes[name])
    proposal = homes.folder / "proposal"
    homes.at("alba", "remove", "bert", "--yes")
    homes.sync("alba")
    assert homes.members("alba") == ["alba", "bert", "caro"], "one of three votes settles nothing"
    homes.at("alba", "recover", "propose", str(proposal), "--remove", "bert", "--remove", "caro")
    assert homes.error("alba", "recover", "apply", str(proposal), *signed(homes, proposal, 0)) == "recovery-few"
    homes.at("alba", "recover", "apply", str(proposal), *signed(homes, proposal, 1, 2))
    assert homes.members("alba") == ["alba"]
    homes.init("dora")
    homes.join("dora", "alba")
    assert homes.members("dora") == ["alba", "dora"]


def test_a_member_that_lost_its_key_goes_on_under_a_new_one(homes: Homes) -> None:
    shutil.rmtree(homes["bert"])
    shutil.rmtree(homes["caro"])
    homes.init("bert")
    proposal = homes.folder / "proposal"
    homes.at("alba", "recover", "propose", str(proposal), "--card", homes.card("bert"), "--remove", "caro")
    homes.at("alba", "recover", "apply", str(proposal), *signed(homes, proposal, 0, 1))
    homes.sync("alba")
    homes.at("bert", "join", homes.invite("alba"), "--yes")
    homes.sync("bert", "alba", "bert")
    assert homes.members("bert") == ["alba", "bert"]
    homes.at("bert", "leave", "--yes")
    homes.sync("bert", "alba")
    assert homes.members("alba") == ["alba"], "what is signed by the new key counts"


def test_signatures_of_something_else_or_by_others_are_none(homes: Homes) -> None:
    one, other = homes.folder / "one", homes.folder / "other"
    homes.at("alba", "recover", "propose", str(one), "--remove", "bert")
    homes.at("alba", "recover", "propose", str(other), "--remove", "caro")
    of_other = signed(homes, other, 0, 1)
    assert homes.error("alba", "recover", "apply", str(one), *of_other) == "recovery-other"
    homes.call("recover", "key", str(homes.folder / "key-9"))
    assert homes.error("alba", "recover", "apply", str(one), *signed(homes, one, 9)) == "recovery-other"
    same = signed(homes, one, 0)
    assert homes.error("alba", "recover", "apply", str(one), *same, *same) == "recovery-few"
    forged = homes.folder / "forged"
    forged.write_bytes(Path(same[0]).read_bytes().replace(b'"signature":"', b'"signature":"00')[:-4] + b'"}')
    assert homes.error("alba", "recover", "apply", str(one), str(forged))
    assert homes.members("alba") == ["alba", "bert", "caro"]


def test_what_cannot_be_proposed_is_said(homes: Homes) -> None:
    file = str(homes.folder / "proposal")
    assert homes.error("alba", "recover", "propose", file) == "recovery-nothing"
    assert homes.error("alba", "recover", "propose", file, "--remove", "nobody") == "site-unknown"
    assert homes.error("alba", "recover", "propose", file, "--choose", "ffff") == "recovery-rival"
    homes.at("alba", "recover", "propose", file, "--remove", "bert")
    assert homes.error("alba", "recover", "propose", file, "--remove", "bert") == "file-exists"
    assert homes.call("recover", "sign", file, "--key", str(homes.folder / "none"), "-o", file + "s", "--yes").code == 1


def test_without_recovery_keys_nothing_is_promised(tmp_path: Path) -> None:
    homes = Homes(tmp_path)
    homes.init("alba")
    homes.found("alba")
    assert homes.error("alba", "recover", "propose", str(tmp_path / "x"), "--remove", "alba") == "recovery-none"
