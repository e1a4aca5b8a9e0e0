"""Contracts of frames: what their classes ask of columns and values. One module alone imports each library."""
