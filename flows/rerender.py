"""Deliveries anew without the GPU: new sizes, logos, titles and labels over finished clips."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import State

from catalogs.node import NodeOutput
from catalogs.runs import latest_run
from configs.errors import BadInput
from configs.home import Home
from configs.library import Library
from configs.load import load_campaign
from flows.campaign import RUNNER, carry_out
from flows.mend import prepare_whole
from flows.notify import TELLING
from flows.offers import Campaign
from flows.plan import Plan, Prepared
from flows.refusal import in_words
from tasks.stages import STAGES


@flow(
    name="rerender-deliveries",
    flow_run_name="{campaign}",
    task_runner=RUNNER,
    persist_result=False,
    **TELLING,
)
def rerender_deliveries(campaign: Campaign) -> State[str] | str:
    """Bring a campaign's finished files up to date without drawing anything anew.

    Args:
        campaign: What its latest run drew is taken; changed logos, titles, labels, sounds and
            platform sizes are put on. What is not drawn yet is left out.
    """
    return in_words(lambda: make_ready(campaign))


def make_ready(campaign: str) -> State[str] | str:
    """Make what needs no GPU of a campaign, in the flow run this is called in."""
    home = Home.find()
    prepared = latest(home, campaign)
    whole = len(prepared.plan.work())
    prepared = prepared._replace(plan=without_gpu(prepared.plan))
    if left := whole - len(prepared.plan.work()):
        get_run_logger().warning("%s nodes need the GPU or what it makes: left out", left)
    return carry_out(home, prepared)


def latest(home: Home, name: str) -> Prepared:
    """Prepare a campaign with the seed, first day and profile of its latest run.

    Raises:
        BadInput: where it has not run yet.
    """
    known = load_campaign(home.find_campaign(name), home, Library.open(home)).campaign.name
    run = latest_run(home.runs, known)
    if run is None:
        raise BadInput(f"{known} has not run yet: there are no clips to make deliveries of")
    told = run.parameters
    prepared, _ = prepare_whole(
        home,
        name,
        start=dt.date.fromisoformat(str(told["start"])),
        profile=str(told["profile"]),
        seed=int(str(told["seed"])),
    )
    return prepared


def without_gpu(plan: Plan) -> Plan:
    """Return a plan without the GPU's unmade work and all that would be made from it."""
    left: set[str] = set()
    for key, node in plan.nodes.items():  # each after those it reads
        sources = [source.key for source in node.inputs.values() if isinstance(source, NodeOutput)]
        unmade = plan.states[key] != "cached" and STAGES[node.kind].lane == "gpu"
        if unmade or not left.isdisjoint(sources):
            left.add(key)
    return replace(
        plan,
        nodes={key: node for key, node in plan.nodes.items() if key not in left},
        places={address: key for address, key in plan.places.items() if key not in left},
    )
