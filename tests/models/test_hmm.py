import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from models import hmm as models

STATES, GAUSSIANS, DIM, UNIT = 6, 2, 3, 2
# Units, whether they are optional, and frames.
UTTERANCES = (
    ([2, 0, 2, 1, 2], [True, False, True, False, True], 9),
    ([0, 2, 1, 0], [False, True, False, False], 8),
    ([1], [False], 4),
)


@tf.function(reduce_retracing=True)
def baum_welch(hmm, features, lengths, chains):
    return models.baum_welch(hmm, features, lengths, chains)


@tf.function(reduce_retracing=True)
def viterbi(hmm, features, lengths, chains):
    return models.viterbi(hmm, features, lengths, chains)


def random_hmm(seed=0):
    rng = np.random.default_rng(seed)
    shape = STATES, GAUSSIANS, DIM
    return models.Hmm(
        tf.constant(np.log(rng.dirichlet([1] * GAUSSIANS, STATES)), tf.float32),
        tf.constant(rng.normal(size=shape), tf.float32),
        tf.constant(rng.uniform(0.5, 2, shape), tf.float32),
        tf.constant(rng.uniform(0.2, 0.8, STATES), tf.float32),
        tf.constant(0.3),
    )


def batch(utterances=UTTERANCES, more_units=0, more_frames=0, junk=0.0):
    """Returns features, lengths and chains of utterances, padded with junk."""
    rng = np.random.default_rng(1)
    count = len(utterances)
    shape = count, max(len(u[0]) for u in utterances) + more_units
    units, optional = np.ones(shape, np.int32), np.ones(shape, bool)
    frames = max(u[2] for u in utterances) + more_frames
    features = np.full((count, frames, DIM), junk, np.float32)
    for row, (names, may_miss, length) in enumerate(utterances):
        units[row, : len(names)] = names
        optional[row, : len(names)] = may_miss
        features[row, :length] = rng.normal(size=(length, DIM))
    chains = models.chain(
        tf.constant(units),
        tf.constant([len(u[0]) for u in utterances]),
        tf.constant(optional),
        UNIT,
    )
    return tf.constant(features), tf.constant([u[2] for u in utterances]), chains


