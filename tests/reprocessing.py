"""A desk at which requests are made and followed, around the toy stages: real tables, real runs, a daemon by hand.

Belongs here: what the daemon does between two looks, in this process. Does not belong here: tests; the real
daemon has a test of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from neurovision_assets.partitions import video_ids
from neurovision_assets.provenance_index import results_by_video
from neurovision_assets.reprocessing.draft import Draft, draw_up
from neurovision_assets.reprocessing.present import gather
from neurovision_assets.reprocessing.requests import Request, load_request, submit
from neurovision_assets.reprocessing.rounds import Round
from resources.database.engine import Database
from sensors.review_requests import newest_run, run_request
from tests.toy_domain import TOY, ToyPlatform, toy_platform

RUN_KEY_TAG = "dagster/run_key"


@dataclass
class Desk:
    """A toy platform whose requests are worked off when a test says so."""

    platform: ToyPlatform
    plan_runs_at_once: int = 1

    @property
    def database(self) -> Database:
        """The application database, opened anew as every process does."""
        return self.platform.database

    def known(self) -> list[str]:
        """Every video_id."""
        return list(self.platform.instance.get_dynamic_partitions(str(video_ids.name)))

    def ask(self, *keys: str, **more: Any) -> str:
        """A person's request."""
        return submit(self.database, **{"video_ids": keys, "requester": "tester", "reason": "a test", **more})

    def request(self, request_id: str) -> Request:
        """As it is now."""
        return load_request(self.database, request_id)

    def look(self) -> list[dg.RunRequest]:
        """One tick of the sensor, without what the daemon does with its result."""
        instance = self.platform.instance
        wanted = Round(
            pipeline=TOY,
            database=self.database,
            store=self.platform.store,
            catalog=self.platform.profiles,
            inference=self.platform.inference,
            known=set(self.known()),
            find_run=lambda request_id, video_id: newest_run(instance, request_id, video_id),
            plan_runs_at_once=self.plan_runs_at_once,
        ).execute()
        return [run_request(one, TOY) for one in wanted]

    def start(self, requests: list[dg.RunRequest]) -> list[dg.RunRequest]:
        """What the daemon does: one run a key, ever; here each runs to its end at once.

        Returns:
            Those that were started.
        """
        instance = self.platform.instance
        started = []
        for request in requests:
            if instance.get_runs_count(dg.RunsFilter(tags={RUN_KEY_TAG: str(request.run_key)})):
                continue
            started.append(request)
            self.platform.definitions().resolve_job_def("toy").execute_in_process(
                instance=instance,
                partition_key=request.partition_key,
                asset_selection=list(request.asset_selection or []),
                tags={**request.tags, RUN_KEY_TAG: str(request.run_key)},
                raise_on_error=False,
            )
        return started

    def work_off(self, most_looks: int = 20) -> list[dg.RunRequest]:
        """Look and start until there is nothing left; what was started, in order."""
        started = []
        for _ in range(most_looks):
            wanted = self.look()
            if not wanted:
                return started
            started += self.start(wanted)
        raise AssertionError("requests do not come to an end")

    def draft(self, *in_flight: str) -> Draft:
        """What a plan would hold now."""
        platform = self.platform
        present = gather(TOY, self.database, platform.store, platform.profiles, platform.inference, self.known())
        with self.database.reading() as connection:
            return draw_up(present, results_by_video(connection), in_flight)

    def change_factor(self, profile: str, factor: int) -> None:
        """Change a parameter of the stage ``double``."""
        path = Path(self.platform.home) / "profiles" / f"{profile}.yaml"
        path.write_text(f"optional: [extra]\nstages:\n  double: {{factor: {factor}}}\n")

    def computed(self) -> list[tuple[str, str]]:
        """What was computed since the last time this was asked, (stage, label)."""
        done = sorted(self.platform.script.computed)
        self.platform.script.computed.clear()
        return done


@contextmanager
def desk(home: Path) -> Iterator[Desk]:
    """A fresh one."""
    with toy_platform(home) as platform:
        yield Desk(platform)
