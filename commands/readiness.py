"""Whether a started platform works: one question to the webserver's GraphQL.

Belongs here: the question and what its answer means. Does not belong here: waiting, starting, stopping.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from pydantic import BaseModel, ConfigDict

from commands.locations import NEEDS

TIMEOUT_S = 10.0
QUESTION = """{
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  workspaceOrError {
    __typename
    ... on PythonError { message }
    ... on Workspace { locationEntries { name loadStatus
      locationOrLoadError { __typename ... on PythonError { message } } } }
  }
}"""


class Readiness(BaseModel):
    """One answer.

    Attributes:
        answers: the webserver answered.
        loaded: every code location that videos need is loaded.
        unhealthy: daemons that are required and have not reported.
        load_error: why such a location cannot be loaded, empty when it can.
        others_wrong: why other locations, such as the marts, cannot be loaded; the platform works without them.
        others_loading: other locations that are not loaded yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: bool = False
    loaded: bool = False
    unhealthy: tuple[str, ...] = ()
    load_error: str = ""
    others_wrong: tuple[str, ...] = ()
    others_loading: tuple[str, ...] = ()

    @property
    def works(self) -> bool:
        """Videos are processed."""
        return self.answers and self.loaded and not self.unhealthy

    @property
    def ready(self) -> bool:
        """It works, and nothing else is still being loaded."""
        return self.works and not self.others_loading

    def __str__(self) -> str:
        if not self.answers:
            return "the webserver does not answer"
        waiting = [*(["code"] if not self.loaded else []), *self.unhealthy, *self.others_loading]
        return self.load_error or ("waiting for " + ", ".join(waiting) if waiting else "ready")


def ask(url: str) -> Readiness:
    """Ask the webserver at a URL; one that does not answer is an answer too."""
    request = urllib.request.Request(  # noqa: S310 - the URL is ours
        f"{url}/graphql", json.dumps({"query": QUESTION}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            return read_answer(json.load(response)["data"])
    except (OSError, urllib.error.URLError, http.client.HTTPException, ValueError, KeyError):
        return Readiness()


def read_answer(data: dict[str, Any]) -> Readiness:
    """What the answer's data says."""
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    workspace = data["workspaceOrError"]
    entries = workspace.get("locationEntries", [])
    ours = [entry for entry in entries if entry["name"] not in NEEDS]
    others = [entry for entry in entries if entry["name"] in NEEDS]
    messages = [message for message in map(_error_of, [{"locationOrLoadError": workspace}, *ours]) if message]
    return Readiness(
        answers=True,
        loaded=bool(ours) and all(map(_is_loaded, ours)),
        unhealthy=tuple(d["daemonType"] for d in daemons if d["required"] and not d["healthy"]),
        load_error=messages[0] if messages else "",
        others_wrong=tuple(f"{entry['name']}: {_error_of(entry)}" for entry in others if _error_of(entry)),
        others_loading=tuple(entry["name"] for entry in others if not _is_loaded(entry)),
    )


def _is_loaded(entry: dict[str, Any]) -> bool:
    """Tried to the end, with or without success."""
    return bool(entry["loadStatus"] == "LOADED")


def _error_of(entry: dict[str, Any]) -> str:
    """Why it cannot be loaded, empty where it can."""
    told = entry["locationOrLoadError"] or {}
    return str(told["message"]).strip() if told.get("__typename") == "PythonError" else ""