def all_paths(hmm, features, units, optional):
    """Returns every path of an utterance, as positions, with its log probability."""
    weights, means, variances, stay = (np.array(v, float) for v in hmm[:4])
    taken = float(hmm.present)

    def density(state, frame):
        exponent = (frame - means[state]) ** 2 / variances[state]
        exponent = np.sum(np.log(2 * np.pi * variances[state]) + exponent, axis=-1)
        return np.logaddexp.reduce(weights[state] - exponent / 2)

    paths = {}
    for choice in itertools.product([True, False], repeat=sum(optional)):
        choices = iter(choice)
        kept = [not is_optional or next(choices) for is_optional in optional]
        entry = sum(math.log(taken if each else 1 - taken) for each in choice)
        positions = [
            u * UNIT + k for u in range(len(units)) if kept[u] for k in range(UNIT)
        ]
        count = len(features)
        for cuts in itertools.combinations(range(1, count), len(positions) - 1):
            spans = np.diff([0, *cuts, count])
            path = tuple(np.repeat(positions, spans).tolist())
            states = [
                units[position // UNIT] * UNIT + position % UNIT
                for position in positions
            ]
            score = entry + sum(
                (span - 1) * math.log(stay[state]) + math.log(1 - stay[state])
                for state, span in zip(states, spans, strict=True)
            )
            by_frame = np.repeat(states, spans)
            paths[path] = score + sum(map(density, by_frame, features))
    return paths


@pytest.fixture(scope="module")
def paths():
    hmm, (features, *_) = random_hmm(), batch()
    return [
        all_paths(hmm, features[row, :frames].numpy(), units, optional)
        for row, (units, optional, frames) in enumerate(UTTERANCES)
    ]


def test_viterbi_finds_the_best_of_all_paths(paths):
    found, scores = viterbi(random_hmm(), *batch())
    for row, each in enumerate(paths):
        best = max(each, key=each.get)
        assert tuple(found[row, : len(best)].numpy()) == best
        assert float(scores[row]) == pytest.approx(each[best], abs=1e-4)


def test_baum_welch_counts_what_all_paths_do(paths):
    statistics = baum_welch(random_hmm(), *batch())
    total, taken = 0.0, 0.0
    stays, occupancy = np.zeros(STATES), np.zeros(STATES)
    for each, (units, optional, _) in zip(paths, UTTERANCES, strict=True):
        whole = np.logaddexp.reduce(list(each.values()))
        total += whole
        for path, score in each.items():
            share = math.exp(score - whole)
            states = [
                units[position // UNIT] * UNIT + position % UNIT for position in path
            ]
            np.add.at(occupancy, states, share)
            kept = [
                s
                for s, pair in zip(states, itertools.pairwise(path), strict=False)
                if pair[0] == pair[1]
            ]
            np.add.at(stays, kept, share)
            taken += share * len({p // UNIT for p in path if optional[p // UNIT]})
    assert float(statistics.log_likelihood) == pytest.approx(total, abs=1e-4)
    assert float(statistics.frames) == sum(u[2] for u in UTTERANCES)
    by_state = tf.reduce_sum(statistics.occupancy, axis=1)
    np.testing.assert_allclose(by_state, occupancy, atol=1e-4)
    np.testing.assert_allclose(statistics.self_loops, stays, atol=1e-4)
    assert float(statistics.present) == pytest.approx(taken, abs=1e-4)
    assert float(statistics.optional) == sum(sum(u[1]) for u in UTTERANCES)


def test_sums_of_features_are_weighted_by_the_gaussians():
    features, lengths, chains = batch()
    statistics = baum_welch(random_hmm(), features, lengths, chains)
    valid = tf.sequence_mask(lengths).numpy()
    everything = features.numpy()[valid]
    np.testing.assert_allclose(
        tf.reduce_sum(statistics.features, (0, 1)), everything.sum(0), atol=1e-4
    )
    np.testing.assert_allclose(
        tf.reduce_sum(statistics.squares, (0, 1)), (everything**2).sum(0), rtol=1e-4
    )


def test_padding_and_neighbours_change_nothing():
    alone = [batch((each,)) for each in UTTERANCES]
    hmm = random_hmm()
    features, lengths, chains = batch(more_units=3, more_frames=5, junk=7.0)
    together = baum_welch(hmm, features, lengths, chains)
    paths, scores = viterbi(hmm, features, lengths, chains)
    singly = []
    for row, (_, length, chain) in enumerate(alone):
        own = features[row : row + 1, : int(length[0])]
        singly.append(baum_welch(hmm, own, length, chain))
        path, score = viterbi(hmm, own, length, chain)
        np.testing.assert_array_equal(path[0], paths[row, : int(length[0])])
        np.testing.assert_allclose(score[0], scores[row], rtol=1e-5)
    for values in zip(together, *singly, strict=True):
        np.testing.assert_allclose(values[0], sum(values[1:]), rtol=1e-4, atol=1e-4)


def sample(units, rng, means):
    """Speaks units: two states each of 2 to 6 frames, around means of their own."""
    states = [unit * UNIT + k for unit in units for k in range(UNIT)]
    spans = rng.integers(2, 7, len(states))
    by_frame = np.repeat(states, spans)
    frames = means[by_frame] + 0.3 * rng.normal(size=(len(by_frame), DIM))
    return frames.astype(np.float32), spans.reshape(-1, UNIT).sum(1)


def test_units_are_found_from_a_flat_start():
    rng = np.random.default_rng(2)
    means = rng.normal(size=(5 * UNIT, DIM)) * 2
    pause, count = 0, 60
    spoken, chains_units, spans = [], [], []
    for _ in range(count):
        units = [pause]
        for unit in rng.integers(1, 5, 6):
            units += [int(unit), pause]
        present = [unit != pause or rng.random() < 0.3 for unit in units]
        frames, lasting = sample(list(itertools.compress(units, present)), rng, means)
        spoken.append(frames)
        chains_units.append(units)
        spans.append((present, lasting))
    lengths = np.array([len(frames) for frames in spoken], np.int32)
    features = np.zeros((count, lengths.max(), DIM), np.float32)
    for row, frames in enumerate(spoken):
        features[row, : len(frames)] = frames
    units = tf.constant(chains_units)
    sizes = tf.fill([count], units.shape[1])
    chains = models.chain(units, sizes, units == pause, UNIT)
    everything = np.concatenate(spoken)
    hmm = models.flat_start(
        tf.constant(everything.mean(0)), tf.constant(everything.var(0)), 10, 0.7, 0.5
    )
    likelihoods = []
    for _ in range(15):
        statistics = baum_welch(hmm, features, lengths, chains)
        likelihoods.append(float(statistics.log_likelihood))
        hmm = models.reestimate(hmm, statistics, tf.fill([DIM], 1e-3), 1.0)
    assert np.all(np.diff(likelihoods) > -1e-3 * np.abs(likelihoods[:-1]))
    paths, _ = viterbi(hmm, features, lengths, chains)
    right = total = 0
    for row, (present, lasting) in enumerate(spans):
        unit_of_frame = np.repeat(np.flatnonzero(present), lasting)
        right += np.sum(paths[row, : lengths[row]].numpy() // UNIT == unit_of_frame)
        total += lengths[row]
    assert right > 0.97 * total
    np.testing.assert_allclose(hmm.self_loop, 0.75, atol=0.05)
    assert float(hmm.present) == pytest.approx(0.3, abs=0.07)
    seen = [np.abs(hmm.means[state, 0] - means[state]).max() for state in range(10)]
    assert max(seen) < 0.2


def test_a_split_keeps_the_density_but_for_its_spread():
    hmm = random_hmm()
    split = models.split_gaussians(hmm)
    assert split.means.shape == (STATES, 2 * GAUSSIANS, DIM)
    weights = tf.exp(split.log_weights)
    np.testing.assert_allclose(tf.reduce_sum(weights, 1), 1, rtol=1e-5)
    middle = (split.means[:, :GAUSSIANS] + split.means[:, GAUSSIANS:]) / 2
    np.testing.assert_allclose(middle, hmm.means, atol=1e-6)
    apart = split.means[:, GAUSSIANS:] - split.means[:, :GAUSSIANS]
    np.testing.assert_allclose(apart, 0.4 * tf.sqrt(hmm.variances), rtol=1e-4)


def test_what_is_hardly_seen_stays_as_it_is():
    hmm = random_hmm()
    utterances = (([0, 1], [False, False], 8),)
    statistics = baum_welch(hmm, *batch(utterances))
    floor = tf.fill([DIM], 0.7)
    updated = models.reestimate(hmm, statistics, floor, 1.0)
    for before, after in zip(hmm[:4], updated[:4], strict=True):
        np.testing.assert_array_equal(before[4:], after[4:])
        assert np.any(before[:4].numpy() != after[:4].numpy())
    changed = updated.variances.numpy() != hmm.variances.numpy()
    assert updated.variances.numpy()[changed].min() >= 0.7 - 1e-6
    untouched = models.reestimate(hmm, statistics, floor, 100.0)
    np.testing.assert_array_equal(untouched.means, hmm.means)


def test_too_few_frames_have_a_likelihood_of_nothing():
    _, scores = viterbi(random_hmm(), *batch((([0, 1, 0], [False] * 3, 5),)))
    assert float(scores[0]) < -1e8


def test_frames_far_from_all_states_do_not_make_self_loops_of_rounding_errors():
    """Digital silence and pure tones have cepstra of next to no variance."""
    frames = 1500
    hmm = models.Hmm(
        tf.zeros([2, 1]),
        tf.constant([[[0.0]], [[20.0]]]),
        tf.fill([2, 1, 1], 0.01),
        tf.fill([2], 0.6),
        tf.constant(0.5),
    )
    features = np.random.default_rng(0).choice([-50.0, 50.0], size=(2, frames, 1))
    chains = models.chain(
        tf.constant([[0], [0]]), tf.constant([1, 1]), tf.zeros([2, 1], tf.bool), 2
    )
    found = models.baum_welch(
        hmm, tf.constant(features, tf.float32), tf.constant([frames, 900]), chains
    )
    occupancy = tf.reduce_sum(found.occupancy, axis=1)
    assert float(tf.reduce_sum(occupancy)) == pytest.approx(frames + 900)
    assert np.all(found.self_loops <= occupancy)
