"""``make doctor``: what is set and where from, what answers, what is wrong and what to do about it.

Belongs here: how it is shown. Does not belong here: the questions (``checks``). A secret is never shown, nor is a
password inside of a URL.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from commands.checks import Answer, answers_to, checks_of
from resources.errors import NeuroVisionError
from resources.postgres import without_password
from resources.settings import PREFIX, SECRET_VARIABLES, Secrets, Settings, load_settings


def main() -> int:
    """Print settings and servers; 1 when a setting or a server that is set cannot be used."""
    given = set(os.environ)
    try:
        settings = load_settings()
    except NeuroVisionError as error:
        print(f"wrong: {error}")
        return 1
    print("settings")
    for line in settings_told(settings, given):
        print(f"  {line}")
    answers = answers_to(checks_of(settings))
    print("servers" if answers else "servers: none is set, everything is in the home folder")
    for answer in answers:
        print(f"  {told(answer)}")
    wrong = [answer.error for answer in answers if answer.error is not None]
    if failure := _home_failure(settings):
        wrong.append(failure)
        print(f"  wrong  {failure}")
    print(f"{len(wrong)} wrong" if wrong else "all is well")
    return 1 if wrong else 0


def settings_told(settings: Settings, given: set[str]) -> Iterator[str]:
    """A line for each setting and secret.

    Args:
        settings: as they are.
        given: variables that the environment had before files were read.
    """
    for field in Settings.model_fields:
        name = PREFIX + field.upper()
        value = str(getattr(settings, field))
        shown = without_password(value) if name in SECRET_VARIABLES and value else value
        yield f"{name} = {shown or '(empty)'}  [{_source(name, given)}]"
    for field in Secrets.model_fields:
        name = field.upper()
        yield f"{name} = {'***' if os.environ.get(name) else '(not set)'}  [{_source(name, given)}]"


def told(answer: Answer) -> str:
    """One line: what was asked, and what came of it."""
    if answer.error is None:
        return f"ok     {answer.check.name}: {answer.check.where}"
    return f"wrong  {answer.check.name}: {answer.error}"


def _source(name: str, given: set[str]) -> str:
    if not os.environ.get(name):
        return "default"
    return "environment" if name in given else "file"


def _home_failure(settings: Settings) -> NeuroVisionError | None:
    from commands.platform import prepare_dagster_home

    try:
        prepare_dagster_home(settings)
    except NeuroVisionError as error:
        return error
    return None


if __name__ == "__main__":
    sys.exit(main())
