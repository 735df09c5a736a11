"""A tilted plane and a sphere: depth known in closed form, for tests/test_rendered.py."""

import math

import bpy
import kit

MODEL_SCALE = 0.5
EXPOSURE = 1.0


def camera(t: float) -> None:
    """Looks along y, slightly down, from the origin."""
    kit.camera((0.05, -0.02 + 0.1 * t, 0.3), (0, 2, 0.1), 32)


def build() -> None:
    """The plane z = 0.35 y - 0.6 and a sphere of radius 0.35 m about (0.2, 1.6, 0.25)."""
    kit.sky("studio", 0.8)
    kit.plane(
        (0, 5, 0.35 * 5 - 0.6), (40, 40), kit.pattern("checker", [(0.1,) * 3, (0.7,) * 3]), (math.atan(0.35), 0, 0)
    )
    # A mesh is no exact sphere; with this many facets it is one to a hundredth of a millimetre.
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=7, radius=0.35, location=(0.2, 1.6, 0.25))
    bpy.context.object.data.materials.append(kit.pattern("marble", [(0.5, 0.1, 0.05), (0.9, 0.7, 0.3)]))
