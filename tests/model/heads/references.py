"""The losses of all heads by the formulas of the papers, through angles and loops, in float64."""

import math

import numpy as np

SCALE = 8.0


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def cross_entropy(logits, labels, smoothing=0.0):
    shifted = logits - logits.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    aims = np.full_like(logits, smoothing / logits.shape[1])
    aims[np.arange(len(labels)), labels] += 1 - smoothing
    return -(aims * logs).sum(axis=1)


def softmax(embeddings, kernel, labels, smoothing=0.0):
    return cross_entropy(embeddings @ kernel, labels, smoothing)


def margin(penalize, sub_centers=1, smoothing=0.0):
    """Losses of a head whose own cosine is lowered by `penalize(angle, row)`."""

    def losses(embeddings, kernel, labels):
        cosines = unit(embeddings) @ unit(kernel.T).T
        logits = cosines.reshape(len(labels), -1, sub_centers).max(axis=2)
        for row, label in enumerate(labels):
            logits[row, label] = penalize(math.acos(logits[row, label]), row)
        return cross_entropy(SCALE * logits, labels, smoothing)

    return losses


def in_parts(parts, penalize, sub_centers=1):
    """The mean of the losses that `margin` has of each part of the embedding alone."""
    of_one = margin(penalize, sub_centers)

    def losses(embeddings, kernel, labels):
        cut = zip(np.split(embeddings, parts, axis=1), np.split(kernel, parts), strict=True)
        return np.mean([of_one(*part, labels) for part in cut], axis=0)

    return losses


def qualities(embeddings, concentration):
    lengths = np.linalg.norm(embeddings, axis=1)
    spread = lengths.std(ddof=1) + 1e-3
    return np.clip(concentration * (lengths - lengths.mean()) / spread, -1, 1)


def triplet(embeddings, labels, alpha):
    """Of each anchor its part of the mean over all pairs, times the number of anchors."""
    points, count = unit(embeddings), len(labels)
    of_anchor, pairs = np.zeros(count), 0
    for anchor in range(count):
        away = ((points - points[anchor]) ** 2).sum(axis=1)
        negatives = away[labels != labels[anchor]]
        for positive in np.flatnonzero(labels == labels[anchor]):
            if positive == anchor or not len(negatives):
                continue
            farther = negatives[negatives > away[positive]]
            negative = farther.min() if len(farther) else negatives.max()
            of_anchor[anchor] += max(0.0, away[positive] + alpha - negative)
            pairs += 1
    return of_anchor * count / max(pairs, 1)


def siamese(embeddings, kernel, labels, bias=0.0):
    points, count = unit(embeddings) * math.sqrt(embeddings.shape[1]), len(labels)
    parts = {True: np.zeros(count), False: np.zeros(count)}
    pairs = {True: 0, False: 0}
    for left in range(count):
        for right in range(count):
            if left == right:
                continue
            same = bool(labels[left] == labels[right])
            logit = np.abs(points[left] - points[right]) @ kernel[:, 0] + bias
            parts[same][left] += np.log1p(np.exp(-logit if same else logit))
            pairs[same] += 1
    kinds = [same for same in parts if pairs[same]]
    return sum(parts[same] / pairs[same] / len(kinds) for same in kinds) * count


def gradient(function, values, step=1e-6):
    """Central differences of a scalar function of an array."""
    found = np.zeros_like(values)
    for index in np.ndindex(values.shape):
        up, down = values.copy(), values.copy()
        up[index] += step
        down[index] -= step
        found[index] = (function(up) - function(down)) / (2 * step)
    return found
