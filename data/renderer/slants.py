"""An attic studio: two roof slopes, a floor, pictures, a drawing board, a ladder; nearly everything slants."""

from __future__ import annotations

import math
import random

import kit

MODEL_SCALE = 0.37
EXPOSURE = 1.5
LENS_MM = 25.0
RIDGE, EAVES, END = 3.0, 2.2, 4.3  # m: height of the ridge, half width of the floor, the gable wall
PITCH = math.atan2(RIDGE, EAVES)  # rad, of the roof
RAFTERS = (0.9, 1.9, 2.9, 3.9)  # m along the attic


def camera(t: float) -> None:
    """Crosses the attic under the ridge from right to left while it turns from the left slope to the right one."""
    x = 0.2 - 0.4 * t
    kit.camera((x, 0.1 * math.sin(math.pi * t), 1.62), (-0.85 + 1.7 * t, 3.0, 0.95), LENS_MM)


def build() -> None:
    """Everything that stands still while the camera moves."""
    rng = kit.seeded("slants")
    kit.sky("interior", 0.35, 2.0)
    kit.sun((0.55, 0.5, -1.0), 1.5, 0.1)
    kit.lamp((0, 0.3, 2.6), (0, 3, 0.6), 45, 0.5)
    kit.lamp((0.2, 3.2, 2.5), (0, 3.4, 0), 35, 0.4, (0.9, 0.95, 1))
    kit.plane((0, 2.4, 0), (2 * EAVES, 5.2), kit.photo("wood4.png", 0.9, brightness=1.6, roughness=0.4))
    rug = kit.plane((-0.15, 2.7, 0.012), (1.7, 1.6), kit.photo("fabricPattern.png", 1.3, (1.0, 0.55, 0.4)))
    rug.rotation_euler = (0, 0, 0.25)
    _gable()
    _slopes()
    _leaning()
    _things(rng)


def on_slope(side: int, up: float, along: float, lift: float = 0.0) -> tuple[kit.Point, kit.Point]:
    """Place and rotation of something flat on a roof slope: `up` m from the eaves, `along` the attic, `lift` off it."""
    inwards = (-side * math.sin(PITCH) * lift, math.cos(PITCH) * -lift)
    at = (side * (EAVES - up * math.cos(PITCH)) + inwards[0], along, up * math.sin(PITCH) + inwards[1])
    return at, (0, -side * (math.pi - PITCH), 0)


def _slopes() -> None:
    length = math.hypot(RIDGE, EAVES)
    left = kit.photo("wood_light.png", 0.7, (0.8, 0.75, 0.68), turn=math.pi / 2)
    right = kit.photo("brick1.png", 0.55, (1.9, 1.6, 1.4), bump=0.3)
    for side, wall in ((-1, left), (1, right)):
        at, rotation = on_slope(side, length / 2, 2.4)
        kit.plane(at, (length, 5.4), wall, rotation)
        for along in RAFTERS:
            at, rotation = on_slope(side, length / 2, along, 0.06)
            kit.box(at, (length, 0.13, 0.12), kit.photo("wood3.png", 0.8, brightness=2.2), rotation)
    kit.box((0, 2.4, RIDGE - 0.12), (0.16, 5.4, 0.2), kit.photo("wood3.png", 0.8, brightness=2.0))


def _gable() -> None:
    kit.plane((0, END, 1.5), (4.6, 3.2), kit.photo("plaster1.png", 0.5, (0.62, 0.75, 0.78)), (math.pi / 2, 0, 0))
    frame = kit.photo("wood_light.png", 1.5, brightness=0.9)
    kit.box((0, END - 0.03, 1.5), (1.1, 0.06, 1.2), frame)
    sky = kit.pattern("noise", ((0.12, 0.2, 0.36), (0.2, 0.3, 0.44), (0.5, 0.52, 0.52)), 2.5, grain=0)
    for x in (-0.26, 0.26):
        for z in (1.23, 1.77):
            kit.box((x, END - 0.06, z), (0.44, 0.04, 0.46), sky, bevel_m=0)


def _picture(side: int, up: float, along: float, size: float, picture: str) -> None:
    """A framed square picture hung on a slope."""
    at, rotation = on_slope(side, up, along, 0.02)
    kit.box(at, (size + 0.1, size + 0.1, 0.04), kit.photo("light_wood.png", 2, brightness=0.8), rotation)
    at, (_, tilt, _) = on_slope(side, up, along, 0.05)
    hung = kit.plane((0, 0, 0), (size, size), kit.photo(picture, space="UV"), (0, 0, -side * math.pi / 2))
    hung.rotation_euler = (0, 0, 0)
    root = kit.group([hung], at)
    hung.rotation_euler = (0, 0, side * math.pi / 2)
    root.rotation_euler = (0, tilt + math.pi, 0)


