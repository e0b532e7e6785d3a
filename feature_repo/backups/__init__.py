"""Backups of a whole home, lake and models and all: what is in them, how they are taken, kept and restored."""
