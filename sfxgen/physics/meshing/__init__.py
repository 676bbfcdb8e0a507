"""Mesh files to surfaces, and surfaces to what can be solved: tetrahedra that fill them, or even shells."""
