"""Imaging: medical images, their geometry and their masks; phantoms.

Importing this module loads neither numpy nor an image library.
"""
