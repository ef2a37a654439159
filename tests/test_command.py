"""The command, as a person types it: words in, sentences and exit codes out."""

from __future__ import annotations

import json
import shutil

import pytest

from catalogs.store import Store
from configs.home import Home
from flows import command
from tests.campaigns import STILLS, home_with, run_plainly


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose campaign has run."""
    home = home_with(tmp_path_factory.mktemp("command") / "home")
    run_plainly(home)
    return home


@pytest.fixture
def keyreel(monkeypatch, capsys):
    """Run the command: `keyreel(home, *words) -> (code, out, err)`."""

    def type_in(home, *words: object) -> tuple[int, str, str]:
        at = ("--home", home.root) if home else ()
        monkeypatch.setattr("sys.argv", ["keyreel", *map(str, (*at, *words))])
        with pytest.raises(SystemExit) as ended:
            command.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return type_in


def delivered(home):
    """Return one delivered file."""
    return next((home.deliveries / "stills").rglob("rouge-01/*.jpeg"))


@pytest.mark.slow
def test_plan_says_that_all_is_cached(home, keyreel):
    """A finished campaign's plan has nothing to make."""
    code, out, err = keyreel(home, "plan", "stills")
    assert (code, err) == (0, "")
    assert "0 to make" in out


@pytest.mark.slow
def test_plan_as_json_is_for_programs(home, keyreel):
    """Every node stands in it with its key and state."""
    _, out, _ = keyreel(home, "plan", "stills", "--json")
    assert {node["state"] for node in json.loads(out)["nodes"]} == {"cached"}


@pytest.mark.slow
def test_plan_explains_a_value(home, keyreel):
    """The layer that set a value is named."""
    shot = "rouge-01/2026-03-02"
    code, out, _ = keyreel(home, "plan", "stills", "--explain", shot, "keyframe.steps")
    assert code == 0
    assert "set by campaign" in out


@pytest.mark.slow
def test_plan_tells_why_work_is_stale(home, keyreel):
    """An edit shows as the value that changed, before anything is spent."""
    home_with(home.root, {**STILLS, "settings": {"keyframe.steps": 3}})
    code, out, _ = keyreel(home, "plan", "stills")
    home_with(home.root)
    assert code == 0
    assert "keyframe.steps: 2 -> 3" in out


@pytest.mark.slow
def test_show_prints_the_recipe_and_what_it_was_made_from(home, keyreel):
    """From a delivered file back to its keyframe and logo, the recipe of each node once."""
    code, out, _ = keyreel(home, "show", delivered(home))
    assert code == 0
    assert "keyframe" in out
    assert "brand/lumiere.png" in out
    nodes = [line.split()[-1] for line in out.splitlines() if " rouge-01/" in line[:60]]
    assert out.count("  (above)") == nodes.count("(above)") >= 2
    assert out.count("  outputs ") == len({*nodes} - {"(above)"})


@pytest.mark.slow
def test_rerun_gives_the_same_bytes(home, keyreel):
    """A recipe alone is enough to make a file again; its keyframe, by the command that is told."""
    code, out, _ = keyreel(home, "rerun", delivered(home))
    assert code == 0
    assert "the same bytes" in out
    assert "Only its last step, sign, was made again" in out
    (command,) = (line.split()[:3] for line in out.splitlines() if "keyreel rerun" in line)
    code, out, _ = keyreel(home, *command[1:])
    assert code == 0
    assert "keyframe portrait image: the same bytes" in out
    assert "last step" not in out


