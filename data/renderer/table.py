"""A cluttered table top, close up: fruit, cups, books, prints and toys before a brick wall and an alcove."""

from __future__ import annotations

import math

import kit

MODEL_SCALE = 0.96
EXPOSURE = 0.95
LENS_MM = 27.0
RADIUS_M = 0.95  # of the camera's arc about the middle of the table
UPRIGHT = math.pi / 2
WHITE = (0.75, 0.73, 0.68)
APPLE = ((0.25, 0), (0.7, 0.12), (0.98, 0.65), (1, 1.05), (0.8, 1.55), (0.4, 1.75), (0.12, 1.62), (0, 1.5))
BOWL = ((0.35, 0), (0.38, 0.07), (0.72, 0.18), (0.98, 0.43), (1, 0.47), (0.94, 0.44), (0.64, 0.21), (0, 0.18))
MUG = ((0.85, 0), (1, 0.2), (1, 2.1), (0.97, 2.2), (0.92, 2.1), (0.9, 0.3), (0, 0.2))
VASE = ((0.54, 0), (0.92, 0.46), (1, 1.2), (0.54, 2.1), (0.43, 2.5), (0.55, 2.8), (0.46, 2.7), (0.3, 2.3))


def camera(t: float) -> None:
    """Swings from left to right about the middle of the table while it sinks; t in [0, 1]."""
    kit.camera((*_ring(-23 + 46 * t, RADIUS_M), 0.36 - 0.03 * t), (0, 0, 0.11), LENS_MM)


def build() -> None:
    """Everything that stands still while the camera moves; the table's top is at z = 0."""
    rng = kit.seeded("table")
    kit.sky("interior", 0.4, 1.0)
    kit.lamp((-1.0, -0.5, 1.2), (0, 0, 0), 28, 0.3)
    kit.lamp((1.2, -0.3, 1.0), (0, 0.2, 0), 5, 0.5, (0.8, 0.9, 1))
    _room()
    _books(rng)
    _fruit_bowl(0.02, 0.03, rng)
    _vase((0.34, 0.24, 0), rng)
    _toys()
    _prints()
    _near()


def _ring(degrees: float, radius: float) -> tuple[float, float]:
    """Horizontal place seen from the middle of the table under this angle, 0 = towards the viewer."""
    return radius * math.sin(math.radians(degrees)), -radius * math.cos(math.radians(degrees))


def _turned(at, radius: float, outline, material):
    """A turned shape whose outline is given in units of its radius."""
    return kit.lathe(at, [(radius * r, radius * z) for r, z in outline], material)


def _room() -> None:
    """The table with its runner, a brick wall, and on the left an alcove that reaches beyond the coded range."""
    kit.box((0, -0.06, -0.02), (2.6, 1.16, 0.04), kit.photo("wood4.png", 1.3, brightness=1.7, bump=0.2))
    kit.box((0.02, -0.02, 0.001), (0.5, 1.06, 0.003), kit.photo("fabricPattern.png", 4, bump=0.4), (0, 0, 0.2), 0)
    kit.box((0.95, 0.62, 0.5), (2.7, 0.2, 2.4), kit.photo("brick1.png", 0.95, brightness=1.7, bump=0.6))
    kit.plane((-2.2, 1.5, 0.5), (6, 2.4), kit.photo("plaster1.png", 1.5, (0.55, 0.68, 0.75)), (UPRIGHT, 0, 0))
    kit.plane((0, 1.0, -0.75), (6, 6), kit.photo("floor1.png", 0.8))


def _covers() -> list:
    """Cloth and paper that books are bound in."""
    cloth = ("navy_blue.png", "pavement.png", "fabricPlain.png", "granite.png", "gravel.png")
    tints = ((1.8, 2.2, 2.2), (0.75, 0.3, 0.22), (0.85, 0.6, 0.3), (0.35, 0.6, 0.42), (0.7, 0.55, 0.75))
    printed = kit.pattern("cells", [(0.5, 0.1, 0.12), (0.75, 0.55, 0.2), (0.12, 0.25, 0.4)], 90)
    return [*(kit.photo(name, 5, tint) for name, tint in zip(cloth, tints, strict=True)), printed]


def _book(at, size, cover, turn: float, standing: bool = False) -> None:
    """Two boards, a spine with its label, and pages; lying flat, or standing with the spine to the front."""
    (w, h, thick), board = size, 0.003
    pages = kit.pattern("wave", [(0.45, 0.4, 0.32), (0.8, 0.76, 0.66)], 160, turn=UPRIGHT)
    parts = [kit.box((0, 0, thick / 2), (w - 0.008, h - 0.008, thick - 2 * board), pages, bevel_m=0)]
    parts += [kit.box((0, 0, z), (w, h, board), cover, bevel_m=0.001) for z in (board / 2, thick - board / 2)]
    parts.append(kit.box((0, (board - h) / 2, thick / 2), (w, board, thick), cover, bevel_m=0.001))
    label = (-0.15 * w, -h / 2 - 5e-4, thick / 2)
    parts.append(kit.plane(label, (0.35 * w, 0.45 * thick), kit.plain(WHITE), (UPRIGHT, 0, 0)))
    kit.group(parts, at, turn).rotation_euler = (0, -UPRIGHT if standing else 0, turn)


