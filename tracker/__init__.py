"""Tracker tells the sender of an e-mail what became of it, and keeps "write to me no more"."""

__version__ = "0.1.0"
