"""Whose turn it is, as plain arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from gpu.service.turns import PATIENCE, RECENT, Turns


@dataclass(frozen=True)
class Piece:
    client: str
    needs: str = "picture"
    priority: int = 0
    since: float = 0.0


def everything(_: str) -> bool:
    return True


def test_who_had_least_goes_next():
    """Seconds count, not pieces: one long clip is worth many pictures."""
    turns = Turns()
    turns.charge("clips", 60, 0)
    turns.charge("pictures", 2, 0)
    assert turns.next([Piece("clips"), Piece("pictures")], everything, 1).client == "pictures"


def test_who_comes_new_begins_level():
    """A newcomer neither waits for all others' past, nor takes the process for itself."""
    turns = Turns()
    turns.charge("old", 3600, 0)
    turns.next([Piece("old"), Piece("new", since=1)], everything, 1)
    assert turns.had["new"] == 3600


def test_an_idle_morning_is_no_credit():
    """One that asked for nothing for a while begins level again."""
    turns = Turns()
    turns.charge("rare", 1, 0)
    turns.charge("busy", 500, RECENT)
    turns.next([Piece("busy"), Piece("rare")], everything, RECENT + 1)
    assert turns.had == {"busy": 500, "rare": 500}


def test_priority_comes_first():
    """What a person waits for goes before a week's batch, whatever is loaded."""
    turns = Turns()
    urgent = Piece("person", "clip", priority=1)
    batch = Piece("batch", "picture")
    assert turns.next([batch, urgent], lambda needs: needs == "picture", 1) is urgent


def test_what_waits_behind_a_priority_has_a_turn_now_and_then():
    """However many people ask, a week's batch gets one piece for each 300 s of theirs."""
    turns, order = Turns(), []
    batch = Piece("batch")
    for now in range(0, 1400, 100):
        people = [Piece(f"person-{now}", priority=2), Piece("other", priority=1)]
        first = turns.next([batch, *people], everything, now)
        turns.charge(first.client, 100, now + 100)
        order.append(first.client[0])
    assert order == list("pppb" * 3 + "pp")
    assert turns.next([batch], everything, 1400) is batch
    assert (turns.ahead, turns.passing) == (0, False)


def test_loaded_weights_go_first_but_not_for_ever():
    """Clips wait while pictures are loaded, until their patience is at an end."""
    turns, loaded = Turns(), "picture".__eq__
    picture, clip = Piece("a", "picture", since=100), Piece("b", "clip")
    turns.charge("a", 90, 100)
    assert turns.next([clip, picture], loaded, PATIENCE) is picture
    assert turns.next([clip, picture], loaded, PATIENCE + 1) is clip
