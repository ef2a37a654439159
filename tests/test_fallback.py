"""A card runs out of memory in a campaign: what is made, under which key, and what is said.

The card is this machine's processor, whose loader says what a full card says.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from catalogs.node import Address, Node, NodeOutput
from catalogs.store import Store
from configs.library import Library
from flows.approval import awaiting, judge
from flows.plan import prepare
from gpu import weights as cache
from gpu.checkpoint import whole
from gpu.fit import Fit, apply, fitted
from gpu.weights import Weights
from tasks.stage import ran
from tests.campaigns import bytes_of, home_with, run_plainly
from tests.catalog_data import commit


@contextmanager
def full_card(enough):
    """Let weights fit only as `enough` says; yield the fits tried."""
    shared = cache.shared(2)
    tried = []

    def fits(pipe, fit, device):
        tried.append(fit)
        if not enough(fit):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        apply(pipe, fit, device)

    shared.release_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared, "learned", {})
        patch.setattr(cache.fits, "apply", fits)
        yield tried
    shared.release_all()


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A home whose campaign ran on a card with room, and that run."""
    home = home_with(tmp_path_factory.mktemp("plain") / "home")
    return home, run_plainly(home)


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    """A home whose campaign ran where only a tiled decoder fits, and that run."""
    home = home_with(tmp_path_factory.mktemp("tiled") / "home")
    with full_card(lambda fit: fit.tiling):
        return home, run_plainly(home)


def records(home, run):
    """Return the record of every place of a run, by stage and shot."""
    store = Store(home.store)
    return {
        (entry.place.stage, entry.place.shot): (entry, store.record(entry.key))
        for entry in run.entries
        if entry.state in ("made", "cached") and entry.place.stage in ("keyframe", "export")
    }


SHOT = "rouge-01/2026-03-02"


@pytest.mark.slow
def test_a_neutral_fallback_keeps_the_key_and_is_recorded(plain, tmp_path):
    """The same bytes under the planned key; the record says how."""
    home = home_with(tmp_path / "home")
    with full_card(lambda fit: fit.offload == "group") as tried:
        run = run_plainly(home)
    assert run.state == "done"
    assert [fit.offload for fit in tried] == ["none", "model", "group"]
    _, record = records(home, run)["keyframe", SHOT]
    (said,) = record.facts["fallbacks"]
    assert "offload none" in said
    assert "-> offload group" in said
    assert "out of memory: CUDA out of memory" in said
    assert bytes_of(home.deliveries) == bytes_of(plain[0].deliveries)
    assert Store(plain[0].store).held() == Store(home.store).held()


@pytest.mark.slow
def test_other_pixels_are_keyed_as_what_ran(plain, tiled):
    """The keyframe and all that is made from it have other keys than planned; the run is done."""
    planned = records(*plain)
    home, run = tiled
    made = records(home, run)
    assert run.state == "done"
    assert all(entry.state == "made" for entry in run.entries if entry.place.stage != "expand")
    entry, record = made["keyframe", SHOT]
    assert record.recipe["pixels"]["vae"] == "tiled"
    assert record.key == entry.key != planned["keyframe", SHOT][0].key
    assert len(record.facts["fallbacks"]) == 1
    exported, recipe = made["export", SHOT][0], made["export", SHOT][1].recipe
    assert entry.key in str(recipe["inputs"])
    assert exported.key != planned["export", SHOT][0].key
    assert set(bytes_of(home.deliveries)) == set(bytes_of(plain[0].deliveries))
    own = "mug-01/2026-03-02"  # its own photo: no model, so its key is as planned
    assert made["export", own][0].key == planned["export", own][0].key


@pytest.mark.slow
def test_a_second_run_after_a_fallback_makes_nothing_twice(tiled):
    """The plan asks for the first choice again; what then runs is there already."""
    home, _ = tiled
    held = Store(home.store).held()
    with full_card(lambda fit: fit.tiling):
        assert run_plainly(home).state == "done"
    assert Store(home.store).held() == held


