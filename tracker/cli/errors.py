"""What can go wrong at the command line, in a sentence instead of a traceback."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..domain.keys import BadKeyring
from ..settings import BadSetting
from ..storage.archives import BadBackup
from ..storage.database import BadDatabase, Unavailable
from ..storage.locks import Locked

EXPECTED = (BadSetting, BadKeyring, BadBackup, BadDatabase, Unavailable, Locked)


@contextmanager
def reported() -> Iterator[None]:
    """End with status 1 and the sentence of an expected error."""
    try:
        yield
    except EXPECTED as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
