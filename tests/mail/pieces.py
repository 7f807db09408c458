"""Writes many short strings in few lines."""


def pieces(dotted: str) -> list[str]:
    """What stands between the ``·``."""
    return dotted.split("·")
