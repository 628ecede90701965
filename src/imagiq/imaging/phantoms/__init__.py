"""Phantoms: brains with tumours that never were, imaged by scanners that are."""
