"""Formats of files of geometries: what stands in them, frame by frame, or why it can't be read."""
