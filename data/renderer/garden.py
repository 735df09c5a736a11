"""Thin structures before a far background: flowers, grasses, a railing, a trellis and wires before a brick wall."""

from __future__ import annotations

import math
import random

import kit

MODEL_SCALE = 0.465
EXPOSURE = 1.0
LENS_MM = 28.0
WALL = 3.2  # m, the brick wall at the end of the garden


def camera(t: float) -> None:
    """Walks from left to right past the railing, looking over it to the wall; t in [0, 1]."""
    x = -0.42 + 0.84 * t
    kit.camera((x, 0.04 * math.sin(6 * t), 0.98 + 0.05 * math.sin(4 * t)), (-0.35 * x, 2.4, 0.5), LENS_MM)


def build() -> None:
    """Everything that stands still while the camera moves."""
    rng = kit.seeded("garden")
    kit.sky("forest", 0.9, 2.5)
    kit.sun((0.6, 0.75, -0.9), 2.6, 0.03)
    _ground(rng)
    _wall(rng)
    _railing()
    _trellis(rng)
    _wheel()
    for x, y, kind in (
        (-1.05, 1.25, 0),
        (0.95, 1.2, 1),
        (-0.45, 1.75, 2),
        (0.5, 1.85, 0),
        (1.3, 2.2, 2),
        (-1.5, 2.3, 1),
    ):
        _potted(x, y, kind, rng)
    _overhanging(rng)


def _greens(rng: random.Random, hue: float = 0.28) -> list:
    """Leaf materials of several shades of one plant."""
    shades = [(kit.hsv(hue, 0.75, v), kit.hsv(hue - 0.04, 0.7, 1.8 * v)) for v in (0.1, 0.18, 0.28)]
    return [kit.pattern("noise", shade, 40, 0.45, shift=(rng.random(), 0, 0)) for shade in shades]


def _ground(rng: random.Random) -> None:
    """A gravel path between two beds of grass."""
    kit.plane((0, 1.6, 0), (6, 4.4), kit.photo("grass.png", 1.3, (0.5, 0.75, 0.25), 1.2))
    kit.plane((0.1, 1.6, 0.006), (0.8, 4.4), kit.photo("gravel.png", 1.6, (1, 0.9, 0.75), 1.2, bump=0.6))
    for side in (-0.33, 0.53):
        for n in range(11):
            stone = kit.pattern("noise", ((0.2, 0.18, 0.15), (0.5, 0.47, 0.42)), 20, bump=0.3, shift=(n, side, 0))
            kit.rock((side + rng.uniform(-0.02, 0.02), 0.8 + 0.22 * n, 0.02), rng.uniform(0.05, 0.07), stone, rng)
    greens = _greens(rng, 0.25)
    for _ in range(260):
        x, y = rng.choice((-1, 1)) * rng.uniform(0.45, 1.7) + 0.1, rng.uniform(0.9, 2.9)
        tip = (x + rng.uniform(-0.08, 0.08), y + rng.uniform(-0.08, 0.08), rng.uniform(0.1, 0.28))
        kit.leaf((x, y, 0), tip, 0.012, rng.choice(greens), 0.2, (rng.uniform(-1, 1), -1, 0))


def _wall(rng: random.Random) -> None:
    """A brick wall with a door and ivy, and trees beyond it."""
    kit.box((0, WALL, 0.7), (7, 0.12, 1.4), kit.photo("brick1.png", 0.9, (1.5, 1.3, 1.15), bump=0.4), bevel_m=0)
    kit.box((0, WALL, 1.43), (7, 0.2, 0.07), kit.photo("floor2.png", 1.2, (0.8, 0.75, 0.7)))
    planks = kit.photo("wood2.png", 1.2, (0.5, 0.85, 0.8), 1.6, turn=math.pi / 2)
    kit.box((0.1, WALL - 0.07, 0.55), (0.62, 0.05, 1.1), planks)
    kit.box((0.1, WALL - 0.075, 1.13), (0.75, 0.06, 0.09), kit.photo("wood3.png", 1, brightness=2))
    leaves = kit.pattern("cells", [kit.hsv(0.3, 0.7, v) for v in (0.05, 0.14, 0.3)], 14, bump=0.6)
    for n in range(9):
        kit.rock((-3.2 + 0.8 * n, WALL + 1.3, 1.5), rng.uniform(0.7, 1.0), leaves, rng, 0.8)
    ivy = _greens(rng, 0.32)
    for _ in range(330):
        x = rng.gauss(-1.4, 0.35) if rng.random() < 0.6 else rng.gauss(1.5, 0.25)
        z = rng.uniform(0.1, 1.45)
        base = (x, WALL - 0.075, z)
        tip = (x + rng.uniform(-0.07, 0.07), WALL - 0.11, z - rng.uniform(0.04, 0.09))
        kit.leaf(base, tip, 0.06, rng.choice(ivy), 0.1, (0, -1, 0.3))