def _leaning() -> None:
    """Canvases, boards and a ladder that lean on the slopes and the gable."""
    _picture(-1, 1.55, 1.4, 0.6, "chelsea.png")
    _picture(-1, 1.5, 2.4, 0.62, "coffee.png")
    _picture(-1, 1.6, 3.4, 0.6, "astronaut.png")
    _picture(1, 1.7, 2.4, 0.66, "rocket.jpg")
    _picture(1, 1.6, 3.4, 0.6, "coins.png")
    for n, texture in enumerate(("white_marble_tile.png", "granite.png", "wood1.png", "fabricPlain.png")):
        board = kit.box((0, 0, 0.45), (0.7 - 0.06 * n, 0.03, 0.9), kit.photo(texture, 1.2))
        tilted = kit.group([board], (-0.55 + 0.16 * n, END - 0.75 - 0.1 * n, 0.02), 0.35)
        tilted.rotation_euler = (-0.42 + 0.03 * n, 0, 0.4)
    pine = kit.photo("light_wood_v2.png", 1.5, brightness=0.85)
    rungs = [kit.tube([(-0.2, 0, 0.3 * k), (0.2, 0, 0.3 * k)], 0.018, pine) for k in range(1, 8)]
    rails = [kit.box((x, 0, 1.2), (0.04, 0.06, 2.4), pine) for x in (-0.21, 0.21)]
    ladder = kit.group(rungs + rails, (0.75, 2.95, 0.02))
    ladder.rotation_euler = (-0.1, 0.42, -0.5)


def _drawing_board(at: kit.Point, turn: float) -> None:
    """A tilted table with prints, pencils and a mug that would slide off if they were not pinned."""
    pine, tilt = kit.photo("light_wood_v2.png", 1.2, brightness=0.75), 0.38
    parts = [kit.box((0, 0, 0), (0.95, 0.62, 0.03), pine)]
    for x, y, turned, size, picture in ((-0.24, 0.02, 0.1, 0.36, "page.png"), (0.2, 0.06, -0.15, 0.34, "gravel.png")):
        parts.append(kit.plane((x, y, 0.019), (size, size), kit.photo(picture, space="UV"), (0, 0, turned)))
    parts.append(kit.plane((0.02, -0.12, 0.022), (0.26, 0.26), kit.photo("coffee.png", space="UV"), (0, 0, 0.5)))
    for n, hue in enumerate((0.0, 0.1, 0.35, 0.6)):
        y = -0.27 + 0.018 * n
        parts.append(kit.tube([(0.18, y, 0.026), (0.38, y + 0.02, 0.026)], 0.007, kit.plain(kit.hsv(hue, 0.85, 0.5))))
    board = kit.group(parts, (at[0], at[1], 0.74), turn)
    board.rotation_euler = (tilt, 0, turn)
    legs = [kit.box((x, y, 0.34), (0.05, 0.05, 0.68), pine) for x in (-0.36, 0.36) for y in (-0.1, 0.12)]
    kit.group(legs, at, turn)


def _things(rng: random.Random) -> None:
    """What stands on the floor: boards, pots, balls, books."""
    _drawing_board((-0.62, 1.75, 0), 0.3)
    clay = kit.pattern("noise", ((0.4, 0.14, 0.07), (0.62, 0.3, 0.18)), 9)
    profile = ((0.1, 0), (0.16, 0.02), (0.21, 0.16), (0.17, 0.32), (0.09, 0.4), (0.12, 0.46), (0.1, 0.46))
    for x, y, size, glaze in (
        (0.7, 2.1, 1.0, clay),
        (1.05, 2.45, 0.7, kit.photo("marble.png", 3)),
        (-1.3, 3.2, 1.1, clay),
    ):
        kit.lathe((x, y, 0), [(size * r, size * z) for r, z in profile], glaze)
    for x, y, radius, colours in (
        (0.2, 2.25, 0.15, ((0.6, 0.08, 0.05), (0.85, 0.75, 0.6))),
        (0.5, 3.2, 0.2, ((0.05, 0.2, 0.5), (0.8, 0.7, 0.2))),
        (-0.3, 3.3, 0.13, ((0.1, 0.35, 0.15), (0.7, 0.7, 0.55))),
    ):
        kit.sphere((x, y, radius), radius, kit.pattern("checker", colours, 2 / radius, grain_scale=60))
    for n in range(6):
        cover = kit.photo("fabricPlain.png", 3, kit.hsv(rng.random(), 0.7, 0.7))
        kit.box((1.0, 1.72, 0.03 + 0.055 * n), (0.34, 0.25, 0.05), cover, (0, 0, rng.uniform(-0.3, 0.3)))
    kit.monkey(
        (1.0, 1.72, 0.5), 0.3, kit.pattern("marble", ((0.25, 0.1, 0.03), (0.6, 0.35, 0.15)), 12), (-0.5, 0, -0.4)
    )
