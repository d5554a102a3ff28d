"""CSCV against its definition written out, and on markets where the answer is known."""

import itertools
import json
import math

import numpy as np
import pytest

from packages.common.errors import InvalidInputError
from services.training.validation.overfitting import cscv


def oracle(returns, blocks):
    """The paper's steps with lists and loops: pbo, logits, (winner in, winner out) pairs."""

    def sharpe(values):
        mean = math.fsum(values) / len(values)
        var = math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)
        return mean / math.sqrt(var)

    parts = [list(part) for part in np.array_split(np.arange(returns.shape[0]), blocks)]
    logits, pairs = [], []
    for chosen in itertools.combinations(range(blocks), blocks // 2):
        rows_in = [r for b in range(blocks) if b in chosen for r in parts[b]]
        rows_out = [r for b in range(blocks) if b not in chosen for r in parts[b]]
        here = [sharpe([returns[r, n] for r in rows_in]) for n in range(returns.shape[1])]
        there = [sharpe([returns[r, n] for r in rows_out]) for n in range(returns.shape[1])]
        best = here.index(max(here))
        rank = sum(t <= there[best] for t in there)
        omega = rank / (len(there) + 1)
        logits.append(math.log(omega / (1 - omega)))
        pairs.append((here[best], there[best]))
    return sum(x <= 0 for x in logits) / len(logits), logits, pairs


@pytest.mark.parametrize(("periods", "trials", "blocks"), [(24, 5, 6), (37, 8, 4), (50, 3, 8), (20, 2, 2)])
def test_equals_the_definition_written_out(periods, trials, blocks):
    returns = np.random.default_rng(periods).normal(0.001, 0.01, (periods, trials)) * np.arange(1, trials + 1)
    result = cscv(returns, blocks=blocks)
    pbo, logits, pairs = oracle(returns, blocks)
    assert result.pbo == pbo
    np.testing.assert_allclose(result.logits, logits, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.stack([result.best_in, result.best_out], axis=1), pairs, rtol=1e-9, atol=1e-11)
    assert result.probability_of_loss == sum(b < 0 for _, b in pairs) / len(pairs)
    if len(pairs) > 2:
        slope, intercept = np.polyfit(*np.array(pairs).T, 1)
        np.testing.assert_allclose(result.degradation, (slope, intercept), rtol=1e-7)


def test_luck_alone_is_near_a_half_and_skill_near_zero():
    rng = np.random.default_rng(11)
    luck = [cscv(rng.normal(0, 1, (240, 20)), blocks=8).pbo for _ in range(60)]
    assert abs(np.mean(luck) - 0.5) < 4 * np.std(luck) / math.sqrt(len(luck))
    assert 0.4 < np.mean(luck) < 0.6
    skilled = rng.normal(0, 1, (240, 20))
    skilled[:, 7] += 0.5
    found = cscv(skilled, blocks=8)
    assert found.pbo == 0.0
    assert found.probability_of_loss == 0.0


def test_a_trial_that_is_good_in_one_half_only_is_found_out():
    """Trials whose luck in the first half is paid back in the second: the winner is the worst outside."""
    rng = np.random.default_rng(3)
    returns = rng.normal(0, 0.1, (40, 10))
    drift = np.linspace(-1, 1, 10)
    returns += np.where(np.arange(40)[:, None] < 20, drift, -drift)
    result = cscv(returns, blocks=2)
    assert result.pbo == 1.0
    assert result.probability_of_loss == 1.0


def test_ties_and_trials_that_never_traded_do_not_decide():
    rng = np.random.default_rng(4)
    returns = rng.normal(0.1, 1, (64, 5))
    twins = np.concatenate([returns, returns], axis=1)
    result = cscv(twins, blocks=8)
    # a twin shares its rank: ranks of five become 1.5, 3.5, … 9.5 of ten
    once = np.round(6 / (1 + np.exp(-cscv(returns, blocks=8).logits)))
    np.testing.assert_allclose(11 / (1 + np.exp(-result.logits)), 2 * once - 0.5, rtol=1e-9)

    idle = np.concatenate([returns, np.zeros((64, 3)), np.full((64, 1), 0.25)], axis=1)
    assert np.isfinite(cscv(idle, blocks=8).logits).all()
    losing = np.concatenate([rng.normal(-1, 1, (64, 3)), np.zeros((64, 1))], axis=1)
    result = cscv(losing, blocks=8)  # doing nothing is best, inside and outside
    assert result.pbo == 0.0
    assert result.degradation is None or np.isfinite(result.degradation).all()


def test_units_of_a_trial_and_the_order_of_trials_do_not_matter():
    returns = np.random.default_rng(9).normal(0.05, 1, (64, 6))
    base = cscv(returns, blocks=8)
    scaled = cscv(returns[:, ::-1] * np.array([1e-6, 1, 5, 0.3, 100, 7]), blocks=8)
    np.testing.assert_array_equal(base.logits, scaled.logits)


def test_sixteen_blocks_and_json():
    result = cscv(np.random.default_rng(0).normal(0, 1, (365, 30)))
    assert result.logits.size == 12_870
    figures = json.loads(json.dumps(result.describe(), allow_nan=False))
    assert figures["combinations"] == sum(figures["logits"]["counts"])
    assert figures["pbo"] == result.pbo


@pytest.mark.parametrize(
    ("returns", "blocks", "field"),
    [
        (np.ones((40, 1)), 4, "returns"),
        (np.ones(40), 4, "returns"),
        (np.ones((40, 3)), 4, "returns"),
        (np.full((40, 3), np.nan), 4, "returns"),
        (np.random.default_rng(0).normal(size=(7, 3)), 4, "returns"),
        (np.random.default_rng(0).normal(size=(40, 3)), 5, "blocks"),
        (np.random.default_rng(0).normal(size=(40, 3)), 0, "blocks"),
        (np.random.default_rng(0).normal(size=(90, 3)), 20, "blocks"),
    ],
)
def test_bad_input_is_refused_by_name(returns, blocks, field):
    with pytest.raises(InvalidInputError) as caught:
        cscv(returns, blocks=blocks)
    assert caught.value.field == field
