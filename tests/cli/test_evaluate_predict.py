"""``imagiq evaluate`` and ``imagiq predict``, with a network that a worker applies, on phantoms written as NIfTI."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagiq.cli import main
from imagiq.imaging.nifti import Volume, read_mask, read_volume, write_volume
from imagiq.imaging.phantoms.patients import HOSPITALS
from imagiq.imaging.phantoms.tumour import LABELS
from imagiq.imaging.phantoms.writing import write_phantoms

pytestmark = [pytest.mark.process, pytest.mark.slow]

FEDERATION = """
title = "Two scanners"
seed = 1

[data]
kind = "phantom-brain"
hospitals = ["north", "east"]
patients = [4, 4]
slices = 4
size = 32

[task]
learner = "segmentation"
channels = ["T1", "T1ce", "T2", "FLAIR"]
batch = 4
loss = "ce"
optimiser = { learning_rate = 0.03, schedule = "constant" }
regions = { "whole tumour" = [1, 2, 3] }

[task.images]
plane = "axial"
spacing_mm = 6.71875
shape = [32, 32]

[task.labels]
"necrotic or non-enhancing core" = 1
oedema = 2
"enhancing rim" = 3

[budget]
steps = 1
updates = 60

[[study]]
strategy = "fedavg"
"""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites that learned to draw a little, and a folder of volumes of a scanner that neither has."""
    folder = tmp_path_factory.mktemp("left")
    (folder / "federation.toml").write_text(FEDERATION)
    assert main(["simulate", str(folder / "federation.toml"), "--out", str(folder / "sites"), "--quiet"]) == 0
    write_phantoms(folder / "volumes", hospitals=[replace(HOSPITALS[2], patients=2)], size=48, step_mm=8.0)
    return folder


