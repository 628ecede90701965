"""The demonstration's numbers on several seeds: ``python -m science.phantom --seeds 100-104``.

Each seed has other brains, other tumours, another split and another start. Runs are kept in a folder; what is there is
not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from imagiq.imaging.phantoms.source import phantom_brain
from science.kept import Kept, kept_run, settings_of
from science.paired import Compared, strata
from science.written import figure, of_runs, pairs_table, ways_table

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "phantom_brain" / "federation.toml"
ALONE, POOLED = "alone", "pooled"
VIEWS = {
    "own": "Each hospital's model on its own held-back patients",
    "across": "Each hospital's model on the held-back patients of all four",
    "unseen": "Each hospital's model on patients of the hospital beyond, with a scanner that nobody trained on",
}


def runs(file: Path, seeds: Sequence[int], folder: Path, *, workers: int) -> list[Kept]:
    """Return the run of each seed."""
    data = settings_of(file)["data"]
    del data["kind"]
    return [
        kept_run(
            folder,
            f"seed-{seed}",
            file,
            seed=seed,
            data={**data, "seed": seed},
            source=phantom_brain,
            workers=workers,
        )
        for seed in seeds
    ]


def page(found: Sequence[Kept], *, pictures: Path | None) -> str:
    """Return the tables; write a figure of each beside them."""
    lines = [*of_runs(found)]
    for where, title in VIEWS.items():
        parts = strata(found, where=where)
        if not parts:
            continue
        compared = Compared(parts, by="hospital")
        lines += ["", f"**{title}** ({compared.patients} patients)", ""]
        lines += ways_table(compared, alone=ALONE, pooled=POOLED)
        if where == "across":
            lines += ["", *pairs_table(compared)]
        if pictures is not None:
            figure(pictures / f"{where}.svg", compared, title=title, pooled=POOLED)
    return "\n".join(lines)


def numbers(text: str) -> list[int]:
    """Return the seeds that a text such as ``100-104,7`` names."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    """Run what is not there, and print the tables."""
    parser = argparse.ArgumentParser(description="The demonstration's numbers on several seeds.")
    parser.add_argument("--file", type=Path, default=FILE, help="for imagiq simulate; default: the demonstration's")
    parser.add_argument("--seeds", type=numbers, default=numbers("100-104"), metavar="100-104")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "science" / "phantom", help="where runs are kept")
    parser.add_argument("--figures", type=Path, help="where to write figures")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side")
    given = parser.parse_args()
    print(page(runs(given.file, given.seeds, given.keep, workers=given.workers), pictures=given.figures))


if __name__ == "__main__":
    main()
