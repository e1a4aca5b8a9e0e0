"""Places the tasks of a DAG in layers, each below its upstream tasks (after Sugiyama, Tagawa and Toda, 1981).

Edges over several layers have a point in each layer between, so that they go around tasks.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from dbxdec.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GAP_X = 28.0
GAP_Y = 54.0
_POINT_WIDTH = 8.0
_SWEEPS = 8

Node = tuple[int, int]
"""A point of an edge in a layer that it passes: (number of the edge, layer). Tasks are (-1, number of the task)."""


@dataclass(frozen=True, slots=True)
class Box:
    """The box of a task: its upper left corner and its size, in pixels."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """The boxes by task, and the points of each edge from its upstream to its downstream end."""

    boxes: Mapping[str, Box]
    edges: tuple[tuple[tuple[float, float], ...], ...]
    width: float
    height: float


def place(sizes: Mapping[str, tuple[float, float]], edges: Sequence[tuple[str, str]]) -> Drawing:
    """Lay out tasks of these sizes. `edges` are (upstream, downstream); edges on a cycle do not affect the layers."""
    if not sizes:
        return Drawing({}, (), 0, 0)
    ranks = _ranks(list(sizes), edges)
    numbers = {key: i for i, key in enumerate(sizes)}
    layers: list[list[Node]] = [[] for _ in range(max(ranks.values()) + 1)]
    for key in sizes:
        layers[ranks[key]].append((-1, numbers[key]))
    chains = []
    for i, (before, after) in enumerate(edges):
        between: list[Node] = [(i, rank) for rank in range(ranks[before] + 1, ranks[after])]
        for node in between:
            layers[node[1]].append(node)
        chains.append([(-1, numbers[before]), *between, (-1, numbers[after])])
    up, down = _neighbours(chains)
    _untangle(layers, up, down)
    widths = {(-1, numbers[key]): width for key, (width, _) in sizes.items()}
    centres = _centres(layers, up, down, widths)
    heights = [max((sizes[key][1] for key in sizes if ranks[key] == rank), default=0.0) for rank in range(len(layers))]
    tops = [sum(heights[:rank]) + GAP_Y * rank for rank in range(len(layers))]
    left = min(centres[node] - widths.get(node, _POINT_WIDTH) / 2 for layer in layers for node in layer)
    right = max(centres[node] + widths.get(node, _POINT_WIDTH) / 2 for layer in layers for node in layer)
    boxes = {
        key: Box(centres[-1, numbers[key]] - width / 2 - left, tops[ranks[key]], width, height)
        for key, (width, height) in sizes.items()
    }
    lines = []
    for chain, (before, after) in zip(chains, edges, strict=True):
        start, end = boxes[before], boxes[after]
        points = [(start.x + start.width / 2, start.y + start.height)]
        for node in chain[1:-1]:
            middle = tops[node[1]] + heights[node[1]] / 2
            points.append((centres[node] - left, middle))
        points.append((end.x + end.width / 2, end.y))
        lines.append(tuple(points))
    return Drawing(boxes, tuple(lines), right - left, tops[-1] + heights[-1])


def _ranks(keys: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return the layer of each task: one below its lowest upstream task."""
    waiting = dict.fromkeys(keys, 0)
    followers: dict[str, list[str]] = defaultdict(list)
    for before, after in edges:
        waiting[after] += 1
        followers[before].append(after)
    ranks = dict.fromkeys(keys, 0)
    ready = [key for key in keys if not waiting[key]]
    while ready:
        key = ready.pop()
        for after in followers[key]:
            ranks[after] = max(ranks[after], ranks[key] + 1)
            waiting[after] -= 1
            if not waiting[after]:
                ready.append(after)
    return ranks


def _neighbours(chains: Sequence[Sequence[Node]]) -> tuple[dict[Node, list[Node]], dict[Node, list[Node]]]:
    up: dict[Node, list[Node]] = defaultdict(list)
    down: dict[Node, list[Node]] = defaultdict(list)
    for chain in chains:
        for above, below in pairwise(chain):
            up[below].append(above)
            down[above].append(below)
    return up, down


def _untangle(layers: list[list[Node]], up: Mapping[Node, list[Node]], down: Mapping[Node, list[Node]]) -> None:
    """Order each layer by the positions of its neighbours, from above and from below in turn."""
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        beside = up if downwards else down
        for layer in layers[1:] if downwards else layers[-2::-1]:
            position = {node: i for other in layers for i, node in enumerate(other)}
            wanted = {node: _mean([position[n] for n in beside.get(node, ())], position[node]) for node in layer}
            layer.sort(key=wanted.__getitem__)


def _mean(found: Sequence[float], otherwise: float) -> float:
    return sum(found) / len(found) if found else otherwise


def _centres(
    layers: Sequence[Sequence[Node]],
    up: Mapping[Node, list[Node]],
    down: Mapping[Node, list[Node]],
    widths: Mapping[Node, float],
) -> dict[Node, float]:
    """Return the centre of each node: close to its neighbours' centres, without overlap in its layer."""
    centres: dict[Node, float] = {}
    for layer in layers:
        x = 0.0
        for node in layer:
            width = widths.get(node, _POINT_WIDTH)
            centres[node] = x + width / 2
            x += width + GAP_X
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            beside = up if sweep % 2 == 0 else down
            wanted = [_mean([centres[n] for n in beside.get(node, ())], centres[node]) for node in layer]
            centres |= zip(layer, _apart(wanted, [widths.get(node, _POINT_WIDTH) for node in layer]), strict=True)
    return centres


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Return positions in this order, close to `wanted` and without overlap: the mean of two greedy passes."""

    def greedy(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
        placed: list[float] = []
        for i, x in enumerate(wanted):
            nearest = placed[-1] + widths[i - 1] / 2 + GAP_X + widths[i] / 2 if placed else x
            placed.append(max(x, nearest))
        return placed

    rightwards = greedy(wanted, widths)
    leftwards = [-x for x in greedy([-x for x in reversed(wanted)], list(reversed(widths)))][::-1]
    return [(a + b) / 2 for a, b in zip(rightwards, leftwards, strict=True)]
