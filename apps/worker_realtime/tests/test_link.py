"""Whose move a change of the desk's row is."""

import asyncio

import psycopg
import pytest

from apps.worker_realtime.link import DeskLink, SwitchRow, TradingState


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


@pytest.mark.integration
async def test_each_wish_is_heard_as_what_it_is(postgres_url):
    link = DeskLink(postgres_url, dict)
    beating = asyncio.create_task(link.run(every_s=0.02))
    try:
        async with asyncio.timeout(20):
            while not link.fresh:  # noqa: ASYNC110 - a state, not an event
                await asyncio.sleep(0.02)
            with psycopg.connect(postgres_url, autocommit=True) as conn:
                conn.execute("NOTIFY restart_wanted")
                await link.restart_wanted.wait()
                assert not link.gate_wanted.is_set()
                conn.execute("NOTIFY gate_wanted")
                await link.gate_wanted.wait()
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
