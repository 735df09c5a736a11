"""A living room with three people: a child offers a cup to the camera, a man reads on the sofa, a woman waits."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import kit

MODEL_SCALE = 0.43
EXPOSURE = 0.95
LENS_MM = 23.0
BACK, SLANT = (0, 3.4, 0), 0.22  # middle of the back wall; rad, so that the wall is a ramp
TABLE = 0.74  # m
UPRIGHT = (math.pi / 2, 0, 0)
ARMS = {  # elbow and wrist of a left arm, in a standing figure
    "down": ((0.26, 0.03, 1.13), (0.25, -0.08, 0.9)),
    "lap": ((0.27, -0.08, 1.12), (0.13, -0.32, 1.12)),
    "offer": ((0.26, -0.2, 1.16), (0.12, -0.44, 1.24)),
}
CUP = ((0.028, 0), (0.038, 0.004), (0.045, 0.1), (0.04, 0.1), (0.034, 0.01))  # radius, height


def camera(t: float) -> None:
    """Tracks from left to right before the table, hardly turning, so that what is near stays near; t in [0, 1]."""
    x = -0.5 + t
    kit.camera((x, 0.02 * math.sin(6 * t), 1.41 - 0.02 * t), (0.85 * x, 3, 0.72), LENS_MM)


def build() -> None:
    """Everything that stands still while the camera moves."""
    rng = kit.seeded("room")
    kit.sky("interior", 0.45, 0.6)
    kit.lamp((-1.5, 0.4, 2.6), (0.2, 2.2, 0.8), 60, 0.5)
    kit.lamp((1.8, 1.4, 2.5), (0.3, 2.6, 0.5), 35, 0.5, (1, 0.88, 0.75))
    kit.group(_shell() + _hangings() + _bookshelf(rng), BACK, SLANT)
    kit.group(_sofa(1.5, (0.1, 0.26, 0.23)), (-1.15, 2.5, 0), SLANT)
    kit.group(_sofa(0.55, (0.42, 0.25, 0.07)), (1.55, 2.15, 0), -0.7)
    _table(rng)
    _child()
    _man()
    _woman()


def _shell() -> list:
    """Boards, carpet, papered back wall at y = 0, plain left wall, skirting."""
    flowers = ((0.2, 0.08, 0.05), (0.5, 0.42, 0.28), (0.1, 0.13, 0.25), (0.42, 0.06, 0.05))
    paper = kit.pattern("voronoi", ((0.5, 0.42, 0.25), (0.2, 0.34, 0.3), (0.13, 0.26, 0.24)), 11, grain_scale=60)
    wood = kit.photo("wood1.png", 1)
    return [
        kit.plane((1, -1.5, 0), (7, 5), kit.photo("wood_light.png", 0.7, (0.75, 0.6, 0.48))),
        kit.plane((0.3, -1.35, 0.012), (2.6, 1.5), kit.pattern("cells", flowers, 14, 0.9, bump=0.2)),
        kit.plane((1, 0, 1.3), (7, 2.6), paper, UPRIGHT),
        kit.plane((-2.2, -1.5, 1.3), (5, 2.6), kit.plain((0.5, 0.4, 0.28)), (math.pi / 2, 0, math.pi / 2)),
        kit.box((1, 0, 0.08), (7, 0.06, 0.16), wood),
        kit.box((-2.2, -1.5, 0.08), (0.06, 5, 0.16), wood),
    ]


def _hangings() -> list:
    """Pictures, and a window on a hedge with curtains."""
    frame, white = kit.photo("wood3.png", 2, brightness=2.5), kit.plain((0.6, 0.58, 0.52))
    cloth = kit.pattern("wave", ((0.4, 0.12, 0.06), (0.6, 0.3, 0.12)), 4, 0.9, grain_scale=60)
    hung = ((-1.75, 1.5, 0.5, "astronaut.png"), (-1.05, 1.62, 0.42, "chelsea.png"), (-0.5, 1.45, 0.36, "coffee.png"))
    bars = [(2.4, z, 1.1, 0.06) for z in (0.7, 1.5, 2.0)] + [(x, 1.35, 0.06, 1.3) for x in (1.9, 2.4, 2.9)]
    return [
        *(kit.box((x, -0.02, z), (size + 0.1, 0.05, size + 0.1), frame) for x, z, size, _ in hung),
        *(kit.plane((x, -0.05, z), (size, size), kit.photo(name, space="UV"), UPRIGHT) for x, z, size, name in hung),
        kit.plane((2.4, -0.02, 1.35), (1, 1.3), kit.photo("grass.png", 1.2, (0.5, 0.8, 0.3), 1.2), UPRIGHT),
        *(kit.box((x, -0.03, z), (width, 0.07, height), white) for x, z, width, height in bars),
        *(kit.box((x, -0.1, 1.25), (0.35, 0.06, 1.75), cloth, bevel_m=0.03) for x in (1.82, 2.98)),
    ]


def _bookshelf(rng: random.Random) -> list:
    """Shelves full of books before the back wall."""
    oak, dark = kit.photo("wood.png", 1.2, brightness=1.8), kit.photo("darkwood.png", 1, brightness=1.5)
    cloths = [kit.photo(name, 5) for name in ("fabricPlain.png", "navy_blue.png", "granite.png", "fabricPattern.png")]
    cloths += [
        kit.pattern("noise", (kit.hsv(h, 0.6, 0.15), kit.hsv(h, 0.6, 0.4)), 60) for h in (0, 0.08, 0.3, 0.6, 0.9)
    ]
    parts = [kit.box((0.75, -0.02, 0.95), (1.7, 0.02, 1.9), dark)]
    parts += [kit.box((x, -0.16, 0.95), (0.04, 0.3, 1.9), oak) for x in (-0.1, 1.6)]
    parts += [kit.box((0.75, -0.16, 0.1 + 0.42 * n), (1.7, 0.28, 0.03), oak) for n in range(5)]
    for n in range(4):
        x = -0.07
        while x < 1.52:
            thick, tall = rng.uniform(0.03, 0.06), rng.uniform(0.22, 0.34)
            if rng.random() > 0.07:
                at = (x + thick / 2, -0.19, 0.115 + 0.42 * n + tall / 2)
                parts.append(kit.box(at, (thick, 0.2, tall), rng.choice(cloths)))
            x += thick + 0.003
    vase = ((0.06, 0), (0.09, 0.08), (0.04, 0.2), (0.06, 0.26))
    return [*parts, kit.lathe((1.3, -0.18, 1.795), vase, kit.photo("marble.png", 5))]


def _sofa(width: float, colour: kit.Colour) -> list:
    """A sofa or an armchair with a cushion, facing -y."""
    velvet = kit.pattern("noise", [[v * c for c in colour] for v in (0.5, 0.9, 1.5)], 35, 0.8)
    check, sides = kit.photo("fabricPattern.png", 3, (1.3, 0.7, 0.4)), width / 2 + 0.07
    return [
        kit.box((0, 0, 0.22), (width, 0.8, 0.3), velvet, bevel_m=0.05),
        kit.box((0, 0.38, 0.55), (width, 0.2, 0.75), velvet, (-0.15, 0, 0), 0.06),
        *(kit.box((x, 0, 0.31), (0.2, 0.85, 0.6), velvet, bevel_m=0.06) for x in (-sides, sides)),
        kit.box((width / 2 - 0.27, 0.18, 0.57), (0.4, 0.14, 0.4), check, (-0.35, 0.2, 0), 0.06),
    ]


def _table(rng: random.Random) -> None:
    """The table before the camera with fruit, a plant, prints and a plain cup."""
    wood = kit.photo("wood4.png", 1.5, brightness=1.8, roughness=0.3)
    kit.box((-0.55, 1.36, TABLE - 0.02), (1.3, 0.8, 0.04), wood)
    for x, y in ((-1.15, 1), (-1.15, 1.72), (0.05, 1), (0.05, 1.72)):
        kit.box((x, y, TABLE / 2 - 0.02), (0.05, 0.05, TABLE - 0.04), wood)
    for x, y, size, turn, name in (
        (-0.3, 1.2, (0.22, 0.22), 0.3, "page.png"),
        (-0.75, 1.05, (0.24, 0.17), -0.25, "rocket.jpg"),
    ):
        kit.plane((x, y, TABLE + 0.002), size, kit.photo(name, brightness=1.2, space="UV"), (0, 0, turn))
    kit.lathe((-0.08, 1.3, TABLE), CUP, kit.plain((0.6, 0.55, 0.48), 0.3))
    glaze = kit.pattern("rings", ((0.08, 0.15, 0.35), (0.6, 0.58, 0.5)), 20, 0.3)
    kit.lathe((-0.4, 1.5, TABLE), ((0.05, 0), (0.09, 0.03), (0.13, 0.08), (0.12, 0.08), (0.05, 0.02)), glaze)
    heap = [(0.06 * math.cos(1.26 * n), 0.06 * math.sin(1.26 * n), 0.075) for n in range(5)] + [(0, 0, 0.115)]
    for n, (x, y, z) in enumerate(heap):
        peel = kit.pattern("marble", ((0.5, 0.05, 0.03), (0.7, 0.35, 0.05)), 25, shift=(n, 0, 0))
        kit.sphere((x - 0.4, y + 1.5, z + TABLE), 0.038, peel)
    pot = kit.pattern("brick", ((0.1, 0.15, 0.25), (0.5, 0.4, 0.25), (0.6, 0.55, 0.45)), 22)
    parts = [kit.lathe((0, 0, 0), ((0.06, 0), (0.08, 0.13), (0.09, 0.14), (0.07, 0.14), (0.02, 0.12)), pot)]
    greens = [kit.pattern("noise", (kit.hsv(0.3, 0.75, v), kit.hsv(0.26, 0.7, 2 * v)), 30, 0.4) for v in (0.1, 0.2)]
    for n in range(22):
        x, y = math.cos(2.4 * n), math.sin(2.4 * n)
        tip = (0.2 * x, 0.16 * y, rng.uniform(0.27, 0.44))
        parts.append(kit.leaf((0, 0, 0.12), tip, 0.05, greens[n % 2], 0.2, (-x, -y, 0.5)))
    kit.group(parts, (-0.82, 1.3, TABLE))


# ---------- people: built around the origin, facing -y, 1.75 m tall ----------


def _child() -> None:
    """Holds out a cup, which is what is nearest."""
    stripes = kit.pattern("wave", ((0.5, 0.07, 0.05), (0.65, 0.6, 0.5)), 6, 0.8, grain_scale=200)
    denim = kit.photo("fabricPlain.png", 4, (0.3, 0.45, 0.8))
    parts = _figure(("down", "offer"), stripes, denim, (0.62, 0.34, 0.24), (0.12, 0.05, 0.02), 1.2)
    paint = kit.pattern("checker", ((0.65, 0.6, 0.55), (0.06, 0.18, 0.42)), 50, 0.3)
    kit.group([*parts, kit.lathe((-0.12, -0.57, 1.2), CUP, paint)], (0.45, 1.44, 0), -0.25, 0.78)


def _man() -> None:
    """Sits with a picture book."""
    checks, cord = (
        kit.photo("fabricPattern.png", 5, (0.6, 0.75, 0.9)),
        kit.photo("fabricPlain.png", 4, (0.75, 0.55, 0.35)),
    )
    parts = _figure(("lap", "lap"), checks, cord, (0.36, 0.18, 0.11), (0.015, 0.012, 0.01), sits=True)
    for side in (-1, 1):
        cover, tilt = kit.photo("coins.png", tint=(1, 0.6, 0.35), space="UV"), (math.pi / 2 + 0.35, 0, 0.3 * side)
        parts.append(kit.plane((0.095 * side, -0.46, 0.78), (0.2, 0.26), cover, tilt))
    kit.group(parts, (-1.05, 2.3, 0), SLANT)


def _woman() -> None:
    """Stands in a dress with a mug."""
    flowers = kit.pattern("cells", ((0.1, 0.1, 0.25), (0.5, 0.4, 0.2), (0.5, 0.15, 0.15), (0.2, 0.3, 0.4)), 30, 0.8)
    parts = _figure(("lap", "down"), flowers, None, (0.7, 0.42, 0.32), (0.4, 0.17, 0.04), long_hair=True)
    parts.append(kit.lathe((0, 0, 0), ((0.27, 0.5), (0.28, 0.5), (0.24, 0.88), (0.2, 0.98), (0.14, 1.04)), flowers))
    paint = kit.pattern("checker", ((0.6, 0.5, 0.1), (0.4, 0.06, 0.05)), 50)
    kit.group([*parts, kit.lathe((0.13, -0.45, 1.08), CUP, paint)], (0.08, 2.45, 0), 0.05, 0.95)


def _figure(arms: Sequence[str], shirt, trousers, skin, hair, head=1.0, sits=False, long_hair=False) -> list:
    """Trunk, arms (left and right as told), hands, legs and head (scaled by `head`) of a figure."""
    flesh = kit.pattern("noise", ([0.85 * c for c in skin], skin), 30, 0.45, grain=0.15)
    leather, cloth = kit.plain((0.06, 0.03, 0.02)), trousers or flesh
    hip, knee, ankle = ((0, 0.94), (-0.45, 0.92), (-0.43, 0.5)) if sits else ((0, 1), (-0.01, 0.5), (0.02, 0.1))
    joints, radii = [(0, 0, 0.92), (0, 0.01, 1.12), (0, 0, 1.34), (0, 0.01, 1.46)], [0.16, 0.14, 0.13, 0.065]
    bones, parts = [(0, 1), (1, 2), (2, 3)], [kit.sphere((0, 0.01, 0.95), (0.165, 0.13, 0.16), trousers or shirt)]
    for side, arm in zip((1, -1), arms, strict=True):
        n = len(joints)
        joints += [(side * x, y, z) for x, y, z in ((0.19, 0.01, 1.37), *ARMS[arm])]
        radii += [0.075, 0.06, 0.045]
        bones += [(2, n), (n, n + 1), (n + 1, n + 2)]
        parts += _hand(joints[-1], side, arm, flesh)
        leg = [(side * 0.085, *hip), (side * 0.12, *knee), (side * 0.12, *ankle)]
        parts.append(kit.body(leg, [(0, 1), (1, 2)], [0.125, 0.095, 0.075], cloth))
        parts.append(kit.sphere((side * 0.12, ankle[0] - 0.06, ankle[1] - 0.05), (0.055, 0.13, 0.05), leather))
    # Patterns vary along the object's x axis: the trunk is made lying along it, then stood up, for level stripes.
    trunk = kit.body([(z, y, -x) for x, y, z in joints], bones, radii, shirt)
    trunk.rotation_euler = (0, -math.pi / 2, 0)
    parts += [trunk, kit.tube([(0, 0.02, 1.38), (0, 0.015, 1.6)], 0.055, flesh)]
    parts.append(kit.group(_head(flesh, hair, skin, long_hair), (0, 0, 1.51 + 0.13 * head), scale=head))
    return [kit.group(parts, (0, 0, -0.42 if sits else 0))]


def _hand(wrist: kit.Point, side: int, arm: str, flesh) -> list:
    """A palm with fingers and a thumb: hanging, or closed around what is 0.13 m before the wrist."""
    if arm == "down":
        palm = kit.sphere((0, 0, -0.06), (0.028, 0.045, 0.06), flesh)
        fingers = [[(0, 0.03 - 0.02 * n, -0.09), (0, 0.03 - 0.022 * n, -0.17)] for n in range(4)]
        fingers.append([(0, -0.04, -0.04), (-0.01 * side, -0.075, -0.1)])
    else:
        palm = kit.sphere((0, -0.06, 0), (0.035, 0.05, 0.045), flesh)
        turns = [(0.02 * n - 0.03, (1.4, 2.4, 3.3, 4.0)) for n in range(4)] + [(0.03, (1.6, 0.6, -0.3))]
        ring = 0.052  # m, around the cup: the fingers on its outer side, the thumb on its inner one
        fingers = [[(-side * ring * math.cos(a), ring * math.sin(a) - 0.13, z) for a in turn] for z, turn in turns]
    return [kit.group([palm, *(kit.tube(points, 0.011, flesh) for points in fingers)], wrist)]


def _head(flesh, hair: kit.Colour, skin: kit.Colour, long_hair: bool) -> list:
    """A head around the origin: nose, mouth, eyes, brows, ears and hair."""
    locks = kit.pattern("wave", (hair, [1.9 * c for c in hair]), 18, 0.5)
    white, iris = kit.plain((0.7, 0.68, 0.65), 0.3), kit.plain((0.04, 0.05, 0.04), 0.2)
    lips, red = [(-0.04, -0.094, -0.058), (0, -0.106, -0.072), (0.04, -0.094, -0.058)], [0.35 * c for c in skin]
    balls = [((0, 0, 0), (0.1, 0.115, 0.14), flesh), ((0, -0.118, -0.015), (0.018, 0.03, 0.03), flesh)]
    balls.append(((0, 0.03, 0.05), (0.112, 0.12, 0.118), locks))
    parts = [kit.tube(lips, 0.007, kit.plain((0.3 + red[0], red[1], red[2])))]
    for s in (-1, 1):
        balls.append(((s * 0.038, -0.095, 0.03), (0.022, 0.016, 0.019), white))
        balls.append(((s * 0.037, -0.107, 0.03), (0.011, 0.006, 0.012), iris))
        balls.append(((s * 0.1, 0.01, 0), (0.014, 0.028, 0.038), flesh))
        parts.append(kit.tube([(s * 0.02, -0.108, 0.066), (s * 0.055, -0.1, 0.06)], 0.005, locks))
        if long_hair:
            balls.append(((s * 0.085, 0.045, -0.08), (0.045, 0.06, 0.17), locks))
    return parts + [kit.sphere(*ball) for ball in balls]
