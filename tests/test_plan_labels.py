"""At plan time: no file goes out unlabelled in silence, no run starts with a bad certificate."""

from __future__ import annotations

import datetime as dt

import pytest

from configs.errors import BadField, BadFile, BadPlan
from configs.home import Home
from flows.keys import new_keys
from tests.plan_data import Desk, shipped
from tests.sign_data import CODE

SIGNING = {"certificate": "keys/signing.pem", "key": "keys/signing.key"}
WAIVER = {"by": "Li Wei", "reason": "the platform labels it itself"}


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(Home(tmp_path / "home"))


def keys(desk: Desk, begins: dt.datetime):
    return new_keys(desk.home, "Lumière", years=1, now=begins)


def without(desk: Desk, name: str, port: str = ""):
    """Return an edit to the shipped pipeline without a stage, or with a port of export unwired."""
    stages = list(shipped("pipelines/social-clip")["stages"])
    for stage in stages:
        if "in" in stage:
            stage["in"] = {own: of for own, of in stage["in"].items() if own != port}
    desk.write("pipelines/mine", {"stages": [one for one in stages if one["id"] != name]})
    return lambda brief: brief.update(pipeline="mine")


class TestUnlabelled:
    def test_a_pipeline_without_the_label(self, desk):
        """It is refused at its line, with both ways out."""
        with pytest.raises(BadPlan, match=r"mine\.yaml:\d+: export has no `label`.*label\.off"):
            desk.plan(without(desk, "label", "label"))

    def test_a_pipeline_without_the_metadata(self, desk):
        """An export must not be the end: nothing would be in the file."""
        with pytest.raises(BadPlan, match=r"mine\.yaml:\d+: export: nothing writes .* `\{id: sign"):
            desk.plan(without(desk, "sign"))

    def test_a_waiver_lets_it_through_and_is_kept(self, desk):
        """Its name and reason stand in every sign node, which the catalog holds."""
        edit = without(desk, "label", "label")

        def waived(brief):
            edit(brief)
            brief["settings"] = {"label.off": WAIVER}

        nodes = desk.plan(waived).nodes.values()
        kept = [node.params["unlabelled"] for node in nodes if node.kind == "sign"]
        assert kept == [WAIVER] * len(kept)
        assert kept

    @pytest.mark.parametrize("waiver", ["yes", {"by": "Li Wei"}, {"by": "x", "reason": "because"}])
    def test_a_waiver_takes_a_name_and_a_reason(self, desk, waiver):
        """At its line in the campaign."""
        with pytest.raises(BadField, match=r"demo\.yaml:\d+.*label\.off"):
            desk.found(lambda brief: brief.update(settings={"label.off": waiver}))


class TestCertificate:
    def plan(self, desk: Desk, **brand):
        signing = {"signing": SIGNING, **brand}
        return desk.found(lambda brief: brief["brand"].update(signing))

    def test_a_fit_one_is_part_of_the_key_and_its_key_is_not(self, desk):
        """The certificate's hash stands in the recipe, the private key's path in the notes."""
        keys(desk, dt.datetime.now(dt.UTC))
        facts = self.plan(desk).facts
        assert facts.logos["certificate"].path == "keys/signing.pem"
        assert "key" not in facts.logos

    def test_an_expired_one_stops_the_plan(self, desk):
        """With the campaign's line and the day."""
        keys(desk, dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        with pytest.raises(BadFile, match=r"demo\.yaml:\d+.*brand\.signing: signing\.pem: expired"):
            self.plan(desk)

    def test_a_missing_one_stops_the_plan(self, desk):
        """`keyreel keys new` was not run."""
        with pytest.raises(BadFile, match=r"demo\.yaml:\d+.*brand\.signing: .*signing\.pem"):
            self.plan(desk)

    def test_a_key_outside_the_home(self, desk):
        """A campaign file, which may come from elsewhere, reads no other file of the machine."""
        keys(desk, dt.datetime.now(dt.UTC))
        outside = {**SIGNING, "key": "../../etc/ssl/private/x.key"}
        with pytest.raises(BadFile, match="leads outside the home"):
            self.plan(desk, signing=outside)


class TestProducer:
    def test_a_code_with_a_slip(self, desk):
        """The credit code's check digit tells; the campaign's line is named."""
        wrong = CODE.replace("110102", "110103")
        producer = {"name": "露米埃", "code": wrong}
        with pytest.raises(BadField, match=r"demo\.yaml:\d+.*no unified social credit code"):
            desk.found(lambda brief: brief["brand"].update(producer=producer))

    def test_a_market_that_is_not_known(self, desk):
        """Only markets whose law is built in may be named."""
        with pytest.raises(BadField, match=r"brand\.markets"):
            desk.found(lambda brief: brief["brand"].update(markets=["mars"]))
