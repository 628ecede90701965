"""Exchange: what do you lack, who has it; how objects travel, sealed, to sites that are never online together."""

from imagiq.exchange.peers import Ask, BenchPeer, Peer, asks, pull

__all__ = ["Ask", "BenchPeer", "Peer", "asks", "pull"]
