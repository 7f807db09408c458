"""Finds variables of the environment that look like settings and are none: they would be ignored in silence."""

import difflib
import os
import re
from collections.abc import Mapping

from ..settings import PREFIX, names
from .reaching import KEY_VARIABLE

# Kubernetes and Docker set these for every container beside a service called "tracker".
_OF_A_SERVICE = re.compile(r"TRACKER_(SERVICE_(HOST|PORT)\w*|PORT_\d+_\w+|NAME|ENV_\w+)")


def misspelt(environment: Mapping[str, str] = os.environ) -> list[str]:
    """A sentence for each of them, with the setting that was probably meant. No value is told."""
    known = {*names(), KEY_VARIABLE}
    strange = (name for name in environment if name.startswith(PREFIX) and name not in known)
    return [_sentence(name, known) for name in sorted(strange) if not _OF_A_SERVICE.fullmatch(name)]


def _sentence(name: str, known: set[str]) -> str:
    meant = difflib.get_close_matches(name, sorted(known), n=1)
    hint = f"did you mean {meant[0]}?" if meant else "tracker check lists all settings"
    return f"{name} is no setting and is ignored: {hint}"
