"""What the owner of a site has decided about changes of the charter, studies and versions of code, and what it shall say.

One small file for each, beside the repository and not in it: who decides need not wait for the site's process, which has
the repository open. The process looks here whenever it syncs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from imagiq.errors import ImagiqError
from imagiq.federation.membership import Wish, parse_wish
from imagiq.federation.policy import Answer
from imagiq.objects import JSON, Digest, Parent, Recipe, digest_of, encode, parse_digest
from imagiq.objects.canonical import Fields, decode
from imagiq.site.keyfile import write_file
from imagiq.store.owned import writing

__all__ = ["Decisions", "Order"]

FILE_LIMIT = 2 * 2**20
WISH, STUDY, CODE, ORDER = "wish", "study", "code", "order"


@dataclass(frozen=True, kw_only=True)
class Order:
    """A commit that the site shall write: a study, a tag, a request of its own, a recovery.

    Attributes:
        recipe: By what it is made.
        parents: What it is about.
        study: The study that it belongs to.
        nonce: Tells it from others that order the same.
    """

    recipe: Recipe
    parents: tuple[Parent, ...] = ()
    study: Digest | None = None
    nonce: str = ""

    @property
    def action(self) -> Digest:
        """The identity of what was ordered: a site that was stopped after its commit does not write it again."""
        return digest_of(b"imagiq order\n" + encode(self.to_json()))

    def to_json(self) -> dict[str, JSON]:
        """Return how it is kept."""
        recipe = self.recipe
        fields: dict[str, JSON] = {"name": recipe.name, "version": recipe.version, "parameters": recipe.parameters}
        seed: dict[str, JSON] = {} if recipe.seed is None else {"seed": recipe.seed}
        parents: list[JSON] = [{"role": parent.role, "commit": parent.commit} for parent in self.parents]
        study: dict[str, JSON] = {} if self.study is None else {"study": self.study}
        named: dict[str, JSON] = {"recipe": {**fields, **seed}, "parents": parents, "nonce": self.nonce}
        return named | study


def _parse_order(fields: Fields) -> Order:
    recipe = fields.object("recipe")
    seed = recipe.integer("seed") if "seed" in recipe else None
    parents = [
        Parent(one.text("role"), parse_digest(one.text("commit"), "An order's parent"))
        for one in fields.objects("parents", limit=1000)
    ]
    return Order(
        recipe=Recipe(recipe.text("name"), recipe.integer("version"), recipe.mapping("parameters"), seed),
        parents=tuple(parents),
        study=parse_digest(fields.text("study"), "An order's study") if "study" in fields else None,
        nonce=fields.text("nonce"),
    )


class Decisions:
    """The decisions in a folder.

    Args:
        folder: It is made when something is decided.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def decide(self, wish: Wish, answer: Answer) -> None:
        """Approve or refuse a change of the charter; the last word counts."""
        self._write(WISH, wish.to_json(), answer)

    def forget(self, wish: Wish) -> None:
        """Take a word back."""
        self._path(WISH, wish.to_json()).unlink(missing_ok=True)

    def answer(self, study: Digest, answer: Answer) -> None:
        """Accept or refuse a study."""
        self._write(STUDY, {"study": study}, answer)

    def let_run(self, code: str) -> None:
        """Let a version of code run at this site."""
        self._write(CODE, {"code": code}, Answer.ACCEPT)

    def wishes(self, answer: Answer) -> frozenset[Wish]:
        """Return the changes that were approved, or those that were refused."""
        return frozenset(parse_wish(about) for about, said in self._read(WISH) if said is answer)

    def answers(self) -> dict[Digest, Answer]:
        """Return what was said about studies."""
        return {
            parse_digest(about.values.get("study"), "A decision's study"): said for about, said in self._read(STUDY)
        }

    def code(self) -> frozenset[str]:
        """Return the versions of code that may run."""
        return frozenset(about.text("code") for about, _ in self._read(CODE))

    def order(self, recipe: Recipe, *, parents: Sequence[Parent] = (), study: Digest | None = None) -> Order:
        """Let the site write a commit when it can."""
        order = Order(recipe=recipe, parents=tuple(parents), study=study, nonce=token_hex(16))
        self._write(ORDER, order.to_json(), Answer.ACCEPT)
        return order

    def orders(self) -> tuple[Order, ...]:
        """Return what is still to be written."""
        return tuple(_parse_order(about) for about, _ in self._read(ORDER))

    def done(self, order: Order) -> None:
        """Forget what was written, or cannot be."""
        self._path(ORDER, order.to_json()).unlink(missing_ok=True)

    def _path(self, kind: str, about: JSON) -> Path:
        return self._folder / f"{kind}-{digest_of(encode(about))[:32]}.json"

    def _write(self, kind: str, about: JSON, answer: Answer) -> None:
        with writing(self._folder):
            self._folder.mkdir(mode=0o700, exist_ok=True)
        write_file(self._path(kind, about), encode({"about": about, "answer": answer.value}))

    def _read(self, kind: str) -> Iterator[tuple[Fields, Answer]]:
        """Yield what was decided; a file that is none is passed over: nothing is decided by it."""
        for path in sorted(self._folder.glob(f"{kind}-*.json")):
            try:
                with path.open("rb") as stream:
                    fields = decode(stream.read(FILE_LIMIT + 1), limit=FILE_LIMIT, what="a decision")
                yield fields.object("about"), Answer(fields.text("answer"))
            except (ImagiqError, ValueError, OSError):
                continue