def _railing() -> None:
    """A wrought-iron railing across the picture, with scrolls."""
    iron, y = kit.pattern("noise", ((0.015, 0.018, 0.02), (0.06, 0.06, 0.065)), 30, 0.4, 0.6), 1.42
    for z in (0.1, 0.62):
        kit.tube([(-2.2, y, z), (0, y, z), (2.2, y, z)], 0.014, iron)
    for n in range(-9, 10):
        x = 0.22 * n
        if abs(x - 0.1) < 0.3:  # the gate stands open
            continue
        kit.tube([(x, y, 0), (x, y, 0.35), (x, y, 0.7)], 0.009, iron)
        kit.lathe((x, y, 0.7), ((0.009, 0), (0.02, 0.02), (0.014, 0.04), (0.001, 0.09)), iron, 16)
        spiral = [
            (x + 0.11 + r * math.cos(a), y, 0.36 + r * math.sin(a))
            for a, r in ((0.5 * k, 0.012 * k) for k in range(1, 9))
        ]
        kit.tube(spiral, 0.006, iron)


def _trellis(rng: random.Random) -> None:
    """Crossed laths on the left with a climbing rose, and wires stretched to the right."""
    lath = kit.photo("light_wood.png", 3, (0.8, 0.9, 0.85))
    for n in range(9):
        x = -1.95 + 0.13 * n
        kit.box((x, 2.0, 0.6), (0.018, 0.012, 1.35), lath, (0, 0.5, 0), 0.001)
        kit.box((x, 2.02, 0.6), (0.018, 0.012, 1.35), lath, (0, -0.5, 0), 0.001)
    for n in range(5):
        kit.tube(
            [(0.7, 2.5, 0.35 + 0.2 * n), (1.6, 2.05, 0.33 + 0.2 * n), (2.3, 1.7, 0.35 + 0.2 * n)],
            0.004,
            kit.plain((0.3,) * 3, 0.3, 1),
        )
    for x, y in ((0.7, 2.5), (1.6, 2.05)):
        kit.cylinder((x, y, 0), 0.03, 1.3, kit.photo("wood3.png", 2, brightness=2.2))
    greens, rose = _greens(rng, 0.3), kit.pattern("noise", ((0.45, 0.03, 0.08), (0.75, 0.25, 0.3)), 30)
    for n in range(5):
        way = [(-1.75 + 0.2 * n + 0.1 * math.sin(2 * k + n), 1.97, 0.22 * k) for k in range(7)]
        kit.tube(way, 0.008, greens[0])
        for x, y, z in way[1:]:
            for _ in range(3):
                kit.leaf(
                    (x, y, z),
                    (x + rng.uniform(-0.1, 0.1), y - 0.04, z + rng.uniform(-0.04, 0.1)),
                    0.05,
                    rng.choice(greens),
                    0.1,
                    (0, -1, 0),
                )
            kit.sphere((x + 0.04, y - 0.04, z + 0.05), (0.032, 0.03, 0.026), rose)


def _wheel() -> None:
    """A bicycle wheel that leans on the railing."""
    rubber, steel = kit.plain((0.03, 0.03, 0.03), 0.7), kit.plain((0.5, 0.5, 0.52), 0.3, 1)
    upright = (math.pi / 2, 0, 0)
    parts = [kit.torus((0, 0, 0.3), 0.28, 0.016, rubber, upright), kit.torus((0, 0, 0.3), 0.26, 0.008, steel, upright)]
    for n in range(20):
        a = math.tau * n / 20
        rim = (0.26 * math.cos(a), 0, 0.3 + 0.26 * math.sin(a))
        hub = (0.02 * math.cos(a + 1), 0.02 * (-1) ** n, 0.3 + 0.02 * math.sin(a + 1))
        parts.append(kit.tube([hub, rim], 0.0025, steel))
    parts.append(kit.sphere((0, 0, 0.3), (0.03, 0.035, 0.03), steel))
    kit.group(parts, (-0.62, 1.3, 0.0), 0.15)


