"""A disk that fails."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def files_can_grow_no_more() -> Iterator[None]:
    """Every write beyond the first byte of a file fails, as on a disk that breaks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
