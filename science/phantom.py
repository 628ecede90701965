"""The demonstration's numbers on several seeds: ``python -m science.phantom --seeds 100-104``.

Each seed has other brains, other tumours, another split and another start. Runs are kept in a folder; what is there is
not run again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from imagiq.imaging.phantoms.source import phantom_brain
from imagiq.learning import Resources, Weights, close, find
from imagiq.simulation.judging import Judge
from imagiq.simulation.pooling import pooled_model, together
from imagiq.site.sources import cases_of
from science.kept import Kept, kept_run, settings_of
from science.paired import Compared, strata
from science.written import figure, of_runs, pairs_table, sites_table, ways_table

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "phantom_brain" / "federation.toml"
ALONE, POOLED = "alone", "pooled"
VIEWS = {
    "own": "Each hospital's model on its own held-back patients",
    "across": "Each hospital's model on the held-back patients of all four",
    "unseen": "Each hospital's model on patients of the hospital beyond, with a scanner that nobody trained on",
}


def runs(
    file: Path, seeds: Sequence[int], folder: Path, *, workers: int, steps: int | None, updates: int | None
) -> list[Kept]:
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
            steps=steps,
            updates=updates,
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
            figure(pictures / f"phantom-{where}.svg", compared, title=title, pooled=POOLED)
    lines += ["", "**Each hospital's own patients**", "", *sites_table(found)]
    return "\n".join(lines)


def converged(file: Path, seed: int, *, steps: int | None, updates: int | None) -> str:
    """Train on the patients of all hospitals, and say what the last fifth of it gained on validation patients.

    The patients that are held back otherwise are for validation here; choose a seed that is not reported.
    """
    settings = settings_of(file)
    data, task, budget = settings["data"], settings["task"], settings["budget"]
    del data["kind"]
    data |= {"seed": seed, "validation": data["held_back"], "held_back": 0.0, "judge": "validation", "unseen": 0}
    cases = cases_of(phantom_brain(**data))
    joined = together([each.training for each in cases.values()])
    whole = len(cases) * (steps or budget["steps"])
    each = updates or budget["updates"]
    watched: dict[int, float] = {}
    learner = find(task.pop("learner"), task, Resources(workers=1, threads=1))
    judge = Judge(seed, cases, learner)

    def watch(step: int, weights: Weights) -> None:
        if step in {whole * 4 // 5, whole}:
            found = judge.score(weights, list(cases))
            watched[step] = sum(one.measures["dice"].point for one in found.values()) / len(found)

    pooled_model(learner, joined, seed=seed, steps=whole, updates=each, watch=watch)
    close(learner)
    before, after = watched.values()
    return (
        f"Pooled training of {whole * each} updates, seed {seed}: Dice on validation patients {before:.4f} after "
        f"four fifths, {after:.4f} in the end; the last fifth gains {after - before:+.4f}."
    )


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
    parser.add_argument("--steps", type=int, help="training commits of each hospital, instead of the file's")
    parser.add_argument("--updates", type=int, help="optimiser updates in one of them, instead of the file's")
    parser.add_argument(
        "--converged", type=int, metavar="SEED", help="say instead what the last fifth of training gains"
    )
    parser.add_argument("--keep", type=Path, default=ROOT / "build" / "science" / "phantom", help="where runs are kept")
    parser.add_argument("--figures", type=Path, help="where to write figures")
    parser.add_argument("--workers", type=int, default=2, help="trainings side by side")
    given = parser.parse_args()
    if given.converged is not None:
        print(converged(given.file, given.converged, steps=given.steps, updates=given.updates))
        return
    found = runs(given.file, given.seeds, given.keep, workers=given.workers, steps=given.steps, updates=given.updates)
    print(page(found, pictures=given.figures))


if __name__ == "__main__":
    main()
