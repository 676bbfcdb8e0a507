"""Rigid bodies that fall, roll, pile up and break, and what touched what."""
