"""What a campaign may name: the shipped rows are right, a home's rows lie over them."""

from __future__ import annotations

import pytest

from configs.base import aspect_of
from configs.errors import BadField, BadFile
from configs.home import Home
from configs.library import Library, _shipped
from tests.seconds import least_seconds

ROW = (
    "own:\n  name: Own\n  width: 1080\n  height: 1920\n  aspect: portrait\n"
    "  source: https://example.org\n  checked_on: 2026-11-21\n"
)
MODEL = (
    "own:\n  makes: clip\n  pipeline: WanImageToVideoPipeline\n  folder: own\n  dialect: wan\n"
    "  sizes: {portrait: [480, 832], square: [640, 640], landscape: [832, 480]}\n"
    "  steps: 4\n  frames: 81\n  max_frames: 81\n  fps: 16\n"
)
TURBO = MODEL + (
    "  max_steps: 4\n  turbo: {sampler: rcm-ode, sigma_max: 200}\n"
    "  files:\n    architecture: wan2.2-i2v-a14b\n    transformer: high.pth\n"
    "    transformer_2: low.pth\n    text_encoder: t5.pth\n    vae: vae.pth\n"
)


@pytest.fixture
def home(tmp_path):
    """An empty home."""
    return Home(tmp_path)


@pytest.fixture
def shipped(home):
    """The library of an empty home."""
    return Library.open(home)


class TestShipped:
    """The package's own rows."""

    def test_the_platforms_the_readme_names(self, shipped):
        """By their ids."""
        assert set(shipped.deliveries) >= {
            "douyin",
            "xiaohongshu",
            "xiaohongshu-note",
            "wechat-channels",
            "bilibili",
            "kuaishou",
            "weibo",
            "tiktok",
            "instagram-reel",
            "instagram-feed",
            "instagram-square",
            "instagram-story",
            "youtube-short",
            "x",
            "linkedin",
        }

    def test_the_sizes_the_field_uses(self, shipped):
        """Five at least."""
        assert {(d.width, d.height) for d in shipped.deliveries.values()} >= {
            (1080, 1920),
            (1080, 1440),
            (1080, 1080),
            (1080, 1350),
            (1920, 1080),
        }

    def test_every_delivery_says_where_and_when_it_was_read(self, shipped):
        """A row without a page of the platform's own says so."""
        for name, row in shipped.deliveries.items():
            assert row.checked_on.year == 2026, name
            assert row.note or row.source.startswith("https://"), name

    def test_covers_have_their_clips_shape(self, shipped):
        """So that one crop fits both."""
        for row in shipped.deliveries.values():
            if row.cover:
                assert aspect_of(row.cover.width, row.cover.height) == row.aspect

    def test_every_profile_names_models_that_fit(self, shipped):
        """A picture model, a clip model, and memory for the larger where it is to stay whole."""
        assert list(shipped.profiles) == ["mini", "12gb", "24gb", "40gb", "80gb"]
        for profile in shipped.profiles.values():
            assert shipped.models[profile.picture].makes == "picture"
            assert shipped.models[profile.clip].makes == "clip"
            if profile.offload != "group":  # whose weights wait in main memory
                assert profile.budget_gb <= max(profile.min_memory_gb, 4)

    def test_the_default_profile_needs_nothing_but_the_package(self, shipped):
        """No GPU, no download."""
        mini = shipped.profiles["mini"]
        assert mini.device == "cpu"
        assert shipped.models[mini.picture].shipped
        assert shipped.models[mini.clip].shipped

    def test_it_opens_fast(self, home):
        """In 60 ms, nothing read before; `keyreel plan` opens it each time."""

        def opened() -> None:
            _shipped.cache_clear()
            Library.open(home)

        assert least_seconds(opened, times=5) < 0.06