@pytest.mark.slow
def test_the_plan_tells_of_a_fallback_until_the_profile_takes_it(tiled):
    """What ran is not what is planned, and the plan says why; `vae_tiling: true` accepts it."""
    home, _ = tiled
    _, planned = prepare(home, "stills")
    assert any("vae" in reason for reason in planned.reasons.values())
    row = Library.open(home).profiles["mini"].model_copy(update={"vae_tiling": True})
    (home.root / "profiles.yaml").write_text(
        json.dumps({"mini": row.model_dump(mode="json", exclude_defaults=True)}), "utf-8"
    )
    _, accepted = prepare(home, "stills")
    assert not list(accepted.work())


@pytest.mark.slow
def test_a_verdict_on_what_ran_counts_for_what_was_planned(tmp_path):
    """Accepted, the tiled keyframe lets its shot go on; another seed draws the planned one anew."""
    home = home_with(tmp_path / "home", approve="keyframes")
    with full_card(lambda fit: fit.tiling):
        assert run_plainly(home).state == "waiting"
    (waiting,) = awaiting(home)
    (planned,) = set(prepare(home, "stills").plan.waits.values())
    assert planned != waiting.key
    judge(home, waiting.key, "reseeded")
    (other,) = set(prepare(home, "stills").plan.waits.values())
    assert other != planned
    judge(home, waiting.key, "approved")
    assert not prepare(home, "stills").plan.waits
    with full_card(lambda fit: fit.tiling):
        assert run_plainly(home).state == "done"
    assert list((home.deliveries / "stills").rglob("rouge-01/*.jpeg"))


def test_a_clip_that_falls_back_after_its_keyframe_is_found(studio):
    """Planned, then drawn from another keyframe, then with other pixels: two keys further on."""
    address = Address("animate", SHOT, "portrait")
    here = studio({})
    here.really["a" * 64] = "b" * 64
    planned = Node(address, "animate", 1, {}, {"image": NodeOutput("a" * 64, "image")})
    followed = here.follow(planned)
    assert followed.inputs["image"] == NodeOutput("b" * 64, "image")
    tiled = replace(followed, pixels={"vae": "tiled"})
    here.really[followed.key] = tiled.key
    assert not here.has(planned.key)
    commit(here.store, tiled, "clip")
    assert here.has(planned.key)
    assert ran(here.really, planned.key) == tiled.key


@pytest.mark.slow
def test_no_memory_at_all_fails_the_shot_alone(tmp_path):
    """In one sentence with advice; the shot with its own photo is delivered."""
    home = home_with(tmp_path / "home")
    with full_card(lambda fit: False):
        run = run_plainly(home)
    errors = {entry.place.shot: entry.error for entry in run.entries if entry.state == "failed"}
    assert run.state == "failed"
    assert list(errors) == [SHOT]
    assert "does not fit into the device's memory, even with offload group" in errors[SHOT]
    assert "take a smaller size or profile" in errors[SHOT]


def test_a_full_card_is_no_broken_file(mini_picture, monkeypatch):
    """Loading itself may run out of memory: a torch error among those of bad weights."""
    import diffusers

    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(diffusers.ZImagePipeline, "from_pretrained", full)
    with pytest.raises(torch.OutOfMemoryError):
        whole.load(mini_picture.folder, "ZImagePipeline", dtype="bfloat16", device="cpu")


def test_a_load_that_runs_out_of_memory_falls_back_too(mini_picture):
    """The weights themselves do not fit: they are loaded anew, elsewhere."""
    tried = []

    def load(spec):
        tried.append(spec.fit)
        if spec.fit.offload == "none":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return "pipe"

    weights, told = Weights(1, load=load), []
    assert fitted(mini_picture, weights, (64, 64), lambda pipe: pipe, told.append) == "pipe"
    assert tried == [Fit(), Fit("model")]
    assert told[0].ran == Fit("model")
