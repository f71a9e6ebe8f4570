"""What the composition classifiers minimise, against slow implementations of their papers' equations, row by row."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from classifiers.clip_folder import byte_vocabulary, image_rows, save_clip
from classifiers.composition_cases import GRID, OBJECTS, STATES, candidates, knowledge, small

from kgzsl.classifiers.compositions import COMPOSITION_CLASSIFIERS, PairFeatures
from kgzsl.classifiers.compositions.augmenting import STRENGTHS, Oversampling, attacked
from kgzsl.classifiers.compositions.compcos import NONE, CompCos
from kgzsl.classifiers.compositions.feasibility import seen_table
from kgzsl.classifiers.compositions.symnet import distance, triplets
from kgzsl.classifiers.compositions.visual_product import POWERS
from kgzsl.errors import InvalidInputError
from kgzsl.metrics.compositional import bias_sweep

pytestmark = pytest.mark.data
NO_DROPOUT = {"epochs": 2, "batch_size": 64, "dropout": 0.0, "device": "cpu"}


@torch.enable_grad()
def learned(name, **settings):
    """Return a method after two epochs, sixteen standardised rows, and their pairs' positions."""
    space, parts, _ = small()
    method = COMPOSITION_CLASSIFIERS.make(name, {**NO_DROPOUT, **settings}).fit(parts["train"], space, knowledge())
    some = slice(0, None, len(parts["train"].labels) // 16)
    return method, method.prepared(parts["train"].matrix[some]), torch.from_numpy(parts["train"].labels[some])


def drawn(seed=5):
    return torch.Generator().manual_seed(seed)


def log_softmax(logits):
    top = max(logits)
    return [v - top - math.log(sum(math.exp(w - top) for w in logits)) for v in logits]


@torch.no_grad()
def test_visual_product_adds_two_cross_entropies():
    method, rows, labels = learned("visual_product", smoothing=0.1)
    states, objects = (part.double().tolist() for part in method.primitive_logits(rows))
    slow = 0.0
    for row, label in enumerate(labels.tolist()):
        for logits, truth in zip((states[row], objects[row]), method.space.pairs[label].tolist(), strict=True):
            logs = log_softmax(logits)
            slow -= 0.9 * logs[truth] + 0.1 * sum(logs) / len(logs)
    assert float(method.pair_loss(rows, labels, drawn())) == pytest.approx(slow / len(labels), rel=1e-5)


@torch.no_grad()
def test_le_plus_is_a_triplet_loss_against_another_seen_pair():
    method, rows, labels = learned("le_plus", image_hidden=[32], pair_hidden=[24], embedding=16, negatives=2)
    seen = np.flatnonzero(method.space.seen)
    steps = torch.randint(1, len(seen), (len(rows), 2), generator=drawn()).tolist()
    images = method.network.images(rows).double().numpy()
    words = [p.detach().double().numpy() for p in (method.network.states, method.network.objects)]
    both = torch.from_numpy(np.stack([np.concatenate([words[0][s], words[1][o]]) for s, o in method.space.pairs[seen]])).float()
    pairs = method.network.pairs(both).double().numpy()
    slow = 0.0
    for row, label in enumerate(labels.tolist()):
        own = int(np.flatnonzero(seen == label)[0])
        for step in steps[row]:
            other = (own + step) % len(seen)
            assert other != own
            near, far = (math.dist(images[row], pairs[k]) for k in (own, other))
            slow += max(0.0, near - far + method.margin) / 2
    assert float(method.pair_loss(rows, labels, drawn())) == pytest.approx(slow / len(labels), rel=1e-4)


def cosine(left, right):
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


@torch.no_grad()
@pytest.mark.parametrize("world", ["closed", "open"])
def test_compcos_is_the_cross_entropy_of_cosines_with_margins_for_unseen_pairs(world):
    method, rows, labels = learned("compcos", image_hidden=[32], embedding=16, world=world, margin=0.7, margin_epochs=4)
    space = method.space
    linear = method.network.pairs.linears[0]
    weight, bias = linear.weight.double().numpy(), linear.bias.double().numpy()
    words = [p.detach().double().numpy() for p in (method.network.states, method.network.objects)]
    images = method.network.images(rows).double().numpy()
    listed = space.pairs[space.seen].tolist() if world == "closed" else [[s, o] for s in range(len(STATES)) for o in range(len(OBJECTS))]
    seen = {tuple(p) for p in space.pairs[space.seen].tolist()}
    method.start_epoch(2)  # words have moved since the last epoch began
    slow = 0.0
    for row, label in enumerate(labels.tolist()):
        logits = []
        for s, o in listed:
            value = cosine(images[row], weight @ np.concatenate([words[0][s], words[1][o]]) + bias)
            if (s, o) not in seen:  # α min(1, epoch / its last) ρ
                value -= 0.7 * (2 / 4) * slow_feasibility(words, seen, s, o)
            logits.append(method.scale * value)
        slow -= log_softmax(logits)[listed.index(space.pairs[label].tolist())]
    assert float(method.pair_loss(rows, labels, drawn())) == pytest.approx(slow / len(labels), rel=1e-4)


def slow_feasibility(words, seen, s, o):
    """CompCos's equations 5 to 7, pair by pair."""
    if (s, o) in seen:
        return 1.0
    objects = [cosine(words[1][o], words[1][k]) for k in range(len(words[1])) if (s, k) in seen]
    states = [cosine(words[0][s], words[0][k]) for k in range(len(words[0])) if (k, o) in seen]
    return (max(objects, default=-1.0) + max(states, default=-1.0)) / 2


def test_compcos_masks_pairs_below_its_threshold_and_chooses_it_on_validation_rows():
    space, parts, _ = small()
    settings = {**NO_DROPOUT, "image_hidden": [32], "embedding": 16, "world": "open"}
    chosen = CompCos(**settings).fit(parts["train"], space, knowledge(), parts["val"])
    assert chosen.settings()["threshold"] is None and chosen._bound >= NONE
    fixed = CompCos(**settings, threshold=0.6).fit(parts["train"], space, knowledge())
    every = np.stack(np.divmod(np.arange(len(STATES) * len(OBJECTS)), len(OBJECTS)), axis=1)
    scores, table = fixed.scores(parts["val"].matrix[:7], every), fixed.feasibility()
    out = table.ravel() < 0.6
    assert out.any() and not out.all() and not out[seen_table(space).ravel()].any()
    assert (scores[:, out] == -fixed.scale).all() and (scores[:, ~out] > -fixed.scale).all()
    again = CompCos(**fixed.settings(), device="cpu")
    again.load_state(fixed.state(), space)
    np.testing.assert_array_equal(again.scores(parts["val"].matrix[:7], every), scores)


@torch.no_grad()
def test_symnet_adds_the_axioms_of_a_group_and_the_relative_moving_distance():
    method, rows, labels = learned("symnet", embedding=12, hidden=16, margin=0.4, sharpness=2.0)
    net, space = method.network, method.space
    steps = torch.randint(1, len(STATES), (len(rows),), generator=drawn()).tolist()

    def norm(x, y):
        return math.dist(x[0].tolist(), y[0].tolist())

    slow = 0.0
    for row, label in enumerate(labels.tolist()):
        a, o = space.pairs[label].tolist()
        b = (a + steps[row]) % len(STATES)
        f = net.images(rows[row : row + 1])
        word = [net.words[k : k + 1] for k in range(len(STATES))]
        plus = [net.couple(f, w) for w in word]
        minus = [net.decouple(f, w) for w in word]
        symmetry = norm(f, plus[a]) + norm(f, minus[b])
        closure = norm(net.couple(minus[a], word[a]), plus[a]) + norm(net.decouple(plus[b], word[b]), minus[b])
        inverse = norm(net.couple(minus[a], word[a]), f) + norm(net.decouple(plus[b], word[b]), f)
        commutes = norm(net.couple(minus[a], word[b]), net.decouple(plus[b], word[a]))
        moved = [norm(f, minus[k]) - norm(f, plus[k]) for k in range(len(STATES))]
        triplet = max(0, method.margin - moved[a])
        triplet += sum(max(0, moved[k] + method.margin) for k in range(len(STATES)) if k != a) / (len(STATES) - 1)
        states = -log_softmax([2.0 * m for m in moved])[a]
        states -= log_softmax(net.states(f)[0].tolist())[a] + log_softmax(net.states(plus[b])[0].tolist())[b]
        objects = -sum(log_softmax(net.objects(g)[0].tolist())[o] for g in (f, minus[a], plus[b]))
        slow += method.symmetry * symmetry + method.axioms * (closure + inverse + commutes)
        slow += method.triplets * triplet + method.states * states + method.objects * objects
    assert float(method.pair_loss(rows, labels, drawn())) == pytest.approx(slow / len(labels), rel=1e-4)


def test_distance_has_a_gradient_where_rows_are_equal():
    left = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    found = distance(left, torch.tensor([[1.0, 2.0], [0.0, 0.0]]))
    found.sum().backward()
    assert found.tolist() == [0.0, 5.0] and torch.allclose(left.grad, torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    one = triplets(torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), 0.5)
    assert float(one) == 0.5  # a single state has no others


def test_prompts_run_the_models_own_text_encoder(tmp_path):
    """The vectors of two words put into the prompt give what the model gives for the text itself, where each word is one token."""
    transformers = pytest.importorskip("transformers")
    from kgzsl.classifiers.compositions.prompts import PromptEncoder

    save_clip(tmp_path)
    encoder = PromptEncoder(tmp_path, torch.device("cpu"))
    tokenizer, model = transformers.CLIPTokenizer.from_pretrained(tmp_path), transformers.CLIPModel.from_pretrained(tmp_path).eval()
    assert len(byte_vocabulary()) == 514 and tokenizer("a photo of x x")["input_ids"][0] == 512
    with torch.no_grad():
        words = encoder.word_vectors(["q", "z", "Ab.c"])
        found = encoder.encode(words[[0, 1]], words[[1, 0]])
        for k, text in enumerate(("a photo of q z", "a photo of z q")):
            own = model.get_text_features(**tokenizer([text], return_tensors="pt"))
            own = getattr(own, "pooler_output", own)
            torch.testing.assert_close(found[k : k + 1], own, rtol=1e-5, atol=1e-6)
        table = model.text_model.get_input_embeddings().weight
        ids = [byte_vocabulary()[c] for c in ("a", "b</w>", "c</w>")]
        torch.testing.assert_close(words[2], table[ids].mean(0))  # a name of several tokens starts at their mean
    assert encoder.dim == 24 and encoder.scale == pytest.approx(float(model.logit_scale.exp().detach()))


def test_features_of_a_clip_like_folder_are_its_images_in_the_space_of_texts(tmp_path):
    transformers = pytest.importorskip("transformers")
    from PIL import Image

    from kgzsl.features import make_backbone

    _, _, files = small()
    save_clip(tmp_path)
    model, processor = transformers.CLIPModel.from_pretrained(tmp_path).eval(), transformers.AutoImageProcessor.from_pretrained(tmp_path)
    with Image.open(files["train"][0]) as image, torch.no_grad():
        own = model.get_image_features(pixel_values=processor(images=image.convert("RGB"), return_tensors="pt")["pixel_values"])
    own = getattr(own, "pooler_output", own).numpy()
    np.testing.assert_allclose(image_rows(str(tmp_path), tuple(files["train"][:1])), own, rtol=1e-4, atol=1e-5)
    assert make_backbone(str(tmp_path), device="cpu").recipe()["pooling"] == "image embedding"


def test_csp_learns_the_vectors_and_nothing_else(tmp_path):
    pytest.importorskip("transformers")
    space, parts, files = small()
    save_clip(tmp_path)
    rows = PairFeatures(image_rows(str(tmp_path), tuple(files["train"])), parts["train"].labels)
    settings = {**NO_DROPOUT, "epochs": 4, "learning_rate": 3e-2, "model": str(tmp_path)}
    method = COMPOSITION_CLASSIFIERS.make("csp", settings).fit(rows, space, None)
    assert [tuple(p.shape) for p in method.modules().parameters()] == [(len(STATES), 32), (len(OBJECTS), 32)]
    assert not any(p.requires_grad or p.grad is not None for p in method._encoder._model.parameters())
    assert method.history["loss"][-1] < method.history["loss"][0] - 0.1
    images, labels = method.prepared(rows.matrix[:5]), torch.from_numpy(rows.labels[:5])
    with torch.no_grad():
        texts = (
            method._encoder.encode(*(p[space.pairs[space.seen][:, k]] for k, p in enumerate(method.modules().parameters())))
            .double()
            .numpy()
        )
        found = float(method.pair_loss(images, labels, drawn()))
    seen, slow = np.flatnonzero(space.seen).tolist(), 0.0
    for image, label in zip(images.double().numpy(), labels.tolist(), strict=True):
        slow -= log_softmax([method._encoder.scale * cosine(image, text) for text in texts])[seen.index(label)]
    assert found == pytest.approx(slow / 5, rel=1e-4)


def test_an_attack_moves_rows_by_the_signs_of_two_gradients():
    method, rows, labels = learned("compcos", image_hidden=[32], embedding=16)
    state, obj = torch.from_numpy(method.space.pairs)[labels].T
    seeds = [s for s in range(40) if torch.randint(len(STRENGTHS), (2,), generator=drawn(s)).tolist() == [3, 2]]
    found = attacked(rows, state, obj, method.primitive_logits, 0.5, drawn(seeds[0]))
    slopes = []
    for k, truth in enumerate((state, obj)):
        moved = rows.clone().requires_grad_()
        chance = (method.compatibility(moved, method.embedded(method._seen_pairs))).softmax(1)
        loss = 0.0
        for row, wanted in enumerate(truth.tolist()):  # −log of the probability of all seen pairs that share the primitive
            loss = loss - chance[row, method._seen_pairs[:, k] == wanted].sum().log() / len(rows)
        slopes.append(torch.autograd.grad(loss, moved)[0])
    wanted = rows + 0.5 * slopes[0].sign() + 0.05 * slopes[1].sign()
    assert float((found - wanted).abs().gt(1e-5).float().mean()) < 0.01  # a gradient next to 0 may round to either sign
    still = next(s for s in range(80) if torch.randint(len(STRENGTHS), (2,), generator=drawn(s)).tolist() == [0, 0])
    assert torch.equal(attacked(rows, state, obj, method.primitive_logits, 0.5, drawn(still)), rows)


def test_an_attack_makes_primitives_harder_to_tell():
    method, rows, labels = learned("visual_product", epochs=10, learning_rate=1e-2)
    state, obj = torch.from_numpy(method.space.pairs)[labels].T
    seed = next(s for s in range(80) if torch.randint(len(STRENGTHS), (2,), generator=drawn(s)).tolist() == [3, 3])
    moved = attacked(rows, state, obj, method.primitive_logits, 0.1, drawn(seed))
    with torch.no_grad():
        before, after = (method.pair_loss(r, labels, None) for r in (rows, moved))
    assert float(after) > float(before)


def test_oversampling_draws_hard_pairs_and_mixes_images_of_one_state():
    space, parts, _ = small()
    seen = np.flatnonzero(space.seen)
    targets = torch.from_numpy(np.searchsorted(seen, parts["train"].labels))
    rows, pairs = torch.from_numpy(parts["train"].matrix), torch.from_numpy(space.pairs[seen])
    objects = torch.nn.functional.normalize(
        torch.from_numpy(knowledge().vectors.rows([f"fashion:object/{n.replace(' ', '_')}" for n in OBJECTS]))
    )
    sampler = Oversampling(2.0, rows, targets, pairs, torch.from_numpy(seen), objects)
    accuracy = torch.ones(len(seen))
    accuracy[3] = -20.0  # so hard that no other is drawn
    sampler.update(accuracy)
    made, labels = sampler.extend(rows[:10], torch.from_numpy(parts["train"].labels[:10]), drawn())
    assert len(made) == 30 and torch.equal(made[:10], rows[:10]) and set(labels[10:].tolist()) == {int(seen[3])}
    own, state = rows[targets == 3], rows[pairs[targets, 0] == pairs[3, 0]]
    means = {tuple(((a + b) / 2).tolist()) for a in own for b in state}
    assert all(tuple(row.tolist()) in means for row in made[10:])
    assert rows.shape[1] == 3 * math.prod(GRID)
    # one more object drawn in proportion to exp(cosine / 0.1)
    sampler.update(torch.zeros(len(seen)))
    counts = torch.bincount(
        torch.from_numpy(
            np.searchsorted(seen, sampler.extend(rows[:1].expand(4000, -1), labels[:1].expand(4000), drawn())[1][4000:].numpy())
        ),
        minlength=len(seen),
    )
    assert counts.min() > 0.5 * 8000 / len(seen)  # as hard as one another: as often


def test_visual_product_chooses_the_power_of_the_state_by_validation_auc():
    space, parts, _ = small()
    method = COMPOSITION_CLASSIFIERS.make("visual_product", {**NO_DROPOUT, "epochs": 5, "learning_rate": 1e-2, "state_power": None})
    method.fit(parts["train"], space, None, parts["val"])
    some, truth, seen = candidates(space, parts["val"].labels)
    with torch.no_grad():
        logs = [part.double().log_softmax(1).numpy() for part in method.primitive_logits(method.prepared(parts["val"].matrix))]
    scores = {w: w * logs[0][:, space.pairs[some, 0]] + logs[1][:, space.pairs[some, 1]] for w in POWERS}
    aucs = {w: bias_sweep(s.astype(np.float32), truth, seen).auc for w, s in scores.items()}
    assert aucs[method.power] >= max(aucs.values()) - 1e-6 and len(set(aucs.values())) > 1
    np.testing.assert_allclose(method.scores(parts["val"].matrix, space.pairs[some]), scores[method.power], rtol=1e-4, atol=1e-4)
    without = COMPOSITION_CLASSIFIERS.make("visual_product", {**NO_DROPOUT, "state_power": None}).fit(parts["train"], space, None)
    assert without.power == 1.0


def test_visual_product_sees_the_columns_that_it_is_given():
    space, parts, _ = small()
    settings = {**NO_DROPOUT, "state_columns": [0, 60], "object_columns": [30, 120]}
    method = COMPOSITION_CLASSIFIERS.make("visual_product", settings).fit(parts["train"], space, None)
    rows, noise = method.prepared(parts["val"].matrix[:5]), torch.randn(5, 60, generator=drawn())
    with torch.no_grad():
        states, objects = method.primitive_logits(rows)
        other = method.primitive_logits(torch.cat([rows[:, :60], noise], dim=1))
        first = method.primitive_logits(torch.cat([noise[:, :30], rows[:, 30:]], dim=1))
    assert torch.equal(states, other[0]) and not torch.equal(objects, other[1])
    assert torch.equal(objects, first[1]) and not torch.equal(states, first[0])
    for wrong in ({"state_columns": [5, 5]}, {"object_columns": [-1, 4]}, {"state_columns": [1]}, {"state_power": 0.0}, {"hidden": -1}):
        with pytest.raises(InvalidInputError):
            COMPOSITION_CLASSIFIERS.make("visual_product", wrong)
    with pytest.raises(InvalidInputError, match="columns that the features have"):
        COMPOSITION_CLASSIFIERS.make("visual_product", {**NO_DROPOUT, "state_columns": [0, 121]}).fit(parts["train"], space, None)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("compcos", {"world": "half"}),
        ("compcos", {"scale": 0.0}),
        ("compcos", {"margin": -1.0}),
        ("compcos", {"embedding": 0}),
        ("le_plus", {"margin": 0.0}),
        ("le_plus", {"negatives": 0}),
        ("le_plus", {"dropout": 1.0}),
        ("symnet", {"axioms": -0.1}),
        ("symnet", {"sharpness": 0.0}),
        ("csp", {"dropout": -0.1}),
        ("visual_product", {"smoothing": 1.0}),
    ],
)
def test_strange_settings_are_refused(name, wrong):
    with pytest.raises(InvalidInputError):
        COMPOSITION_CLASSIFIERS.make(name, wrong)


def test_a_state_of_other_settings_is_refused_and_leaves_nothing_to_score_with():
    space, parts, _ = small()
    method, _, _ = learned("compcos", image_hidden=[32], embedding=16)
    other = COMPOSITION_CLASSIFIERS.make("compcos", {**NO_DROPOUT, "image_hidden": [32], "embedding": 17})
    with pytest.raises(InvalidInputError, match="with these settings"):
        other.load_state(method.state(), space)
    with pytest.raises(InvalidInputError, match="fit"):
        other.scores(parts["val"].matrix, space.pairs)
    with pytest.raises(InvalidInputError, match="fit"):
        other.state()
