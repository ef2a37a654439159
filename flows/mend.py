"""What a campaign counts on is looked at before it runs: what is damaged or gone is made again.

A plan takes a record's name for finished work; here records are read, and their assets looked for.
"""

from __future__ import annotations

import datetime as dt

from catalogs.record import Record
from catalogs.runs import latest_run
from catalogs.store import Store, in_use
from configs.errors import BadFile
from configs.home import Home
from configs.load import Brief
from flows.book import RUNNING, Book, awaited, delivery_files, ends
from flows.budget import check_budget
from flows.execute import Outcome
from flows.facts import Resolved
from flows.plan import Plan, Prepared, prepare
from flows.progress import Totals


def prepare_whole(
    home: Home,
    name: str | Brief,
    *,
    start: dt.date | None = None,
    profile: str | None = None,
    seed: int | None = None,
) -> tuple[Prepared, tuple[str, ...]]:
    """Prepare a campaign whose finished work is all there; see `prepare`.

    Returns:
        The plan, and a sentence for each node whose record or asset is damaged or gone: these are
        set aside, and so planned anew. A look at one takes 0.2 ms.

    Raises:
        BadInput: as `prepare`; and where it would take more than the campaign's budget.
    """
    prepared = prepare(home, name, start=start, profile=profile, seed=seed)
    store = Store(home.store)
    lost = tuple(
        said
        for key in prepared.plan.nodes
        if prepared.plan.states[key] == "cached" and (said := _lost(store, key))
    )
    if lost:
        prepared = prepare(home, name, start=start, profile=profile, seed=seed)
    check_budget(prepared.plan, prepared.resolved.loaded.source)
    return prepared, lost


def _lost(store: Store, key: str) -> str:
    try:
        for port, asset in store.record(key).outputs.items():
            path = store.asset_path(asset)
            if not path.exists() or path.stat().st_size != asset.bytes:
                store.output(key, port)  # sets the record aside, and says so
    except BadFile as error:
        return str(error)
    except KeyError:
        return f"{store.records.path(key)}: damaged, and so set aside while planning"
    return ""


def catch_up(home: Home, resolved: Resolved, plan: Plan) -> bool:
    """Where nothing is to be made, write down what a killed run could not; say if there was any.

    Links in `deliveries/` that were deleted come back too.
    """
    dead = not all(map(in_use, home.runs.glob(f"*/{RUNNING}")))
    decided = plan.waits and not awaited(resolved, plan) and _waited(home, plan)
    if not decided and _told(resolved, plan) and _delivered(home, plan) and not dead:
        return False
    with Book.open(home, resolved, plan, Totals()) as book:
        book.close(Outcome(), interrupted=False)
    return True


def _waited(home: Home, plan: Plan) -> bool:
    """Say whether the latest run ended waiting for verdicts."""
    run = latest_run(home.runs, plan.campaign.name)
    return run is not None and run.state == "waiting"


def _told(resolved: Resolved, plan: Plan) -> bool:
    """Say whether run files tell of every node of the plan."""
    previous = resolved.facts.previous
    return all(
        previous.get(address) == key
        for address, key in plan.places.items()
        if key not in plan.waits
    )


def _delivered(home: Home, plan: Plan) -> bool:
    """Say whether every delivery has its name for people."""
    store, campaign = Store(home.store), plan.campaign.name
    records: dict[str, Record] = {}
    for address, key in ends(plan).items():
        if key in plan.waits:
            continue
        record = records.setdefault(key, store.record(key))
        for _, asset, target in delivery_files(home, campaign, address, record):
            if not target.exists() or not target.samefile(store.asset_path(asset)):
                return False
    return True
