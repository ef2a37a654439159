"""A campaign's budget of GPU minutes: a run that would take more is refused before it spends any.

Goes by the plan's own estimate: medians of what was recorded, and first guesses before that.
"""

from __future__ import annotations

from configs.errors import BadPlan
from configs.marks import Marks
from flows.plan import Plan


def check_budget(plan: Plan, marks: Marks) -> None:
    """Refuse a plan whose work would take more of the GPU than its campaign may spend.

    What waits for approval counts too: a budget that ends halfway through a week serves nobody.

    Args:
        plan: of the campaign.
        marks: the places of the campaign's values.

    Raises:
        BadPlan: with the estimate, the stage that takes most, and how many shots would fit.
    """
    budget = plan.campaign.budget
    wanted = plan.gpu_seconds / 60
    if budget is None or wanted <= budget.gpu_minutes:
        return
    dear = max((row for row in plan.rows if row.lane == "gpu"), key=lambda row: row.seconds)
    shots = len(drawn(plan))
    fit = int(shots * budget.gpu_minutes / wanted)
    raise BadPlan(
        f"{marks.where(('budget', 'gpu_minutes'))}: budget.gpu_minutes: about {wanted:.1f} GPU "
        f"minutes would be needed, and {budget.gpu_minutes:g} may be spent; {dear.stage} takes "
        f"{dear.seconds / 60:.1f} of them. At this price {fit} of {shots} shots fit: leave out "
        f"products or days, lower {dear.stage}.steps, or raise the budget"
    )


def drawn(plan: Plan) -> set[str]:
    """Return the shots for which anything is yet to be drawn by a model."""
    todo = {key for key, node in plan.nodes.items() if node.model and plan.states[key] != "cached"}
    return {address.shot for address, key in plan.places.items() if key in todo}
