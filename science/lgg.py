"""Real images: lower-grade glioma in four institutions, five folds by patient: ``python -m science.lgg``.

Each patient is tested once, in the fold that is theirs, by models that never saw them. Runs are kept in a folder; what
is there is not run again. What is kept are Dice coefficients, and no image.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from imagiq.imaging.packed import slices
from science.kept import Kept, kept_run, settings_of
from science.paired import Compared, strata
from science.phantom import ALONE, POOLED, numbers
from science.written import figure, of_runs, pairs_table, sites_table, ways_table

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "lgg_sites" / "federation.toml"
VIEWS = {
    "own": "Each hospital's model on its own patients",
    "across": "Each hospital's model on the patients of all four",
}


def runs(
    file: Path, folds: Sequence[int], folder: Path, *, workers: int, steps: int | None, updates: int | None
) -> list[Kept]:
    """Return the run of each fold."""
    settings = settings_of(file)
    data = settings["data"]
    del data["kind"]
    data["path"] = (file.parent / data["path"]).resolve()
    return [
        kept_run(
            folder,
            f"fold-{fold}",
            file,
            seed=settings["seed"],
            data={**data, "fold": fold},
            source=slices,
            workers=workers,
            steps=steps,
            updates=updates,
        )
        for fold in folds
    ]


def page(found: Sequence[Kept], *, pictures: Path | None) -> str:
    """Return the tables; write a figure of each beside them."""
    lines = [*of_runs(found)]
    for where, title in VIEWS.items():
        compared = Compared(strata(found, where=where, join=True), by="patient")
        lines += ["", f"**{title}** ({compared.patients} patients, each counting the same)", ""]
        lines += ways_table(compared, alone=ALONE, pooled=POOLED)
        lines += ["", *pairs_table(compared)]
        if pictures is not None:
            figure(pictures / f"lgg-{where}.svg", compared, title=title, pooled=POOLED)
    lines += ["", "**Each hospital's own patients**", "", *sites_table(found, join=True)]
    return "\n".join(lines)


def main() -> None:
    """Run what is not there, and print the tables."""
    parser = argparse.ArgumentParser(description="Lower-grade glioma in four institutions, five folds.")
    parser.add_argument("--file", type=Path, default=FILE, help="for imagiq simulate")
    parser.add_argument("--folds", type=numbers, default=numbers("0-4"), metavar="0-4")
    parser.add_argument("--steps", type=int, help="training commits of each hospital, instead of the file's")
    parser.add_argument("--updates", type=int, help="optimiser updates in one of them, instead of the file's")
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "science" / "lgg", help="where runs are kept")
    parser.add_argument("--figures", type=Path, help="where to write figures")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side")
    given = parser.parse_args()
    found = runs(given.file, given.folds, given.keep, workers=given.workers, steps=given.steps, updates=given.updates)
    print(page(found, pictures=given.figures))


if __name__ == "__main__":
    main()