def _books(rng) -> None:
    """A pile left of the middle with Suzanne on it, and a row along the wall."""
    covers, z, x = _covers(), 0.0, 0.5
    for n, thick in enumerate((0.035, 0.028, 0.04, 0.022)):
        size = (0.24 - 0.015 * n, 0.17 - 0.01 * n, thick)
        _book((-0.38, 0.1, z), size, covers[n], 0.2 + rng.uniform(-0.25, 0.25))
        z += thick
    clay = kit.pattern("marble", [(0.3, 0.1, 0.05), (0.75, 0.4, 0.2), (0.85, 0.65, 0.4)], 60)
    kit.monkey((-0.38, 0.1, z + 0.05), 0.12, clay, (-0.6, 0, 0.2))
    for n in range(8):
        thick, tall = rng.uniform(0.02, 0.045), rng.uniform(0.19, 0.24)
        x += thick
        _book((x, 0.42, tall / 2), (tall, 0.15, thick - 0.001), covers[(n * 5 + 3) % 6], 0, True)


def _apple(x: float, y: float, z: float, radius: float, material) -> None:
    """An apple with its stalk, standing on z."""
    _turned((x, y, z), radius, APPLE, material)
    kit.tube([(x, y, z + 1.5 * radius), (x + 0.1 * radius, y, z + 2.1 * radius)], 0.0018, kit.plain((0.12, 0.06, 0.03)))


def _fruit_bowl(x: float, y: float, rng) -> None:
    """A painted bowl with apples, oranges and bananas."""
    _turned((x, y, 0.003), 0.14, BOWL, kit.pattern("voronoi", [(0.08, 0.16, 0.35), WHITE], 60, 0.3))
    red = kit.pattern("noise", [(0.5, 0.03, 0.02), (0.6, 0.12, 0.04), (0.75, 0.5, 0.12)], 25, 0.3, grain_scale=300)
    green = kit.pattern("noise", [(0.2, 0.35, 0.04), (0.45, 0.55, 0.1)], 30, 0.3, grain_scale=300)
    peel = kit.pattern("noise", [(0.7, 0.22, 0.01), (0.85, 0.36, 0.03)], 250, 0.4, bump=0.2)
    yellow = kit.pattern("noise", [(0.25, 0.13, 0.03), (0.8, 0.55, 0.06), (0.85, 0.62, 0.1)], 60, grain_scale=300)
    for n, skin in enumerate((red, peel, green, peel, red)):
        dx, dy = _ring(72 * n + 107, 0.077)
        if skin is peel:
            kit.sphere((x + dx, y + dy, 0.079), 0.037, peel, (rng.random(), rng.random(), 0))
        else:
            _apple(x + dx, y + dy, 0.043, 0.038, skin)
    _apple(x - 0.01, y, 0.088, 0.038, red)
    for row in (-0.02, 0.014, 0.048):
        bend = [(x - 0.03 + 0.1 * math.cos(a), y + row, 0.058 + 0.1 * math.sin(a)) for a in (0.25, 0.7, 1.2, 1.7, 2.1)]
        kit.tube(bend, 0.016, yellow, (0.25, 0.9, 1, 0.9, 0.3))


def _vase(at, rng) -> None:
    """A striped vase with leafy stems and blossoms."""
    _turned(at, 0.065, VASE, kit.pattern("rings", [(0.1, 0.25, 0.25), (0.5, 0.55, 0.4), (0.75, 0.7, 0.55)], 30, 0.3))
    green = kit.pattern("wave", [(0.06, 0.16, 0.04), (0.2, 0.36, 0.1)], 60, grain_scale=250)
    petals = [kit.pattern("noise", [c, (0.85, 0.6, 0.5)], 60) for c in ((0.7, 0.08, 0.2), (0.8, 0.4, 0.05))]
    x, y, z = at
    for n in range(9):
        dx, dy = _ring(40 * n, rng.uniform(0.05, 0.14))
        foot, tip = (x + 0.2 * dx, y + 0.2 * dy, z + 0.17), (x + dx, y + dy, z + rng.uniform(0.26, 0.38))
        kit.tube([(x, y, z + 0.1), foot, tip], 0.0022, green)
        for k in range(1, 5):
            bud = [p + (q - p) * k / 5 for p, q in zip(foot, tip, strict=True)]
            dx, dy = _ring(137 * k + 60 * n, 0.05)
            kit.leaf(bud, (bud[0] + dx, bud[1] + dy, bud[2] + 0.02), 0.02, green)
        for k in range(7):
            dx, dz = _ring(360 / 7 * k, 0.028)
            kit.leaf(tip, (tip[0] + dx, tip[1] - 0.012, tip[2] + dz), 0.016, petals[n % 2], 0.15, (0, -1, 0))