def files(left: Path, patient: str = "south-000") -> list[str]:
    return [str(left / f"volumes/imagesTr/{patient}_{channel:04d}.nii.gz") for channel in range(4)]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_a_mask_is_drawn_over_a_phantom_in_a_shell(
    left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at, mask = ["-C", str(left / "sites/north")], tmp_path / "mask.nii.gz"
    code, out, err = run(capsys, *at, "predict", "fedavg", *files(left), "-o", str(mask))
    assert code == 0, err
    assert f"Wrote {mask}" in out
    assert "oedema" in out
    image, drawn = read_volume(Path(files(left)[0])), read_mask(mask, LABELS)
    assert drawn.array.shape == image.array.shape
    assert np.array_equal(drawn.affine, image.affine)

    code, out, _ = run(capsys, *at, "predict", "fedavg", *files(left), "-o", str(mask))
    assert code == 1
    code, out, _ = run(capsys, *at, "predict", "fedavg", *files(left), "-o", str(mask), "--force", "--json")
    assert code == 0
    said = json.loads(out)
    counts = np.bincount(drawn.array.ravel(), minlength=4)
    assert {label["number"]: label["voxels"] for label in said["labels"]} == {k: int(counts[k]) for k in (1, 2, 3)}


def test_one_file_of_four_dimensions_and_named_files_in_any_order_give_the_same_mask(
    left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nibabel: Any = import_module("nibabel")
    volumes = [nibabel.load(path) for path in files(left)]
    stacked = np.stack([np.asarray(volume.dataobj) for volume in volumes], axis=-1)
    nibabel.save(nibabel.Nifti1Image(stacked, volumes[0].affine), tmp_path / "all.nii.gz")
    named = [f"{name}={path}" for name, path in zip(("T1", "T1ce", "T2", "FLAIR"), files(left), strict=True)]
    masks = []
    for place, images in enumerate((files(left), [str(tmp_path / "all.nii.gz")], named[::-1])):
        mask = tmp_path / f"{place}.nii.gz"
        code, _, err = run(capsys, "-C", str(left / "sites/north"), "predict", "fedavg", *images, "-o", str(mask))
        assert code == 0, err
        masks.append(read_mask(mask, LABELS).array)
    assert np.array_equal(masks[0], masks[1])
    assert np.array_equal(masks[0], masks[2])


def test_what_differs_is_said_and_nothing_is_written(
    left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "mask.nii.gz"
    one, *rest = files(left)
    moved = read_volume(Path(one))
    write_volume(tmp_path / "moved.nii.gz", Volume(array=moved.array, affine=np.diag([9.0, 9.0, 9.0, 1.0])))
    for images, said in (
        ([one], "holds one channel, where 4 are wanted (T1, T1ce, T2, FLAIR)"),
        ([one, *rest[:2]], "The model takes 4 channels: T1, T1ce, T2, FLAIR; 3 files were given"),
        ([str(tmp_path / "moved.nii.gz"), *rest], "lie in different places"),
        ([str(tmp_path / "none.nii.gz"), *rest], "There is no file"),
    ):
        code, out, err = run(
            capsys, "-C", str(left / "sites/north"), "predict", "fedavg", *images, "-o", str(mask), "--json"
        )
        assert code != 0
        assert said in json.loads(out)["error"]["what"]
        assert "Traceback" not in err
    for option, said in ((["-o", str(tmp_path / "mask.png")], "mask.png"), (["-o", one, "--force"], "image itself")):
        code, _, err = run(capsys, "-C", str(left / "sites/north"), "predict", "fedavg", *files(left), *option)
        assert code == 2
        assert said in err
    assert not mask.exists()


def test_a_model_is_evaluated_on_a_folder_of_volumes_brought_to_its_grid(
    left: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = ["-C", str(left / "sites/east"), "evaluate", "fedavg", "--cases"]
    code, out, err = run(capsys, *at, str(left / "volumes"), "--json")
    assert code == 0, err
    (site,) = json.loads(out)["sites"]
    assert (site["site"], site["patients"]) == ("south", 2)
    assert set(site["measures"]) == {"dice"}
    code, out, _ = run(capsys, *at, str(left / "federation.toml"), "--part", "all", "--site", "north")
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["north", "4"]
    code, _, err = run(capsys, *at, str(left / "federation.toml"), "--site", "nowhere")
    assert code == 1
    assert "no site 'nowhere'" in err


def test_cases_on_another_grid_are_refused_with_both(
    left: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(FEDERATION.replace("size = 32", "size = 24"))
    code, _, err = run(capsys, "-C", str(left / "sites/east"), "evaluate", "fedavg", "--cases", str(other))
    assert code == 1
    assert "24 x 24 pixels; the task is about 32 x 32" in err


def test_neither_loads_pytorch_into_the_process_that_was_called(left: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import subprocess
    import sys

    code = (
        "import sys\nfrom imagiq.cli import main\n"
        f"assert main(['-C', {str(left / 'sites/north')!r}, 'predict', 'fedavg', *{files(left)!r}]) == 0\n"
        f"assert main(['-C', {str(left / 'sites/north')!r}, 'evaluate', 'fedavg', '--cases', "
        f"{str(left / 'federation.toml')!r}]) == 0\n"
        "assert not {'torch', 'monai'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, stdout=subprocess.DEVNULL)


def test_a_simulation_that_is_stopped_ends_its_pooled_training_and_the_process_is_not_aborted(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "federation.toml").write_text(FEDERATION.replace("updates = 60", "updates = 3000"))
    code = (
        "import imagiq, sys, threading\n"
        "def watch(world):\n"
        "    def see(happening):\n"
        "        if happening.advance is None:\n"
        "            raise ValueError\n"
        "    return see\n"
        "try:\n"
        f"    imagiq.simulate({str(tmp_path / 'federation.toml')!r}, progress=watch)\n"
        "except ValueError:\n"
        "    others = set(threading.enumerate()) - {threading.main_thread()}\n"
        "    [thread.join(30) for thread in others]  # what was given up ends by itself, soon\n"
        "    assert threading.active_count() == 1, threading.enumerate()\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120, capture_output=True, text=True)
    assert done.returncode == 7, done.stderr
