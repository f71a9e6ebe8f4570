"""Closed forms against independent solutions: stacked least squares, scikit-learn, one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from classifiers.cases import training
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_sylvester
from scipy.stats import multivariate_normal

from kgzsl.classifiers import ESZSL, SAE, ConSE, DeViSE, GaussianPrototype, KernelESZSL, Prototype, SoftmaxConSE, SynC
from kgzsl.classifiers.sae import solve_symmetric_sylvester
from kgzsl.classifiers.scaling import SCALINGS, Scaling
from kgzsl.classifiers.softmax import softmax_regression
from kgzsl.errors import DivergedError, InvalidInputError
from kgzsl.matrices import ClassEmbeddings, Features
from kgzsl.metrics.ranking import rank_bounds

PLAIN = {"feature_scaling": "none", "embedding_scaling": "none"}


@pytest.fixture(scope="module")
def small(world, rows, halves):
    """Real rows and vectors, cut to a few columns so that the slow solutions end: `(features, labels, embeddings)`."""
    cut = Features(rows.ids, 10 * rows.matrix[:, :7], labels=rows.labels)
    features, labels = training(cut, halves[0][:12])
    axis = halves[0][:12] + halves[1][:5]
    return features, labels, ClassEmbeddings(axis, world.vectors.rows(axis)[:, :5])


def columns(small) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X `[rows, dim]`, Y of ±1 `[rows, seen]`, S `[seen, semantics]`, labels' positions `[rows]`, classes by id."""
    features, labels, embeddings = small
    ids = sorted(set(labels))
    y = np.array([ids.index(label) for label in labels])
    return features.astype(np.float64), np.where(y[:, None] == np.arange(len(ids)), 1.0, -1.0), embeddings.rows(ids).astype(np.float64), y


def agree(found, wanted, tolerance=1e-6):
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())


