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
        loaded: every code location is loaded.
        unhealthy: daemons that are required and have not reported.
        load_error: why the code cannot be loaded, empty when it can.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    answers: bool = False
    loaded: bool = False
    unhealthy: tuple[str, ...] = ()
    load_error: str = ""

    @property
    def ready(self) -> bool:
        """Everything works."""
        return self.answers and self.loaded and not self.unhealthy

    def __str__(self) -> str:
        if not self.answers:
            return "the webserver does not answer"
        waiting = [*(["code"] if not self.loaded else []), *self.unhealthy]
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
    errors = [workspace, *(entry["locationOrLoadError"] or {} for entry in entries)]
    messages = [error["message"] for error in errors if error.get("__typename") == "PythonError"]
    return Readiness(
        answers=True,
        loaded=bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries),
        unhealthy=tuple(d["daemonType"] for d in daemons if d["required"] and not d["healthy"]),
        load_error=messages[0].strip() if messages else "",
    )
