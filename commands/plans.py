"""``make plan``, ``make plans``, ``make approve``, ``make refuse``: what is stale, and whether it is computed again.

Belongs here: asking, showing, deciding. Does not belong here: runs; the platform's sensor starts those of an approved
plan.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from commands.platform import prepare_dagster_home
from neurovision_assets.reprocessing.draft import Summary, in_words
from neurovision_assets.reprocessing.plans import (
    SAMPLE,
    Plan,
    PlanState,
    load_plan,
    newest_plans,
    pairs_of,
    refuse,
)
from neurovision_assets.surgery.pipeline import SURGERY
from resources.database.engine import Database
from resources.errors import ConfigurationError, NeuroVisionError
from resources.settings import Settings, load_settings

if TYPE_CHECKING:
    from neurovision_assets.reprocessing.planner import Proposal

SHOWN = 20
WIDE = 200


def main(arguments: Sequence[str] | None = None) -> int:
    """One of the four commands.

    Returns:
        0; 1 where it could not be done, one line on standard error says why.
    """
    chosen = _parser().parse_args(arguments)
    console = _terminal()
    try:
        settings = load_settings()
        chosen.command(settings, chosen, console)
    except NeuroVisionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def propose_command(settings: Settings, chosen: argparse.Namespace, console: Console) -> None:
    """Make a plan and show it; where nothing is stale, say so and make none."""
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    from commands.planning import planner_of  # Dagster is imported only after DAGSTER_HOME is there

    with planner_of(settings) as planner:
        proposal = planner.propose(chosen.by, chosen.sample, console.print)
    _show_proposal(settings, proposal, console)


def answer_change(settings: Settings) -> None:
    """The plan for what is served now, after a promotion or a rollback: the same that the platform would propose."""
    console = _terminal()
    os.environ["DAGSTER_HOME"] = str(prepare_dagster_home(settings))
    from commands.planning import planner_of  # Dagster is imported only after DAGSTER_HOME is there

    with planner_of(settings) as planner:
        proposal = planner.answer_change(getpass.getuser(), SAMPLE, console.print)
    _show_proposal(settings, proposal, console)


def list_command(settings: Settings, chosen: argparse.Namespace, console: Console) -> None:
    """The newest plans, or every pair of one."""
    database = Database.of(settings)
    if chosen.plan_id:
        show(load_plan(database, chosen.plan_id), console)
        table = Table("video", "asset", "cause", "because")
        for pair in pairs_of(database, chosen.plan_id):
            table.add_row(*pair)
        console.print(table)
        return
    table = Table("id", "made at", "state", "videos", "pairs", "computing", "decided by", "request", "result")
    for plan in newest_plans(database, SHOWN):
        table.add_row(
            plan.id,
            f"{plan.created_at:%Y-%m-%d %H:%M:%S}",
            plan.state,
            str(plan.summary.videos),
            str(plan.summary.pairs),
            in_words(plan.summary.computing_s),
            plan.decided_by or "",
            plan.request_id or "",
            plan.explanation or "",
        )
    console.print(table)


def approve_command(settings: Settings, chosen: argparse.Namespace, console: Console) -> None:
    """Let a plan run."""
    from neurovision_assets.definitions import build_resources
    from neurovision_assets.reprocessing.planner import approve_now

    it = build_resources(settings)
    plan_id = _named(chosen.plan_id)
    request_id = approve_now(SURGERY, it["database"], it["profiles"], it["inference"], plan_id, chosen.by)
    console.print(f"request: {request_id}\nIt runs while the platform is up; make requests tells how it goes.")


def refuse_command(settings: Settings, chosen: argparse.Namespace, console: Console) -> None:
    """Put a plan aside."""
    reason = chosen.reason.strip()
    if not reason:
        raise ConfigurationError(
            "Nobody said why the plan is refused.", subject="REASON", remedy="Give it: make refuse PLAN=… REASON=…."
        )
    refuse(Database.of(settings), _named(chosen.plan_id), chosen.by, reason)
    console.print("refused")


def _show_proposal(settings: Settings, proposal: Proposal, console: Console) -> None:
    if proposal.plan_id is not None:
        plan = load_plan(Database.of(settings), proposal.plan_id)
        show(plan, console)
        console.print(f"plan: {plan.id}")
        if plan.state is PlanState.PROPOSED:
            console.print(f"make approve PLAN={plan.id} lets it run, make refuse PLAN={plan.id} puts it aside")
    elif proposal.draft is not None:
        console.print(summary_table(proposal.draft.summary, "nothing is stale"))


def show(plan: Plan, console: Console) -> None:
    """One plan in figures, and what changes in the videos that were looked at."""
    console.print(summary_table(plan.summary, f"plan {plan.id}: {plan.state}"))
    if plan.sample is not None:
        console.print(sample_table(plan.sample))


def summary_table(summary: Summary, title: str) -> Table:
    """Figures of a plan."""
    table = Table("what", "how many", title=title)
    table.add_row("videos", str(summary.videos))
    table.add_row("pairs of stage and video", str(summary.pairs))
    for name, counts in (
        ("nearest cause", summary.by_cause),
        ("began with", summary.by_root),
        ("stage", summary.by_asset),
        ("never measured", summary.unmeasured),
        ("videos left out", summary.left_out),
    ):
        for key, count in counts.items():
            table.add_row(f"{name}: {key}", str(count))
    table.add_row("computing, as it was measured before", in_words(summary.computing_s))
    return table


def sample_table(sample: dict[str, Any]) -> Table:
    """Changes by video and stage."""
    table = Table("video", "stage", "what would change", title="computed aside, compared with what is stored")
    for video_id, stages in sample.items():
        for stage, figures in stages.items():
            table.add_row(video_id, stage, ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in figures.items()))
    return table


def _terminal() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)


def _named(plan_id: str) -> str:
    if not plan_id:
        raise ConfigurationError("No plan was named.", subject="PLAN", remedy="make plans lists them.")
    return plan_id


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is no number of videos; give 0 or more")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make plan", description="What is stale, and whether it is computed again.")
    commands = parser.add_subparsers(required=True)
    for name, command, text in (
        ("propose", propose_command, "make a plan"),
        ("list", list_command, "list plans, or the pairs of one"),
        ("approve", approve_command, "let a plan run"),
        ("refuse", refuse_command, "put a plan aside"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.set_defaults(command=command)
        if name != "propose":
            sub.add_argument("plan_id", nargs="?", default="")
        if name != "list":
            sub.add_argument("--by", default=getpass.getuser(), help="who does it; the user of this machine without it")
        if name == "propose":
            sub.add_argument("--sample", type=_count, default=SAMPLE, help="videos to compute aside and compare")
        if name == "refuse":
            sub.add_argument("--reason", default="", help="why")
    return parser


if __name__ == "__main__":
    sys.exit(main())