def least_squares(blocks: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Minimise Σ ‖A v − b‖² over v by one stacked least-squares problem."""
    return np.linalg.lstsq(np.vstack([a for a, _ in blocks]), np.concatenate([b.ravel() for _, b in blocks]), rcond=None)[0]


@pytest.mark.parametrize(("gamma", "lam"), [(0.1, 0.1), (3.0, 0.02), (0.05, 20.0)])
def test_eszsl_minimises_the_papers_objective(small, gamma, lam):
    """‖XVSᵀ − Y‖² + γ‖VSᵀ‖² + λ‖XV‖² + γλ‖V‖², solved without its closed form."""
    x, y, s, _ = columns(small)
    d, a = x.shape[1], s.shape[1]
    blocks = [
        (np.kron(x, s), y),
        (np.sqrt(gamma) * np.kron(np.eye(d), s), np.zeros(d * len(s))),
        (np.sqrt(lam) * np.kron(x, np.eye(a)), np.zeros(len(x) * a)),
        (np.sqrt(gamma * lam) * np.eye(d * a), np.zeros(d * a)),
    ]
    v = least_squares(blocks).reshape(d, a)
    scores = ESZSL(gamma=gamma, lam=lam, **PLAIN).fit(*small).scores(small[0])
    agree(scores, x @ v @ small[2].matrix.T.astype(np.float64))


@pytest.mark.parametrize("lam", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("direction", ["feature_to_semantic", "semantic_to_feature"])
def test_sae_minimises_the_papers_objective(small, lam, direction):
    """‖X − WᵀS‖² + λ‖WX − S‖² with a column per row of the data, solved without the Sylvester equation."""
    x, _, s, y = columns(small)
    d, a = x.shape[1], s.shape[1]
    per_row = s[y]
    decoder = np.einsum("nk,de->ndke", per_row, np.eye(d)).reshape(len(x) * d, a * d)
    encoder = np.einsum("kj,nd->nkjd", np.eye(a), x).reshape(len(x) * a, a * d)
    w = least_squares([(decoder, x), (np.sqrt(lam) * encoder, np.sqrt(lam) * per_row)]).reshape(a, d)
    e = small[2].matrix.astype(np.float64)
    left, right = (x @ w.T, e) if direction == "feature_to_semantic" else (x, e @ w)
    cosine = left @ right.T / np.linalg.norm(left, axis=1)[:, None] / np.linalg.norm(right, axis=1)
    agree(SAE(lam=lam, direction=direction, **PLAIN).fit(*small).scores(small[0]), cosine)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6))
def test_the_symmetric_sylvester_equation_is_scipys(seed, m, n):
    rng = np.random.default_rng(seed)
    p, q, c = rng.standard_normal((m + 3, m)), rng.standard_normal((n + 3, n)), rng.standard_normal((m, n))
    agree(solve_symmetric_sylvester(p.T @ p, q.T @ q, c), solve_sylvester(p.T @ p, q.T @ q, c))


def test_sae_survives_fewer_rows_than_columns_and_fewer_classes_than_attributes(world, halves):
    """118 rows of 1,280 columns and 384 attributes: both sides of the equation are singular; hidden classes are still found."""
    axis = halves[0] + halves[1]
    embeddings = ClassEmbeddings(axis, world.vectors.rows(axis))
    fitted = SAE().fit(world.weights.select(halves[0]).weight, halves[0], embeddings)
    scores = fitted.scores(world.weights.select(halves[1]).weight)[:, len(halves[0]) :]
    greater, _ = rank_bounds(scores, np.arange(len(halves[1])))
    assert greater.mean() < len(halves[1]) / 5


def test_kernel_eszsl_with_a_linear_kernel_is_eszsl(small):
    ridges = {"gamma": 0.7, "lam": 0.3, "feature_scaling": "standardise"}
    agree(KernelESZSL(kernel="linear", **ridges).fit(*small).scores(small[0]), ESZSL(**ridges).fit(*small).scores(small[0]), 1e-5)


def test_kernel_eszsl_is_the_dual_solution(small):
    """(K̃ + γI)⁻¹ Y S (SᵀS + λI)⁻¹ with the centred kernel K̃, for rows that were not trained on."""
    x, y, s, _ = columns(small)
    others = x[::2] + 0.1
    middle = x.mean(axis=0)
    spread = 2 * ((x - middle) ** 2).sum(axis=1).mean()

    def kernel(a, b):
        return np.array([[np.exp(-0.8 * sum((p - q) ** 2) / spread) for q in b] for p in a])

    k, across = kernel(x, x), kernel(others, x)
    centred = k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()
    beside = across - k.mean(axis=0) - across.mean(axis=1)[:, None] + k.mean()
    alpha = np.linalg.inv(centred + 0.5 * np.eye(len(x))) @ y @ s @ np.linalg.inv(s.T @ s + 0.2 * np.eye(s.shape[1]))
    found = KernelESZSL(sharpness=0.8, gamma=0.5, lam=0.2, **PLAIN).fit(*small).scores(others)
    agree(found, beside @ alpha @ small[2].matrix.T.astype(np.float64), 1e-4)


def test_landmarks_are_a_seeded_sample_and_approach_the_exact_solution(small):
    exact = KernelESZSL().fit(*small).scores(small[0])
    errors = [np.abs(KernelESZSL(landmarks=n).fit(*small).scores(small[0]) - exact).mean() for n in (3, 12, 22)]
    assert errors[0] > errors[1] > errors[2] > 0
    one, other = (KernelESZSL(landmarks=6, seed=seed).fit(*small).scores(small[0]) for seed in (0, 1))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_prototypes_are_those_of_kernel_ridge(small, kernel):
    from sklearn.kernel_ridge import KernelRidge

    x, _, s, y = columns(small)
    means = np.array([x[y == c].mean(axis=0) for c in range(len(s))])
    pairs = ((s[:, None] - s[None]) ** 2).sum(axis=2)
    gamma = 0.9 / pairs.mean()
    ridge = KernelRidge(alpha=0.4, kernel=kernel, gamma=gamma if kernel == "rbf" else None).fit(s, means - means.mean(axis=0))
    points = means.mean(axis=0) + ridge.predict(small[2].matrix.astype(np.float64))
    for distance in ("euclidean", "cosine"):
        scores = Prototype(lam=0.4, kernel=kernel, sharpness=0.9, distance=distance, **PLAIN).fit(*small).scores(small[0])
        if distance == "euclidean":
            squared = ((x[:, None] - points[None]) ** 2).sum(axis=2)
            agree(scores, -0.5 * (squared - (x**2).sum(axis=1)[:, None]), 1e-5)
        else:
            agree(scores, x @ points.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(points, axis=1), 1e-5)


def test_gaussian_scores_are_log_densities_up_to_what_a_rows_classes_share(small):
    x, _, s, y = columns(small)
    means = np.array([x[y == c].mean(axis=0) for c in range(len(s))])
    within = sum(np.outer(row - means[c], row - means[c]) for row, c in zip(x, y, strict=True)) / len(x)
    covariance = 0.7 * within + 0.3 * np.trace(within) / len(within) * np.eye(len(within))
    fitted = GaussianPrototype(shrinkage=0.3, **PLAIN).fit(*small)
    points = fitted._means(small[2].matrix.astype(np.float64))
    densities = np.stack([multivariate_normal(point, covariance).logpdf(x) for point in points], axis=1)
    scores = fitted.scores(small[0])
    agree(scores - scores[:, :1], densities - densities[:, :1], 1e-4)


def test_softmax_regression_is_scikit_learns(small):
    from sklearn.linear_model import LogisticRegression

    x, _, _, y = columns(small)
    fitted = softmax_regression(x, y, [str(c) for c in range(12)], penalty=0.05, steps=500, device="cpu")
    other = LogisticRegression(C=1 / (0.05 * len(x)), tol=1e-10, max_iter=5000).fit(x, y)
    logits = x @ fitted.weight.T + fitted.bias
    theirs = other.decision_function(x)
    agree(logits - logits.mean(axis=1, keepdims=True), theirs - theirs.mean(axis=1, keepdims=True), 1e-2)


def test_softmax_conse_is_conse_on_the_softmax_weights(small):
    """ConSE itself equals the paper's sum one number at a time (test_classifiers.py)."""
    x, _, _, y = columns(small)
    ids = sorted(set(small[1]))
    weights = softmax_regression(x, y, ids, penalty=0.01, device="cpu")
    wanted = ConSE(top=4).fit(weights, small[2]).scores(small[0])
    agree(SoftmaxConSE(top=4, penalty=0.01, device="cpu", **PLAIN).fit(*small).scores(small[0]), wanted)


def test_class_weights_of_sync_are_convex_combinations_of_phantoms(small):
    _, _, s, _ = columns(small)
    fitted = SynC(sigma=0.6, device="cpu", **PLAIN).fit(*small)
    pairs = ((s[:, None] - s[None]) ** 2).sum(axis=2)
    scale = 0.6**2 * pairs[~np.eye(len(s), dtype=bool)].mean()
    e = small[2].matrix.astype(np.float64)
    shares = np.exp(-((e[:, None] - s[None]) ** 2).sum(axis=2) / scale)
    shares /= shares.sum(axis=1, keepdims=True)
    rows = shares @ fitted._phantom_weights
    agree(fitted.scores(small[0]), small[0] @ rows[:, :-1].T + rows[:, -1], 1e-5)


@pytest.mark.parametrize("name", SCALINGS)
def test_scaling_takes_its_statistics_from_the_rows_it_is_made_of(small, name):
    x, new = small[0].astype(np.float64), small[2].matrix[:, [0, 1, 2, 3, 4, 0, 1]].astype(np.float64)
    wanted = new.copy()
    if name.startswith(("centre", "standardise")):
        wanted -= x.mean(axis=0)
    if name.startswith("standardise"):
        wanted /= x.std(axis=0)
    if name.endswith("l2"):
        wanted /= np.sqrt((wanted**2).sum(axis=1))[:, None]
    agree(Scaling.of(name, x)(new), wanted, 1e-12)


@pytest.mark.parametrize(
    ("cls", "wrong"),
    [
        (ESZSL, {"gamma": 0}),
        (ESZSL, {"lam": float("inf")}),
        (ESZSL, {"feature_scaling": "minmax"}),
        (SAE, {"lam": -1}),
        (SAE, {"direction": "both"}),
        (Prototype, {"kernel": "cubic"}),
        (Prototype, {"distance": "manhattan"}),
        (GaussianPrototype, {"shrinkage": 0}),
        (KernelESZSL, {"landmarks": 0}),
        (SoftmaxConSE, {"top": 0}),
        (SynC, {"loss": "logistic"}),
        (DeViSE, {"margin": 0}),
        (DeViSE, {"epochs": 0}),
        (DeViSE, {"learning_rate": float("nan")}),
    ],
)
def test_a_setting_out_of_range_is_refused_at_once(cls, wrong):
    with pytest.raises(InvalidInputError):
        cls(**wrong)


def test_training_that_diverges_says_so_and_leaves_no_classifier(small):
    classifier = DeViSE(learning_rate=1e30, device="cpu")
    with pytest.raises(DivergedError, match="finite"):
        classifier.fit(*small)
    assert classifier.classes == ()