def _potted(x: float, y: float, kind: int, rng: random.Random) -> None:
    """A pot with a fern (0), a daisy bush (1) or a tall grass (2)."""
    clay = kit.pattern("noise", ((0.38, 0.14, 0.07), (0.6, 0.3, 0.18)), 12)
    pot = ((0.08, 0), (0.085, 0.01), (0.115, 0.17), (0.13, 0.17), (0.13, 0.21), (0.11, 0.21), (0.01, 0.19))
    kit.lathe((x, y, 0), pot, clay)
    greens, heart = _greens(rng, (0.3, 0.26, 0.22)[kind]), (x, y, 0.19)
    for n in range((16, 24, 34)[kind]):
        a, reach = 2.4 * n, rng.uniform(0.6, 1)
        out = (math.cos(a), math.sin(a))
        if kind == 0:
            _frond(heart, out, 0.3 * reach, rng.choice(greens))
        elif kind == 1:
            tip = (x + 0.15 * reach * out[0], y + 0.15 * reach * out[1], 0.28 + 0.25 * rng.random())
            kit.tube([heart, tip], 0.004, greens[0])
            _daisy(tip, rng)
            kit.leaf(heart, (tip[0], tip[1], tip[2] - 0.12), 0.035, rng.choice(greens), 0.15)
        else:
            tip = (x + 0.2 * reach * out[0], y + 0.2 * reach * out[1], 0.45 + 0.35 * rng.random())
            kit.leaf(heart, tip, 0.016, rng.choice(greens), 0.25, (-out[0], -out[1], 0.4))


def _frond(base: kit.Point, out: tuple[float, float], length: float, green) -> None:
    spine = [
        (base[0] + out[0] * length * s, base[1] + out[1] * length * s, base[2] + length * (1.5 * s - 1.1 * s * s))
        for s in (0, 0.35, 0.7, 1)
    ]
    kit.tube(spine, 0.004, green, (1, 0.8, 0.6, 0.3))
    for n in range(2, 14):
        s = n / 14
        at = (base[0] + out[0] * length * s, base[1] + out[1] * length * s, base[2] + length * (1.5 * s - 1.1 * s * s))
        for side in (-1, 1):
            reach = 0.3 * length * (1 - 0.75 * s)
            kit.leaf(
                at,
                (
                    at[0] - side * out[1] * reach + out[0] * 0.03,
                    at[1] + side * out[0] * reach + out[1] * 0.03,
                    at[2] - 0.01,
                ),
                0.018,
                green,
                0.05,
            )


def _daisy(at: kit.Point, rng: random.Random) -> None:
    white, turn = kit.plain((0.62, 0.6, 0.55)), rng.random()
    for n in range(11):
        a = math.tau * n / 11 + turn
        kit.leaf(
            at,
            (at[0] + 0.034 * math.cos(a), at[1] - 0.012, at[2] + 0.034 * math.sin(a)),
            0.014,
            white,
            0.05,
            (0, -1, 0),
        )
    kit.sphere((at[0], at[1] - 0.008, at[2]), 0.011, kit.pattern("voronoi", ((0.4, 0.2, 0.01), (0.7, 0.45, 0.03)), 150))


def _overhanging(rng: random.Random) -> None:
    """Twigs with leaves and a wire close to the camera, at the picture's edges."""
    bark, greens = kit.photo("wood3.png", 3, brightness=2), _greens(rng, 0.27)
    for x, y, z, way in ((-1.0, 1.0, 1.32, 1), (-0.75, 1.05, 0.5, 1), (1.05, 1.0, 1.3, -1), (0.85, 1.04, 0.52, -1)):
        points = [(x + way * 0.13 * k, y + 0.02 * k, z - 0.03 * k + 0.02 * math.sin(3 * k)) for k in range(5)]
        kit.tube(points, 0.009, bark, (1.4, 1.2, 1, 0.7, 0.4))
        for px, py, pz in points:
            for _ in range(5):
                tip = (px + rng.uniform(-0.08, 0.08), py + rng.uniform(-0.02, 0.05), pz + rng.uniform(-0.08, 0.06))
                kit.leaf((px, py, pz), tip, 0.035, rng.choice(greens), 0.15, (0, -1, 0.3))
    kit.tube([(-1.6, 1.15, 1.2), (0, 1.12, 1.14), (1.6, 1.15, 1.22)], 0.004, kit.plain((0.05, 0.05, 0.05), 0.4))
