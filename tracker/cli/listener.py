"""The socket a server listens on: one of our own, or one that a service manager hands over."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import click

from ..settings import Settings

BACKLOG = 2_048
"""Connections that wait to be accepted."""

_MOST_UNSENT = 128 * 1024
"""Bytes of an answer that the system takes before the client has room for them. It would take 4 MB: memory that no
limit of ours sees, and that is emptied in steps of a megabyte, so that a slow reader could not be told from none."""


@contextmanager
def listening(settings: Settings, fd: int | None = None) -> Iterator[socket.socket]:
    """A socket that listens where the settings say. An address that is taken is an error that names it."""
    with _bound(settings) if fd is None else _handed_over(fd) as listener:
        # Connections inherit it. Every system we know has it but Windows.
        if (option := getattr(socket, "TCP_NOTSENT_LOWAT", None)) is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, _MOST_UNSENT)
        yield listener


def _bound(settings: Settings) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        # Until one listens, a second may bind the same port. From here on, whoever connects is answered.
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}. Choose another with --port"
        ) from None
    return listener


def _handed_over(fd: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=fd)
    except OSError as error:
        raise click.ClickException(f"cannot listen on descriptor {fd}: {error.strerror}") from None
    if listener.family not in (socket.AF_INET, socket.AF_INET6) or listener.type != socket.SOCK_STREAM:
        listener.close()
        raise click.ClickException(f"cannot listen on descriptor {fd}: it is no TCP socket")
    return listener
