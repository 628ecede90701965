"""What other rooms see of imaging: an import that is light, and sources that are found by name."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.errors import Misuse
from imagiq.site.sources import read_cases
from imagiq.site.toml import Table


@pytest.mark.process
def test_importing_imaging_loads_neither_numpy_nor_an_image_library() -> None:
    code = "import sys, imagiq.imaging; print({'numpy', 'scipy', 'nibabel'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.process
def test_making_phantoms_loads_no_image_library() -> None:
    code = "import sys, imagiq.imaging.phantoms.source; print({'nibabel', 'torch'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_sources_are_found_by_name_and_load() -> None:
    offered = {point.name: point for point in entry_points(group="imagiq.cases")}
    for name in ("images", "phantom-brain", "phantom-brain-unseen", "slices"):
        assert callable(offered[name].load())


def data(**values: object) -> Table:
    return Table(Path("federation.toml"), "[data]", values)


def test_a_file_names_hospitals_and_numbers_of_patients() -> None:
    sites = read_cases(data(kind="phantom-brain", hospitals=["a"], patients=[2], size=24, slices=1))
    assert [(name, len(site.training), len(site.held_back)) for name, site in sites.items()] == [("a", 1, 1)]


def test_by_which_rule_a_source_parts_patients_is_kept_with_its_cases(tmp_path: Path) -> None:
    sites = read_cases(data(kind="phantom-brain", hospitals=["a"], patients=[2], size=24, slices=1, held_back=0.5))
    assert sites["a"].split == {"held_back": 0.5, "validation": 0.2, "judge": "test", "seed": 0}
    arrays: Any = {"image": np.ones((4, 1, 8, 8)), "mask": np.ones((4, 8, 8), np.uint8), "patient": np.arange(4)}
    np.savez(tmp_path / "site_x.npz", fold=np.arange(4), **arrays)
    sites = read_cases(data(kind="slices", path=str(tmp_path), fold=3))
    assert sites["x"].split == {"fold": 3, "judge": "test"}
    assert read_cases(data(kind="heart"))["cleveland"].split == {}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"patients": ["2"]}, "a list of whole numbers"),
        ({"patients": [2.5]}, "a list of whole numbers"),
        ({"patients": [True]}, "a list of whole numbers"),
        ({"patients": 2}, "a list of whole numbers"),
        ({"hospitals": [1]}, "a list of texts"),
        ({"size": "64"}, "a whole number"),
        ({"held_back": "much"}, "a number"),
        ({"patient": [2]}, "Did you mean 'patients'"),
    ],
)
def test_a_parameter_of_another_kind_is_told(values: dict[str, object], said: str) -> None:
    with pytest.raises(Misuse, match=said):
        read_cases(data(kind="phantom-brain", **values))
