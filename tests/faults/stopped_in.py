"""imagiq in a process that stands still at a place of its work, for whoever wants to kill it just there.

``python stopped_in.py -C HOME up``; IMAGIQ_PHASE says where, and the file IMAGIQ_REACHED is made when it stands there.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import Any

from imagiq.cli import main

PLACES = {
    "starting": ("imagiq.site.running", "", "open_seat"),
    "reading-what-is-new": ("imagiq.exchange.shelf", "Shelf", "_read_on"),
    "admitting": ("imagiq.bench.bench", "Bench", "admit"),
    "fetching-a-model": ("imagiq.site.site", "", "fetch_model"),
    "training": ("tests.faults.steady", "Steady", "train"),
    "merging": ("imagiq.site.work", "", "weighted_mean"),
    "committing": ("imagiq.store.folder", "FolderStore", "add_commits"),
    "writing-a-model": ("imagiq.exchange.publishing", "Publisher", "_put_held"),
    "writing-a-commit": ("imagiq.exchange.publishing", "Publisher", "_put_commit"),
    "telling-of-it": ("imagiq.exchange.publishing", "Publisher", "_put_head"),
}


def stand_still(*_: Any, **__: Any) -> None:
    Path(os.environ["IMAGIQ_REACHED"]).touch()
    threading.Event().wait()


if __name__ == "__main__":
    module, owner, name = PLACES[os.environ["IMAGIQ_PHASE"]]
    found = import_module(module)
    setattr(getattr(found, owner) if owner else found, name, stand_still)
    sys.exit(main())
