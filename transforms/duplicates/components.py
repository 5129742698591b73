"""Connected components of pairs, on one worker or on many.

One worker calls `components`. Many workers run rounds of `large_star` and `small_star`, each over
edges grouped by node. The rounds turn any graph into stars around the smallest node of each
component (Kiveris, Lattanzi, Mirrokni, Rastogi and Vassilvitskii, Connected Components in MapReduce
and Beyond, SoCC 2014). Each round simplifies the graph, so one worker can finish with `components`
after a few rounds.
"""

import numpy as np


def components(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds the component of each node by union-find over all edges at a time.

    Each round attaches every root to the smallest root that an edge leads to, then points every
    node at its root by pointer doubling. The rounds end when no edge joins two trees.

    Args:
        edges: uint64 [E, 2], in any order and direction.

    Returns:
        (nodes uint64 [N] ascending, uint64 [N] the smallest node of each node's component).
    """
    nodes, ends = np.unique(edges, return_inverse=True)
    left, right = ends.reshape(-1, 2).T
    root = np.arange(len(nodes))
    while True:
        a, b = root[left], root[right]
        apart = np.flatnonzero(a != b)
        if not len(apart):
            return nodes, nodes[root]
        left, right, a, b = left[apart], right[apart], a[apart], b[apart]
        np.minimum.at(root, np.maximum(a, b), np.minimum(a, b))
        while True:
            above = root[root]
            if np.array_equal(above, root):
                break
            root = above


def both_ways(edges: np.ndarray) -> np.ndarray:
    """Every edge in both directions, as `large_star` needs it, keyed by the first column.

    Args:
        edges: uint64 [E, 2].

    Returns:
        uint64 [<= 2E, 2], each once, without loops, in lexicographic order.
    """
    return _distinct(np.concatenate([edges, edges[:, ::-1]]))


def downward(edges: np.ndarray) -> np.ndarray:
    """Every edge from its larger to its smaller end, as `small_star` needs it, keyed by the first.

    Args:
        edges: uint64 [E, 2].

    Returns:
        uint64 [<= E, 2], each once, without loops, in lexicographic order.
    """
    return _distinct(np.sort(edges, axis=1)[:, ::-1])


def large_star(edges: np.ndarray) -> np.ndarray:
    """Joins the larger neighbors of each node to the smallest of the node and its neighbors.

    Args:
        edges: uint64 [E, 2] of `both_ways`: all that have their first end in this partition.

    Returns:
        uint64 [F, 2], larger end first, in lexicographic order; with those of the other
        partitions they connect the same nodes as before.
    """
    edges = _distinct(edges)
    node, neighbor = edges.T
    smallest = np.minimum(_smallest_neighbor(edges), node)
    larger = neighbor > node
    return _distinct(np.stack([neighbor[larger], smallest[larger]], axis=1))


def small_star(edges: np.ndarray) -> np.ndarray:
    """Joins each node and its smaller neighbors to the smallest of these.

    Args:
        edges: uint64 [E, 2] of `downward`: all that have their first end in this partition.

    Returns:
        Like `large_star`.
    """
    edges = _distinct(edges)
    node, neighbor = edges.T
    smallest = _smallest_neighbor(edges)
    joined = np.concatenate([np.stack([node, smallest], 1), np.stack([neighbor, smallest], 1)])
    return _distinct(joined)


def _smallest_neighbor(edges: np.ndarray) -> np.ndarray:
    """Smallest neighbor of each edge's first node, for edges in lexicographic order: uint64 [E]."""
    starts = np.flatnonzero(np.r_[len(edges) > 0, edges[1:, 0] != edges[:-1, 0]])
    return np.repeat(edges[starts, 1], np.diff(np.r_[starts, len(edges)]))


def _distinct(edges: np.ndarray) -> np.ndarray:
    """The edges in lexicographic order, each once, without loops."""
    edges = edges[edges[:, 0] != edges[:, 1]]
    edges = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
    new = np.ones(len(edges), bool)
    new[1:] = (edges[1:] != edges[:-1]).any(axis=1)
    return edges[new]