def _mug(x: float, y: float, radius: float, material, turn: float) -> None:
    """A mug with its handle."""
    r = radius
    handle = [(r * (0.95 + 0.6 * math.sin(a)), 0, r * (1.14 - 0.66 * math.cos(a))) for a in (0, 0.8, 1.6, 2.4, 3.1)]
    kit.group([_turned((0, 0, 0), r, MUG, material), kit.tube(handle, 0.14 * r, material)], (x, y, 0.002), turn)


def _toys() -> None:
    """Wooden blocks and a stack of rings."""
    colours = ((0.75, 0.25, 0.2), (0.9, 0.75, 0.3), (0.3, 0.5, 0.8), (0.45, 0.7, 0.35))
    wood = [kit.photo("light_wood.png", 9, c, brightness=1.2) for c in colours]
    for n, (x, y, z) in enumerate(((0.46, 0, 0), (0.53, 0.04, 0), (0.5, 0.02, 1), (0.57, -0.08, 0), (0.64, 0.1, 0))):
        kit.box((x, y, 0.0275 + 0.055 * z), (0.055,) * 3, wood[n % 4], (0, 0, 0.4 + 1.1 * n))
    for n in range(5):
        kit.torus((-0.13, 0.3, 0.018 + 0.03 * n), 0.055 - 0.006 * n, 0.017, wood[n % 4])
    kit.sphere((-0.13, 0.3, 0.175), 0.022, wood[0])


def _print(texture: str, at, size, tilt: float, turn: float, frame=None) -> None:
    """A photograph with its border, its foot at `at`: lying (tilt 0) or leaning back (tilt near a right angle)."""
    (w, h), edge = size, 0.018 if frame else 0.007
    lift, back, up = math.sin(tilt) * (h / 2 + edge), -0.003 * math.sin(tilt), 0.003 * math.cos(tilt)
    board = kit.box((0, 0, lift), (w + 2 * edge, h + 2 * edge, 0.004), frame or kit.plain(WHITE), (tilt, 0, 0), 0)
    picture = kit.photo(texture, brightness=0.9, space="UV", roughness=0.5)
    kit.group([board, kit.plane((0, back, lift + up), size, picture, (tilt, 0, 0))], at, turn)


def _prints() -> None:
    """Postcards on the table, framed pictures that lean against the wall, and one in the alcove."""
    dark, light = kit.photo("wood3.png", 6, brightness=2), kit.photo("light_wood.png", 5)
    _print("chelsea.png", (0.02, 0.47, 0), (0.24, 0.17), 1.4, 0.08, dark)
    _print("astronaut.png", (0.27, 0.49, 0), (0.22, 0.26), 1.42, -0.1, light)
    _print("rocket.jpg", (-0.27, 0.44, 0), (0.17, 0.22), 1.38, 0.2, dark)
    _print("coffee.png", (-0.95, 1.47, 0.12), (0.48, 0.32), UPRIGHT, 0, light)
    _print("page.png", (0.16, -0.3, 0.004), (0.2, 0.11), 0, 0.35)
    _print("coffee.png", (-0.1, -0.3, 0.004), (0.14, 0.095), 0, -0.3)
    _print("astronaut.png", (-0.44, -0.16, 0.002), (0.11, 0.11), 0, 0.5)
    _print("coins.png", (0.45, -0.2, 0.002), (0.14, 0.11), 0, -0.4)


def _near() -> None:
    """Cups, and low things all along the near side: each view has something at psi = 6 to 10 at its edge."""
    covers = _covers()
    _mug(0.26, -0.14, 0.04, kit.plain((0.72, 0.68, 0.6), 0.3), -0.5)
    _mug(-0.22, -0.17, 0.038, kit.pattern("checker", [(0.65, 0.2, 0.12), WHITE], 90, 0.3), 2.6)
    _mug(*_ring(-44, 0.5), 0.048, kit.pattern("wave", [(0.1, 0.2, 0.3), (0.7, 0.65, 0.5)], 60, 0.3), 2.5)
    _apple(*_ring(-14, 0.51), 0, 0.045, kit.pattern("noise", [(0.5, 0.04, 0.02), (0.8, 0.5, 0.1)], 30, 0.3))
    for n, degrees in enumerate((9, 10, 8)):
        _book((*_ring(degrees, 0.475), 0.003 + 0.03 * n), (0.13, 0.09, 0.029), covers[(0, 2, 5)[n]], 0.3 - 0.3 * n)
    kit.cylinder((*_ring(29, 0.495), 0), 0.027, 0.09, kit.pattern("rings", [(0.1, 0.3, 0.3), (0.5, 0.65, 0.6)], 200))
    _mug(*_ring(49, 0.51), 0.046, covers[3], 0.4)