@pytest.mark.slow
def test_rerun_tries_a_change(home, keyreel, tmp_path):
    """A delivery's keyframe with another seed, and all that follows, beside what is delivered."""
    home = Home(shutil.copytree(home.root, tmp_path / "home"))
    file = delivered(home)
    before, store = file.read_bytes(), Store(home.store)
    code, out, err = keyreel(home, "rerun", file, "--set", "keyframe.seed=5")
    assert (code, err) == (0, "")
    made = {word for line in out.splitlines() if "made" in line for word in line.split()}
    assert {"keyframe", "export", "sign", "rouge-01/2026-03-02"} <= made
    pictures = [path for path in store.assets.rglob("*.jpeg") if str(path) in out]
    assert pictures
    assert before not in [path.read_bytes() for path in pictures]
    assert file.read_bytes() == before
    code, _, err = keyreel(home, "rerun", file, "--set", "keyframe.seed")
    assert (code, err) == (
        2,
        "error: --set 'keyframe.seed': write STAGE.NAME=VALUE, as in keyframe.seed=7\n",
    )


@pytest.mark.slow
def test_query_answers_and_refuses_to_write(home, keyreel):
    """One SELECT is answered, anything else is one sentence."""
    code, out, _ = keyreel(home, "query", "SELECT count(*) AS n FROM nodes")
    assert (code, out.split()) == (0, ["n", "9"])
    code, _, err = keyreel(home, "query", "DROP TABLE nodes")
    assert code == 2
    assert "one SELECT" in err


@pytest.mark.slow
def test_gc_shows_before_it_deletes(home, keyreel):
    """Nothing is unused, and nothing goes."""
    code, out, _ = keyreel(home, "gc")
    assert code == 0
    assert "Would delete 0 nodes" in out
    code, out, _ = keyreel(home, "gc", "--yes")
    assert "Deleted 0 nodes" in out
    assert delivered(home).exists()


@pytest.mark.slow
def test_doctor_finds_the_shipped_models_and_the_encoder(home, keyreel):
    """All that the demo needs is there; models that must be downloaded are none of it."""
    code, out, _ = keyreel(home, "doctor")
    assert code == 0
    assert "ok       model mini-picture" in out
    assert "ok       ffmpeg" in out
    assert "profile mini draws with mini-picture, mini-clip" in out
    assert "missing" not in out
    assert "BAD" not in out


@pytest.mark.slow
def test_catalog_rebuild_counts_what_it_found(home, keyreel):
    """The catalog is made anew from the files on disk."""
    assert keyreel(home, "catalog", "rebuild")[:2] == (0, "The catalog holds 9 nodes.\n")


@pytest.mark.slow
def test_run_with_nothing_to_do(home, keyreel):
    """A finished campaign ends at once."""
    code, out, _ = keyreel(home, "run", "stills")
    assert code == 0
    assert "Nothing to do" in out


def test_init_makes_a_home_that_can_be_planned(tmp_path, keyreel):
    """The commented starter campaign is valid as it stands."""
    from configs.home import Home

    code, out, _ = keyreel(None, "init", tmp_path / "new")
    assert code == 0
    assert "starter" in out
    code, out, _ = keyreel(Home(tmp_path / "new"), "plan", "starter", "--start", "2026-03-02")
    assert code == 0
    assert "to make" in out


def test_schema_writes_what_editors_read(tmp_path, keyreel):
    """One JSON Schema for each kind of YAML."""
    code, _, _ = keyreel(None, "schema", tmp_path)
    assert code == 0
    names = {path.name for path in tmp_path.iterdir()}
    assert {"campaign.schema.json", "pipeline.schema.json"} <= names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("plan",), "Missing argument"),
        (("paint",), "No such command"),
        (("run", "demo", "--seed", "x"), "valid integer"),
        (("show", "abc"), "neither a file"),
    ],
)
def test_wrong_words_are_one_sentence(tmp_path, keyreel, words, says):
    """Exit code 2, no usage page, no traceback."""
    home = home_with(tmp_path / "home")
    code, _, err = keyreel(home, *words)
    assert code == 2
    assert says in err
    assert "Traceback" not in err


def test_no_home_is_one_sentence(tmp_path, monkeypatch, keyreel):
    """Outside of any home the command says how to make one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KEYREEL_HOME", raising=False)
    code, _, err = keyreel(None, "plan", "demo")
    assert code == 2
    assert "keyreel init" in err
