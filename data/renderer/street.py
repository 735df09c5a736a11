"""A cobbled shopping street seen from its mouth: house fronts, awnings, market crates, plants, a bicycle, bunting."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import bpy
import kit

MODEL_SCALE = 0.1
EXPOSURE = 0.8
LENS_MM = 24.0
SIDE, MOUTH = 3.3, 5.3  # m: from the middle of the street to the fronts; where the houses begin
WHITE, IRON, GLASS = (0.7, 0.67, 0.6), (0.03, 0.035, 0.04), (0.04, 0.05, 0.06)
UPRIGHT = (math.pi / 2, 0, 0)


def camera(t: float) -> None:
    """Walks across the mouth of the street from left to right, looking down it; t in [0, 1]."""
    x, height = -2.1 + 4.2 * t, 2.43 + 0.1 * math.sin(4 * t)
    kit.camera((x, 0.15 * math.sin(math.pi * t) - 0.25, height), (-0.1 * x, 12, height - 1.7), LENS_MM)


def build() -> None:
    """Everything that stands still while the camera moves."""
    rng = kit.seeded("street")
    kit.sky("city", 0.6, 1.2)
    kit.sun((0.62, 0.6, -0.75), 2.8, 0.03)
    clouds = kit.pattern("noise", ((0.16, 0.3, 0.6), (0.3, 0.45, 0.7), (0.75, 0.75, 0.75)), 0.06, grain=0)
    kit.plane((0, 60, 10), (160, 60), clouds, UPRIGHT)
    stones = ((0.05, 0.045, 0.04), (0.12, 0.11, 0.1), (0.22, 0.2, 0.18), (0.36, 0.33, 0.29))
    kit.plane((0, 15, 0), (60, 90), kit.pattern("brick", stones, 1.5, bump=0.5, grain=0.6, grain_scale=25))
    for side in (-1, 1):
        kit.box((side * 2.8, 10.4, 0.04), (1.1, 11.6, 0.1), kit.photo("floor1.png", 0.45, brightness=0.75))
        kit.box((side * 2.2, 10.4, 0.05), (0.14, 11.6, 0.12), kit.photo("granite.png", 1, (0.6, 0.55, 0.5)))
    _houses(rng)
    _wares(rng)
    _street_furniture(rng)


def _added(data: bpy.types.ID, material, at: kit.Point = (0, 0, 0), rotation: kit.Point = (0, 0, 0)):
    if material:
        data.materials.append(material)
    made = bpy.data.objects.new("added", data)
    made.location, made.rotation_euler = at, rotation
    bpy.context.scene.collection.objects.link(made)
    return made


def _triangles(corners: Sequence[kit.Point], material) -> bpy.types.Object:
    mesh = bpy.data.meshes.new("triangles")
    mesh.from_pydata(corners, [], [range(n, n + 3) for n in range(0, len(corners), 3)])
    return _added(mesh, material)


def _words(text: str, centre: kit.Point, size: float) -> bpy.types.Object:
    curve = bpy.data.curves.new("words", "FONT")
    curve.body, curve.size, curve.extrude, curve.align_x, curve.align_y = text, size, 0.01, "CENTER", "CENTER"
    return _added(curve, kit.plain(WHITE), centre, UPRIGHT)


def _foliage(at: kit.Point, radii: kit.Point, count: int, hues: Sequence[float], rng: random.Random) -> None:
    """A cloud of leaves or petals in several shades, denser towards its surface."""
    for hue, shade in zip(hues, (0.1, 0.22, 0.38, 0.6), strict=False):
        corners: list[kit.Point] = []
        for _ in range(count):
            way = [rng.gauss(0, 1) for _ in range(3)]
            reach = rng.uniform(0.2, 1) ** 0.4 / math.hypot(*way)
            heart = [c + r * reach * w for c, r, w in zip(at, radii, way, strict=True)]
            corners += [[c + rng.uniform(-0.07, 0.07) for c in heart] for _ in range(3)]
        _triangles(corners, kit.plain(kit.hsv(hue, 0.75, shade)))


# ---------- houses: built around the origin, facing -y ----------


def _window(x: float, z: float, paint, rng: random.Random) -> list:
    curtain = kit.photo("fabricPlain.png", 1.5, brightness=0.6)
    pane, trim = rng.choice((kit.plain(GLASS, 0.05), curtain)), kit.plain(WHITE)
    return [
        *(kit.box((x + dx, -0.03, z), (0.3, 0.07, 1.05), paint) for dx in (-0.53, 0.53)),
        kit.box((x, -0.02, z), (0.72, 0.1, 1.12), trim),
        kit.box((x, -0.05, z), (0.6, 0.06, 1), pane, bevel_m=0),
        kit.box((x, -0.07, z), (0.05, 0.06, 1), trim),
        kit.box((x, -0.07, z + 0.12), (0.6, 0.06, 0.05), trim),
        kit.box((x, -0.1, z - 0.6), (0.9, 0.24, 0.08), trim),
    ]


def _awning(width: float, z: float, colour: kit.Colour) -> list:
    parts, count = [], 4 * round(width) + 1
    for n in range(count):
        stripe, x = kit.plain(WHITE if n % 2 else colour, 0.8), width * ((n + 0.5) / count - 0.5)
        parts.append(kit.box((x, -0.5, z), (width / count, 0.95, 0.02), stripe, (0.35, 0, 0), 0))
        parts.append(kit.box((x, -0.95, z - 0.24), (width / count, 0.02, 0.18), stripe, bevel_m=0))
    return parts


def _shop(width: float, name: str, pictures: Sequence[str], colour: kit.Colour) -> list:
    """Pictures in a shop window, a sign and a striped awning."""
    wood = kit.photo("wood2.png", 0.8, colour, 3)
    parts = [kit.box((0, -0.04, 1.1), (width, 0.1, 2), wood), _words(name, (0, -0.17, 2.4), 0.36)]
    parts.append(kit.box((0, -0.06, 2.4), (width + 0.1, 0.2, 0.42), kit.plain(colour)))
    for n, picture in enumerate(pictures):
        x = width * ((n + 0.5) / len(pictures) - 0.5)
        parts.append(kit.box((x, -0.08, 1.2), (width * 0.9 / len(pictures), 0.06, 1.4), kit.plain(GLASS, 0.05)))
        parts.append(kit.plane((x, -0.12, 1.1), (0.75, 0.75), kit.photo(picture, space="UV"), UPRIGHT))
    return parts + _awning(width, 1.98, colour)


def _house(at: kit.Point, turn: float, width: float, height: float, wall, hue: float, shop, rng) -> None:
    """A house front with `shop` (name and pictures) or with a door and windows on its ground floor."""
    colour, stone = kit.hsv(hue, 0.75, 0.3), kit.pattern("noise", ((0.3, 0.28, 0.25), (0.55, 0.5, 0.45)), 6)
    shutters, door = kit.photo("wood2.png", 2, colour, 4), kit.photo("wood.png", 0.8, colour, 4)
    tiles = kit.pattern("brick", ((0.08, 0.03, 0.02), (0.3, 0.1, 0.06), (0.42, 0.17, 0.1)), 1.3, bump=0.5)
    parts = [kit.box((0, 1, height / 2), (width, 2, height), wall, bevel_m=0)]
    parts += [kit.box((0, 0, z), (width, 0.2 + z / 15, 0.14), stone) for z in (0.1, 2.68, height)]
    parts.append(kit.box((0, 0.75, height + 0.7), (width, 2.2, 0.06), tiles, (0.75, 0, 0)))
    columns = round(width / 1.5)
    for n in range(columns):
        x = width * ((n + 0.5) / columns - 0.5)
        for z in [3.5] if shop else [1.5, 3.5]:
            parts += _window(x, z, shutters, rng) if n or z > 2 else [kit.box((x, -0.02, 1), (0.85, 0.16, 2), door)]
    kit.group(parts + (_shop(width * 0.86, *shop, colour) if shop else []), at, turn)


def _houses(rng: random.Random) -> None:
    brick = [kit.photo("brick1.png", 0.5, c, 1.3, bump=0.3) for c in ((1, 0.9, 0.8), (1.3, 1.2, 1), (1.7, 1, 0.7))]
    yellow, blue = (kit.photo("plaster1.png", 0.6, tint, 1.1) for tint in ((1, 0.85, 0.5), (0.65, 0.8, 0.9)))
    left, right, corner = math.pi / 2, -math.pi / 2, SIDE + 1.62
    for x, y, turn, width, height, wall, hue, shop in (
        (-SIDE, 1.6, left, 3.2, 5, brick[0], 0.35, ("CAFE", ("coffee.png", "chelsea.png"))),
        (-SIDE, 4.7, left, 3, 4.6, yellow, 0.6, None),
        (-SIDE, 7.7, left, 3, 5.2, brick[1], 0.0, ("PETS", ("chelsea.png", "grass.png"))),
        (SIDE, 1.6, right, 3.2, 4.8, blue, 0.02, ("BOOKS", ("page.png", "astronaut.png", "rocket.jpg"))),
        (SIDE, 4.7, right, 3, 5.2, brick[2], 0.45, ("TOYS", ("rocket.jpg", "fabricPattern.png"))),
        (SIDE, 7.7, right, 3, 4.4, kit.plain((0.55, 0.4, 0.3)), 0.3, None),
        (-corner, -0.03, 0, 3.2, 5, brick[0], 0.08, None),
        (corner, -0.03, 0, 3.2, 5, blue, 0.55, None),
        (-2.6, 12.5, 0, 5, 4.4, yellow, 0.5, ("HOTEL", ("marble.png", "coffee.png"))),
        (2.5, 13, 0, 5, 4.9, brick[1], 0.1, None),
    ):
        _house((x, MOUTH + y, 0), turn, width, height, wall, hue, shop, rng)
    kit.plane((4.8, MOUTH - 0.05, 1.6), (0.4, 0.55), kit.photo("astronaut.png", space="UV"), UPRIGHT)


# ---------- what stands and hangs in the street ----------


def _crate(x: float, y: float, z: float, hue: float, rng: random.Random) -> None:
    """A slatted crate heaped with fruit."""
    wood, skin = kit.photo("wood_light.png", 1.5, brightness=0.8), kit.plain(kit.hsv(hue, 0.85, 0.5), 0.4)
    kit.box((x, y, z + 0.14), (0.56, 0.4, 0.24), kit.plain((0.05, 0.03, 0.02)))
    for dz in (0.05, 0.15, 0.25):
        kit.box((x, y, z + dz), (0.6, 0.44, 0.075), wood)
    fruit = kit.sphere((x, y, z + 0.2), 0.065, skin)
    for k in range(15):
        spot = (x + (k % 5 - 2) * 0.105, y + (k // 5 - 1) * 0.12, z + 0.28 + rng.uniform(0, 0.06))
        _added(fruit.data, None, spot)


def _wares(rng: random.Random) -> None:
    """A market stall and crates before the shops."""
    for k in range(10):
        _crate(-1.9 + 0.65 * (k % 5), 8.6 + 0.5 * (k // 5), 0.55 + 0.2 * (k // 5), rng.uniform(0, 0.3), rng)
    kit.box((-0.6, 8.9, 0.4), (3.3, 0.9, 0.3), kit.photo("wood.png", 0.7, brightness=1.5))
    kit.box((-0.6, 8.6, 0.25), (3.2, 0.2, 0.5), kit.photo("fabricPattern.png", 1.2))
    for x in (-2.2, 1.0):
        for y, height in ((9.4, 2.15), (8.5, 1.85)):
            kit.box((x, y, height / 2), (0.07, 0.07, height), kit.photo("wood3.png", 1, brightness=3))
    kit.group(_awning(3.4, 2.05, kit.hsv(0.08, 0.8, 0.6)), (-0.6, 9.4, 0))
    for x, y, z in ((2.1, 6.3, 0), (2.1, 6.3, 0.32), (2.15, 6.9, 0), (-2.4, 5.3, 0), (-2.4, 5.3, 0.32)):
        _crate(x, y, z + 0.1, rng.uniform(0, 0.35), rng)


def _bicycle(at: kit.Point, turn: float) -> None:
    paint, iron = kit.plain((0.5, 0.04, 0.04), 0.3), kit.plain(IRON, 0.4)
    parts = [kit.torus((x, 0, 0.34), 0.32, 0.022, iron, UPRIGHT) for x in (-0.52, 0.52)]
    hub, crank, saddle = (-0.52, 0, 0.34), (-0.1, 0, 0.32), (-0.22, 0, 0.85)
    head, fork = (0.36, 0, 0.8), (0.52, 0, 0.34)
    for line in ((hub, crank, head), (hub, saddle, crank), (saddle, head), (fork, head, (0.33, 0, 0.98))):
        parts += [kit.tube(pair, 0.022, paint) for pair in zip(line, line[1:], strict=False)]
    parts.append(kit.tube([(0.2, -0.25, 0.98), (0.33, 0, 1), (0.2, 0.25, 0.98)], 0.02, iron))
    parts.append(kit.sphere((-0.24, 0, 0.9), (0.15, 0.07, 0.04), iron))
    kit.group(parts, at, turn)


def _street_furniture(rng: random.Random) -> None:
    """Bunting, bollards with chains, lamp posts, planters, trees and a bicycle."""
    iron, bark, clay = kit.plain(IRON, 0.4), kit.photo("wood3.png", 1, brightness=3), (0.45, 0.17, 0.09)
    for y, z in ((7.2, 4.2), (10.5, 4.5), (13, 4.9)):
        line = [(SIDE * k / 8, y, z - 0.7 * (1 - (k / 8) ** 2)) for k in range(-8, 9)]
        kit.tube(line, 0.012, iron)
        for a, b in zip(line, line[1:], strict=False):
            tip = ((a[0] + b[0]) / 2, y, (a[2] + b[2]) / 2 - 0.42)
            _triangles([a, b, tip], kit.plain(kit.hsv(rng.random(), 0.75, 0.45)))
    _bicycle((1.6, 7.5, 0), 0.15)
    for k in range(4):
        x = k - 1.5
        kit.lathe((x, 4.75, 0), ((0.09, 0), (0.09, 0.08), (0.06, 0.1), (0.055, 0.6), (0.08, 0.63), (0.02, 0.72)), iron)
        if k:
            kit.tube([(x - 1, 4.75, 0.55), (x - 0.5, 4.75, 0.38), (x, 4.75, 0.55)], 0.015, iron)
    for x, y in ((-2.3, 4.95), (2.3, 7.6), (-2.3, 11.0)):
        kit.lathe((x, y, 0.1), ((0.13, 0), (0.13, 0.3), (0.06, 0.4), (0.045, 1.4), (0.07, 1.5), (0.035, 2.9)), iron)
        kit.lathe((x, y, 3), ((0.1, 0), (0.1, 0.02), (0.17, 0.4)), kit.glowing((1, 0.8, 0.5), 0.9))
        kit.lathe((x, y, 3.4), ((0.22, 0), (0.22, 0.02), (0.01, 0.16)), iron)
    for x, y, tall in ((2.6, 4.95, 0.3), (3.9, 4.95, 0.3), (-3.4, 5.0, 0.3), (-1.9, 7.4, 0.35), (2.1, 9.6, 0.4)):
        pot = ((0.2, 0), (0.21, 0.02), (0.28, 0.36), (0.32, 0.37), (0.32, 0.45), (0.28, 0.45), (0.01, 0.4))
        kit.lathe((x, y, 0.05), pot, kit.pattern("noise", (clay, (0.6, 0.3, 0.18)), 9))
        _foliage((x, y, 0.5 + tall), (0.38, 0.38, tall), 260, (0.3, 0.27, 0.25, rng.random()), rng)
    for x, y in ((1.9, 11.6), (-2.0, 13)):
        kit.tube([(x, y, 0), (x + 0.05, y, 1), (x, y, 2.4)], 0.1, bark, (1.3, 1, 0.6))
        _foliage((x, y, 3), (0.85, 0.85, 1.0), 900, (0.3, 0.27, 0.23), rng)
