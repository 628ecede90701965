"""Where objects rest at a site: in memory, in a folder; the local journal; the rebuildable index.

:mod:`imagiq.testing.stores` holds the suite that every store passes.
"""

from imagiq.store.contract import Content, Journal, Record, Store
from imagiq.store.files import Files, Lock, RealFiles
from imagiq.store.folder import FolderStore
from imagiq.store.index import Index, Row
from imagiq.store.memory import MemoryJournal, MemoryStore

__all__ = [
    "Content",
    "Files",
    "FolderStore",
    "Index",
    "Journal",
    "Lock",
    "MemoryJournal",
    "MemoryStore",
    "RealFiles",
    "Record",
    "Row",
    "Store",
]