class TestHome:
    """A home's own rows."""

    def test_a_row_adds_or_replaces(self, home, shipped):
        """By its id; the others stay."""
        (home.root / "deliveries.yaml").write_text(ROW + ROW.replace("own:", "douyin:", 1))
        library = Library.open(home)
        assert library.deliveries["own"].name.zh == "Own"
        assert library.deliveries["douyin"].name.zh == "Own"
        assert library.deliveries["bilibili"] == shipped.deliveries["bilibili"]
        assert library.where("deliveries", "own", ("aspect",)).endswith("deliveries.yaml:5")

    def test_a_pipeline_replaces_the_shipped_one_of_its_name(self, home):
        """By its file name."""
        (home.root / "pipelines").mkdir()
        (home.root / "pipelines" / "social-clip.yaml").write_text("stages: [{id: expand}]")
        library = Library.open(home)
        assert len(library.pipeline("social-clip")[0].stages) == 1
        assert "social-still" in library.pipelines

    def test_templates_of_both(self, home, shipped):
        """The home's own first; `configs/prompt.py` reads them."""
        (home.root / "prompts").mkdir()
        (home.root / "prompts" / "own.yaml").write_text("")
        assert set(Library.open(home).templates()) == {*shipped.templates(), "own"}

    def test_an_empty_file_adds_nothing(self, home, shipped):
        """Comments only, for instance."""
        (home.root / "models.yaml").write_text("# none yet\n")
        assert Library.open(home).models == shipped.models

    def test_a_file_linked_from_outside_is_refused(self, home, tmp_path_factory):
        """Nothing is read from beyond the home."""
        outside = tmp_path_factory.mktemp("outside") / "models.yaml"
        outside.write_text(MODEL)
        (home.root / "models.yaml").symlink_to(outside)
        with pytest.raises(BadFile, match="leads outside the home"):
            Library.open(home)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("aspect: portrait", "aspect: square", "1080x1920 is portrait; write aspect: portrait"),
            ("aspect: portrait", "aspect: tall", "'tall' does not fit"),
            ("width: 1080", "width: 1081", "1081 does not fit; write a multiple of 2"),
            ("width: 1080", "width: 99998", "a value of at most 8192"),
            ("aspect:", "format: jpeg\n  aspect:", "a clip cannot be jpeg"),
            ("aspect:", "kind: still\n  aspect:", "a still cannot be mp4"),
            ("aspect:", "fps: {min: 61}\n  aspect:", "min 61 is above max 60"),
            ("aspect:", "safe: {top: 1000, bottom: 920}\n  aspect:", "safe leaves nothing"),
            ("aspect:", "min_seconds: 9\n  max_seconds: 8\n  aspect:", "min_seconds 9 is above"),
            ("aspect:", "max_bytes: 0\n  aspect:", "a number above 0"),
            ("checked_on: 2026-11-21", "checked_on: yesterday", "write a date"),
            ("  source: https://example.org\n", "", "is missing; add `source: …`"),
            ("source:", "sauce:", "own.sauce: unknown key; did you mean 'source'?"),
            (ROW, "[]", "rows by id"),
            (ROW, "own: 5", "own: 5 does not fit; write keys with values"),
        ],
    )
    def test_a_delivery_must_agree_with_itself(self, home, old, new, said):
        """Each is told at its line."""
        assert old in ROW
        (home.root / "deliveries.yaml").write_text(ROW.replace(old, new))
        with pytest.raises(BadField, match=r"deliveries\.yaml:\d+") as caught:
            Library.open(home)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("[480, 832]", "[481, 832]", "sizes.portrait: 481x832 does not divide by 16"),
            (", landscape: [832, 480]", "", "sizes has no landscape"),
            ("frames: 81\n", "frames: 80\n", "frames and max_frames are 4k+1"),
            ("max_frames: 81", "max_frames: 49", "frames and max_frames are 4k+1"),
            ("  fps: 16\n", "", "is missing `fps`"),
            ("makes: clip", "makes: picture", "WanImageToVideoPipeline does not make a picture"),
            ("steps: 4", "steps: 51", "steps 51 is above max_steps 50"),
            ("steps: 4", "steps: 4\n  guidance: 3", "guidance 3 is above max_guidance 0"),
            ("folder: own", "folder: ../own", "a folder inside models/"),
            ("folder: own", "folder: /etc", "a folder inside models/"),
            ("WanImageToVideoPipeline", "ZImagPipeline", "did you mean 'ZImagePipeline'?"),
            ("WanImageToVideoPipeline", "WanPipeline", "WanPipeline does not make a clip"),
        ],
    )
    def test_a_model_must_agree_with_itself(self, home, old, new, said):
        """Before any weights are read."""
        assert old in MODEL
        (home.root / "models.yaml").write_text(MODEL.replace(old, new, 1))
        with pytest.raises(BadField, match=r"models\.yaml:\d+") as caught:
            Library.open(home)
        assert said in str(caught.value)

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("max_steps: 4", "max_steps: 8", "max_steps 8: `turbo` models were made for 1 to 4"),
            ("steps: 4", "steps: 5", "steps 5 is above max_steps 4"),
            ("sigma_max: 200", "sigma_max: 14", "turbo.sigma_max: 14 does not fit"),
            ("sigma_max: 200", "sigma_max: .inf", "turbo.sigma_max"),
            ("sigma_max: 200", "sla_share: 0.1", "turbo.sigma_max: is missing"),
            ("sampler: rcm-ode", "sampler: rcm-odd", "did you mean 'rcm-ode'?"),
            ("sigma_max: 200", "sigma_max: 200, sla_share: 0", "turbo.sla_share: 0 does not fit"),
            ("max_steps: 4", "max_steps: 4\n  max_guidance: 5", "`turbo` models know no guidance"),
            ("max_steps: 4", "max_steps: 4\n  euler_shift: 5", "`turbo` has a sampler of its own"),
            ("architecture: wan2.2-i2v-a14b", "architecture: wan2.2-ti2v-5b", "is for TurboDiff"),
        ],
    )
    def test_a_turbo_model_draws_as_it_was_distilled(self, home, old, new, said):
        """Its steps, its sampler, its architectures, and no guidance."""
        assert old in TURBO
        text = TURBO.replace(old, new, 1)
        if "5b" in new:
            text = text.replace("    transformer_2: low.pth\n", "")
        (home.root / "models.yaml").write_text(text)
        with pytest.raises(BadField, match=r"models\.yaml:\d+") as caught:
            Library.open(home)
        assert said in str(caught.value)

    def test_turbo_is_for_single_files(self, home):
        """TurboDiffusion publishes nothing in diffusers' layout."""
        row = MODEL + "  max_steps: 4\n  turbo: {sigma_max: 80}\n"
        (home.root / "models.yaml").write_text(row)
        with pytest.raises(BadField, match=r"turbo: is for TurboDiffusion's `files`, of wan2\.1"):
            Library.open(home)

    @pytest.mark.parametrize(
        ("field", "model", "said"),
        [
            ("clip", "turbowan2.1-t2v-14b", "makes clips from words alone; those that start from"),
            ("text_clip", "mini-clip", "no text-clip model 'mini-clip'"),
        ],
    )
    def test_clips_from_words_and_from_pictures_are_two_things(self, home, field, model, said):
        """A model of the one cannot be taken for the other."""
        row = {"picture": "mini-picture", "clip": "mini-clip", field: model}
        fields = ", ".join(f"{name}: {value}" for name, value in row.items())
        (home.root / "profiles.yaml").write_text(f"own: {{device: cpu, budget_gb: 1, {fields}}}")
        with pytest.raises(BadField, match=rf"profiles\.yaml:1.*own\.{field}") as caught:
            Library.open(home)
        assert said in str(caught.value)

    def test_a_profile_must_name_a_model_that_makes_the_right_thing(self, home):
        """With the nearest of those that do."""
        (home.root / "profiles.yaml").write_text(
            "own: {device: cpu, picture: mini-pictur, clip: mini-clip, budget_gb: 1}"
        )
        with pytest.raises(BadField, match=r"no picture model .* did you mean 'mini-picture'"):
            Library.open(home)
