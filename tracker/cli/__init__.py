"""The command line: every command, its options and what it prints."""

import os
from collections.abc import Sequence

import click

from .. import __version__
from .account_options import account_confirm, account_limit, account_list, account_set, account_show
from .accounts import account, key
from .backup import backup, restore
from .blocks import block, blocks, unblock
from .copy import copy
from .demo import demo
from .errors import reported
from .installation import check, migrate
from .keys import rotate_keys
from .list_exports import export_list
from .list_imports import import_list
from .misspelt import misspelt
from .serve import serve
from .worker import worker


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="tracker")
@click.pass_context
def tracker(context: click.Context) -> None:
    """Track opens, clicks and opt-outs of e-mail, whichever mailer sends it.

    Settings come from the environment: "tracker check" lists them all.
    """
    # A server says it in its log, and its worker has the same environment.
    if context.invoked_subcommand not in ("serve", "worker"):
        for sentence in misspelt():
            click.echo(f"Warning: {sentence}", err=True)


for option in (account_list, account_show, account_set, account_confirm, account_limit):
    account.add_command(option)

for command in (
    serve,
    demo,
    migrate,
    check,
    account,
    key,
    rotate_keys,
    backup,
    restore,
    copy,
    export_list,
    import_list,
    block,
    unblock,
    blocks,
    worker,
):
    tracker.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command. What can be expected to go wrong is one sentence on standard error, and status 1."""
    # The database holds addresses and the secrets of accounts: what we create is for its owner's eyes only.
    os.umask(0o077)
    with reported():
        tracker(args=arguments, prog_name="tracker")
