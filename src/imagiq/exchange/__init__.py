"""Exchange: what do you lack, who has it; how objects travel, sealed, to sites that are never online together.

Buckets and https load more than the rest: they are in :mod:`imagiq.exchange.bucket` and :mod:`imagiq.exchange.https`.
"""

from imagiq.exchange.fetching import Fetched, fetch_model
from imagiq.exchange.folder import FolderRemote
from imagiq.exchange.patience import PatientRemote
from imagiq.exchange.peers import Ask, BenchPeer, Peer, asks, pull
from imagiq.exchange.publishing import Published, Publisher, Sent
from imagiq.exchange.remote import Listed, Remote
from imagiq.exchange.remote_peer import RemotePeer
from imagiq.exchange.ring import Keyring
from imagiq.exchange.turns import Closed, Turns

__all__ = [
    "Ask",
    "BenchPeer",
    "Closed",
    "Fetched",
    "FolderRemote",
    "Keyring",
    "Listed",
    "PatientRemote",
    "Peer",
    "Published",
    "Publisher",
    "Remote",
    "RemotePeer",
    "Sent",
    "Turns",
    "asks",
    "fetch_model",
    "pull",
]
