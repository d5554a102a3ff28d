"""Whose move a change of the desk's row is."""

from apps.worker_realtime.link import SwitchRow, TradingState


def state(word, version, author="kim"):
    return TradingState("live", word, version, author)


def test_a_resume_right_after_our_own_word_is_one_of_that_word():
    read = state("FLATTENING", 4)
    row = SwitchRow(read)
    row.wrote("FLAT", 5)
    assert row.moved_from(read, ours="live") is None  # read before we wrote
    assert row.word == "FLAT"
    assert row.moved_from(state("RUNNING", 6), ours="live") == "FLAT"


def test_what_we_wrote_is_nobodys_move():
    row = SwitchRow(state("RUNNING", 1))
    assert row.moved_from(state("HALTED", 2, "live"), ours="live") is None
    assert row.word == "HALTED"


def test_a_toggle_moves_nothing_here():
    row = SwitchRow(state("HALTED", 1))
    assert row.moved_from(state("HALTED", 2), ours="live") is None


def test_a_row_that_went_back_clears_nothing_and_still_halts():
    row = SwitchRow(state("RUNNING", 3))
    row.wrote("HALTED", 4)
    assert row.moved_from(state("RUNNING", 3), ours="live") is None
    assert row.word == "RUNNING"  # so that ours is written again
    row.wrote("RUNNING", 9)
    assert row.moved_from(state("HALTED", 5), ours="live") == "RUNNING"
