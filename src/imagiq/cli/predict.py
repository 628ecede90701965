"""``imagiq predict``: what a commit's model draws into an image, or says of it."""

from __future__ import annotations

from pathlib import Path

import click

from imagiq.bench.names import resolve
from imagiq.bench.place import find
from imagiq.bench.repository import open_repository
from imagiq.cli.printing import as_document, columns, escaped, painted, say
from imagiq.errors import Conflict, Misuse, Unsupported
from imagiq.learning import Resources

__all__ = ["command"]


@click.command()
@click.argument("commit")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="MASK", help="Write the mask there, as NIfTI.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option(
    "--plane",
    type=click.Choice(["axial", "coronal", "sagittal", "volume"]),
    help="Only where the study does not say on what grid its images lay: which slices, or whole volumes.",
)
@click.option("--spacing-mm", type=click.FloatRange(min=0.0), help="Likewise: the size of a pixel or voxel.")
@click.option("--shape", metavar="A,B", help="Likewise: pixels along each axis, such as 64,64.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, or auto.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON document.")
@click.pass_obj
def command(  # noqa: PLR0913, PLR0917 - one for each option
    folder: Path,
    commit: str,
    images: tuple[str, ...],
    out: Path | None,
    plane: str | None,
    spacing_mm: float | None,
    shape: str | None,
    device: str,
    *,
    force: bool,
    wants_json: bool,
) -> None:
    """Apply the model of COMMIT to an image.

    IMAGE is a NIfTI file for each channel, in the model's order or as CHANNEL=FILE in any; or one that holds all
    channels. The mask lies exactly over it: same axes, same affine; its labels are those of the model's schema.
    """
    try:
        from imagiq.imaging.grid import Grid  # noqa: PLC0415 - a core install has none, and is told
        from imagiq.site.predicting import Drawn, apply  # noqa: PLC0415 - the same
    except ImportError as error:
        raise Unsupported(
            "learning-not-installed",
            f"Images are read with what is not installed: {error.name}.",
            "Install it: pip install 'imagiq[learning]'",
        ) from error
    bench = open_repository(find(folder))
    entry = resolve(bench, commit)
    grid = None
    if plane is not None or spacing_mm is not None or shape is not None:
        grid = Grid(plane=plane or "axial", spacing_mm=spacing_mm or 0.0, shape=_sizes(shape))
    if out is not None:
        _check_target(out, images, force=force)
    done = apply(bench, entry, images, grid=grid, resources=Resources(threads=0, device=device))
    is_mask = isinstance(done, Drawn)
    if isinstance(done, Drawn) and out is not None:
        done.write(out)
    rows: list[tuple[str, ...]]
    document: dict[str, object] = {"commit": done.commit, "grid": done.grid, "warnings": done.warnings}
    if isinstance(done, Drawn):
        document |= {"mask": out, "labels": done.labels}
        rows = [
            ("label", "", "voxels", "ml"),
            *((str(one.number), escaped(one.name), str(one.voxels), f"{one.ml:.2f}") for one in done.labels),
        ]
    else:
        document |= {"classes": done.classes}
        rows = [("class", "probability"), *((escaped(name), f"{value:.4f}") for name, value in done.classes.items())]
    if wants_json:
        say(as_document({"command": "predict", **document}))
        return
    for line in columns(rows):
        say(line)
    if out is not None:
        say(f"Wrote {escaped(str(out))}" if is_mask else "There is no mask to write: this model tells classes.")
    for warning in done.warnings:
        say(painted(f"! {escaped(warning)}", "yellow"))
    say(painted("Research software, no medical device.", dim=True))


def _sizes(text: str | None) -> tuple[int, ...]:
    parts = [] if text is None else text.replace("x", ",").split(",")
    if not all(part.strip().isdigit() for part in parts):
        raise Misuse("slices-grid", f"A shape of '{text}' cannot be.", "Give whole numbers, such as 64,64.")
    return tuple(int(part) for part in parts)


def _check_target(out: Path, images: tuple[str, ...], *, force: bool) -> None:
    """Check where a mask is to go, before anything is computed.

    Raises:
        Misuse: it would not be a NIfTI file, or it would replace the image.
        Conflict: it is there already.
    """
    if not out.name.endswith((".nii", ".nii.gz")):
        raise Misuse("mask-name", f"A mask cannot be written to {out.name}.", "Name a file that ends with .nii.gz.")
    if out.resolve() in {Path(text.rpartition("=")[2]).resolve() for text in images}:
        raise Misuse("mask-name", "The mask would replace the image itself.", "Name another file.")
    if out.exists() and not force:
        raise Conflict("file-exists", f"{out} is there already.", "Name another file, or say --force to replace it.")
