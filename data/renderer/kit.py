"""What the five scenes are built from: materials, shapes, lights, camera. Runs inside Blender's Python (bpy)."""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Sequence
from pathlib import Path

import bpy
from mathutils import Vector

Point = Sequence[float]
Colour = tuple[float, float, float]  # linear RGB in [0, 1]

TEXTURES: dict[str, Path] = {}  # file name -> path; filled by render.py from the wheels it fetched


def seeded(scene: str) -> random.Random:
    """The scene's own random numbers: nothing else may draw from them, so that a scene is the same every time."""
    return random.Random(f"dpcip {scene}")


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour from hue, saturation, value, each in [0, 1]."""
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def reset() -> None:
    """An empty world."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


# ---------- materials ----------


def _material(name: str, roughness: float, metallic: float) -> tuple[bpy.types.Material, bpy.types.NodeTree]:
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    surface = material.node_tree.nodes["Principled BSDF"]
    surface.inputs["Roughness"].default_value = roughness
    surface.inputs["Metallic"].default_value = metallic
    return material, material.node_tree


def _coordinates(tree: bpy.types.NodeTree, scale: float, turn: float, space: str, shift: Point) -> bpy.types.NodeSocket:
    source, mapping = tree.nodes.new("ShaderNodeTexCoord"), tree.nodes.new("ShaderNodeMapping")
    mapping.inputs["Scale"].default_value = (scale, scale, scale)
    mapping.inputs["Rotation"].default_value = (0, 0, turn)
    mapping.inputs["Location"].default_value = tuple(shift)
    tree.links.new(source.outputs[space], mapping.inputs["Vector"])
    return mapping.outputs[0]


def _bumped(tree: bpy.types.NodeTree, height: bpy.types.NodeSocket, strength: float, distance_m: float) -> None:
    bump = tree.nodes.new("ShaderNodeBump")
    bump.inputs["Strength"].default_value = strength
    bump.inputs["Distance"].default_value = distance_m
    tree.links.new(height, bump.inputs["Height"])
    tree.links.new(bump.outputs[0], tree.nodes["Principled BSDF"].inputs["Normal"])


def photo(
    texture: str,
    per_metre: float = 1.0,  # repeats of the picture a metre
    tint: Colour | None = None,  # multiplies the picture
    brightness: float = 1.0,
    turn: float = 0.0,  # rad, about the object's z axis
    shift: Point = (0, 0, 0),
    roughness: float = 0.6,
    bump: float = 0.0,
    space: str = "Object",  # "UV" fits the picture once to each face of a box or to a plane
) -> bpy.types.Material:
    """A picture on a surface, projected from the three axes of the object so that no side is stretched."""
    material, tree = _material(texture, roughness, 0)
    image = tree.nodes.new("ShaderNodeTexImage")
    image.image = bpy.data.images.load(str(TEXTURES[texture]), check_existing=True)
    if space == "Object":
        image.projection, image.projection_blend = "BOX", 0.2
    tree.links.new(_coordinates(tree, per_metre, turn, space, shift), image.inputs["Vector"])
    toned = tree.nodes.new("ShaderNodeMix")
    toned.data_type, toned.blend_type = "RGBA", "MULTIPLY"
    toned.inputs["Factor"].default_value = 1
    toned.inputs[7].default_value = (*(brightness * c for c in tint or (1, 1, 1)), 1)
    tree.links.new(image.outputs["Color"], toned.inputs[6])
    tree.links.new(toned.outputs[2], tree.nodes["Principled BSDF"].inputs["Base Color"])
    if bump:
        _bumped(tree, image.outputs["Color"], bump, 0.01)
    return material


def pattern(
    kind: str,  # noise | marble | voronoi | cells | wave | rings | checker | brick
    colours: Sequence[Colour],  # two to four, from the pattern's low values to its high ones
    scale: float = 8.0,  # features a metre, roughly
    roughness: float = 0.6,
    metallic: float = 0.0,
    grain: float = 0.35,  # strength of the fine speckle that every surface seen close up has
    grain_scale: float = 120.0,  # speckles a metre
    bump: float = 0.0,
    turn: float = 0.0,  # rad
    shift: Point = (0, 0, 0),
    space: str = "Object",  # "Generated" runs from 0 to 1 over the object, "UV" over each face
) -> bpy.types.Material:
    """A procedural texture in the given colours."""
    material, tree = _material(kind, roughness, metallic)
    where = _coordinates(tree, scale, turn, space, shift)
    value = _PATTERNS[kind](tree, where)
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    stops = ramp.color_ramp.elements
    low, high = _RAMP_RANGE.get(kind, (0.0, 1.0))
    while len(stops) < len(colours):
        stops.new(0.5)
    for n, colour in enumerate(colours):
        stops[n].position = low + (high - low) * n / (len(colours) - 1)
        stops[n].color = (*colour, 1)
    tree.links.new(value, ramp.inputs["Fac"])
    _grained(tree, ramp.outputs["Color"], grain, grain_scale)
    if bump:
        _bumped(tree, value, bump, 0.02)
    return material


def plain(colour: Colour, roughness: float = 0.6, metallic: float = 0.0) -> bpy.types.Material:
    """One colour, no texture."""
    material, tree = _material("plain", roughness, metallic)
    tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*colour, 1)
    return material


def glowing(colour: Colour, strength: float = 2.0) -> bpy.types.Material:
    """A surface that gives light, such as a lit window or a screen."""
    material, tree = _material("glowing", 0.5, 0)
    surface = tree.nodes["Principled BSDF"]
    surface.inputs["Emission Color"].default_value = (*colour, 1)
    surface.inputs["Emission Strength"].default_value = strength
    return material


def _grained(tree: bpy.types.NodeTree, colour: bpy.types.NodeSocket, strength: float, scale: float) -> None:
    surface = tree.nodes["Principled BSDF"].inputs["Base Color"]
    if not strength:
        tree.links.new(colour, surface)
        return
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value, noise.inputs["Detail"].default_value = scale, 4
    source = tree.nodes.new("ShaderNodeTexCoord")
    tree.links.new(source.outputs["Object"], noise.inputs["Vector"])
    mixed = tree.nodes.new("ShaderNodeMix")
    mixed.data_type, mixed.blend_type = "RGBA", "OVERLAY"
    mixed.inputs["Factor"].default_value = strength
    tree.links.new(colour, mixed.inputs[6])
    tree.links.new(noise.outputs["Fac"], mixed.inputs[7])
    tree.links.new(mixed.outputs[2], surface)


def _noise(tree: bpy.types.NodeTree, where: bpy.types.NodeSocket, distortion: float = 0.0) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeTexNoise")
    node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = 1, 8
    node.inputs["Roughness"].default_value, node.inputs["Distortion"].default_value = 0.65, distortion
    tree.links.new(where, node.inputs["Vector"])
    return node.outputs["Fac"]


def _voronoi(tree: bpy.types.NodeTree, where: bpy.types.NodeSocket, output: str) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeTexVoronoi")
    node.inputs["Scale"].default_value = 1
    tree.links.new(where, node.inputs["Vector"])
    return node.outputs[output]


def _wave(tree: bpy.types.NodeTree, where: bpy.types.NodeSocket, kind: str, distortion: float) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeTexWave")
    node.wave_type = kind
    node.inputs["Scale"].default_value, node.inputs["Detail"].default_value = 1, 3
    node.inputs["Distortion"].default_value = distortion
    tree.links.new(where, node.inputs["Vector"])
    return node.outputs["Fac"]


def _checker(tree: bpy.types.NodeTree, where: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeTexChecker")
    node.inputs["Scale"].default_value = 1
    tree.links.new(where, node.inputs["Vector"])
    return node.outputs["Fac"]


def _brick(tree: bpy.types.NodeTree, where: bpy.types.NodeSocket) -> bpy.types.NodeSocket:
    node = tree.nodes.new("ShaderNodeTexBrick")
    node.inputs["Scale"].default_value = 1
    for name, level in (("Color1", 0.75), ("Color2", 1.0), ("Mortar", 0.0)):
        node.inputs[name].default_value = (level, level, level, 1)
    tree.links.new(where, node.inputs["Vector"])
    return node.outputs["Color"]


_PATTERNS = {
    "noise": _noise,
    "marble": lambda tree, where: _noise(tree, where, 2.5),
    "voronoi": lambda tree, where: _voronoi(tree, where, "Distance"),
    "cells": lambda tree, where: _voronoi(tree, where, "Color"),
    "wave": lambda tree, where: _wave(tree, where, "BANDS", 2.0),
    "rings": lambda tree, where: _wave(tree, where, "RINGS", 3.0),
    "checker": _checker,
    "brick": _brick,
}
_RAMP_RANGE = {"noise": (0.35, 0.65), "marble": (0.3, 0.7), "voronoi": (0.1, 0.7)}


# ---------- shapes: each returns its object, standing where it was told ----------


def _dressed(made: bpy.types.Object, material: bpy.types.Material, smooth: bool = False) -> bpy.types.Object:
    made.data.materials.clear()
    made.data.materials.append(material)
    if smooth:
        made.data.shade_smooth()
    return made


def _linked(name: str, data: bpy.types.ID) -> bpy.types.Object:
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


def plane(centre: Point, size: tuple[float, float], material, rotation: Point = (0, 0, 0)) -> bpy.types.Object:
    """A rectangle of width and height (m), facing up until rotated (rad about x, y, z)."""
    bpy.ops.mesh.primitive_plane_add(size=1, location=centre, rotation=rotation)
    made = bpy.context.object
    made.scale = (*size, 1)
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    return _dressed(made, material)


def box(centre: Point, size: Point, material, rotation: Point = (0, 0, 0), bevel_m: float = 0.004) -> bpy.types.Object:
    """A box with slightly rounded edges."""
    bpy.ops.mesh.primitive_cube_add(size=1, location=centre, rotation=rotation)
    made = bpy.context.object
    made.scale = size
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    if bevel_m:
        bevel = made.modifiers.new("bevel", "BEVEL")
        bevel.width, bevel.segments = bevel_m, 2
    return _dressed(made, material)


def sphere(centre: Point, radius: float | Point, material, rotation: Point = (0, 0, 0)) -> bpy.types.Object:
    """A sphere, or an ellipsoid if three radii are given."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=32, radius=1, location=centre, rotation=rotation)
    made = bpy.context.object
    made.scale = (radius,) * 3 if isinstance(radius, int | float) else radius
    bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
    return _dressed(made, material, smooth=True)


def cylinder(base: Point, radius: float, height: float, material, top_radius: float | None = None):
    """An upright cylinder, or a cone cut off at `top_radius`, standing on `base`."""
    bpy.ops.mesh.primitive_cone_add(
        vertices=48,
        radius1=radius,
        radius2=radius if top_radius is None else top_radius,
        depth=height,
        location=(base[0], base[1], base[2] + height / 2),
    )
    made = bpy.context.object
    made.data.shade_smooth()
    made.data.set_sharp_from_angle(angle=0.7)
    return _dressed(made, material)


def torus(centre: Point, radius: float, thickness: float, material, rotation: Point = (0, 0, 0)) -> bpy.types.Object:
    """A ring of tube radius `thickness`."""
    bpy.ops.mesh.primitive_torus_add(
        major_radius=radius,
        minor_radius=thickness,
        major_segments=64,
        minor_segments=24,
        location=centre,
        rotation=rotation,
    )
    return _dressed(bpy.context.object, material, smooth=True)


def monkey(centre: Point, size: float, material, rotation: Point = (0, 0, 0)) -> bpy.types.Object:
    """Blender's Suzanne, subdivided."""
    bpy.ops.mesh.primitive_monkey_add(size=size, location=centre, rotation=rotation)
    made = bpy.context.object
    made.modifiers.new("smooth", "SUBSURF").render_levels = 2
    return _dressed(made, material, smooth=True)


def rock(centre: Point, radius: float, material, rng: random.Random, roughness: float = 0.3) -> bpy.types.Object:
    """A lump: a sphere pushed in and out by noise."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=5, radius=radius, location=centre)
    made = bpy.context.object
    made.rotation_euler = [rng.uniform(0, 6.28) for _ in range(3)]
    clouds = bpy.data.textures.new("clouds", "CLOUDS")
    clouds.noise_scale = radius * 0.7
    displace = made.modifiers.new("displace", "DISPLACE")
    displace.texture, displace.strength = clouds, radius * roughness
    return _dressed(made, material, smooth=True)


def lathe(base: Point, profile: Sequence[tuple[float, float]], material, segments: int = 64) -> bpy.types.Object:
    """A turned shape, such as a vase: `profile` lists (radius, height above `base`) from bottom to top."""
    vertices = [
        (radius * math.cos(math.tau * k / segments), radius * math.sin(math.tau * k / segments), z)
        for radius, z in profile
        for k in range(segments)
    ]
    faces = [
        (
            i * segments + k,
            i * segments + (k + 1) % segments,
            (i + 1) * segments + (k + 1) % segments,
            (i + 1) * segments + k,
        )
        for i in range(len(profile) - 1)
        for k in range(segments)
    ]
    faces.append(tuple(range(segments - 1, -1, -1)))
    mesh = bpy.data.meshes.new("lathe")
    mesh.from_pydata(vertices, [], faces)
    made = _linked("lathe", mesh)
    made.location = base
    made.modifiers.new("smooth", "SUBSURF").render_levels = 2
    return _dressed(made, material, smooth=True)


def tube(points: Sequence[Point], radius: float, material, radii: Sequence[float] | None = None, closed: bool = False):
    """A wire, cable, stem or rail through `points`, smooth; `radii` scales the radius at each point."""
    curve = bpy.data.curves.new("tube", "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution, curve.resolution_u = "3D", radius, 4, 8
    curve.use_fill_caps = True
    spline = curve.splines.new("BEZIER")
    spline.bezier_points.add(len(points) - 1)
    spline.use_cyclic_u = closed
    for n, (place, target) in enumerate(zip(points, spline.bezier_points, strict=True)):
        target.co = place
        target.handle_left_type = target.handle_right_type = "AUTO"
        target.radius = 1 if radii is None else radii[n]
    made = _linked("tube", curve)
    curve.materials.append(material)
    return made


def leaf(base: Point, tip: Point, width: float, material, sag: float = 0.2, facing: Point = (0, 0, 1)):
    """A leaf or a blade of grass from `base` to `tip`, bent down by `sag` of its length in the middle."""
    start, end = Vector(base), Vector(tip)
    along = end - start
    side = along.cross(Vector(facing)).normalized()
    vertices, faces, steps = [], [], 8
    for n in range(steps + 1):
        t = n / steps
        spine = start + along * t + Vector(facing) * (sag * along.length * 4 * t * (1 - t))
        half = side * (width / 2 * math.sin(math.pi * min(1, 0.08 + 0.92 * t)) ** 0.8)
        fold = Vector(facing) * (0.25 * half.length)
        vertices += [spine - half + fold, spine, spine + half + fold]
        if n:
            a = 3 * (n - 1)
            faces += [(a, a + 1, a + 4, a + 3), (a + 1, a + 2, a + 5, a + 4)]
    mesh = bpy.data.meshes.new("leaf")
    mesh.from_pydata(vertices, [], faces)
    return _dressed(_linked("leaf", mesh), material, smooth=True)


def body(joints: Sequence[Point], bones: Sequence[tuple[int, int]], radii: Sequence[float], material):
    """A rounded body around a skeleton (Blender's skin modifier): limbs meet without seams."""
    mesh = bpy.data.meshes.new("body")
    mesh.from_pydata(joints, bones, [])
    made = _linked("body", mesh)
    skin = made.modifiers.new("skin", "SKIN")
    skin.use_smooth_shade = True
    made.modifiers.new("smooth", "SUBSURF").render_levels = 2
    bpy.context.view_layer.objects.active = made
    for vertex, radius in zip(mesh.skin_vertices[0].data, radii, strict=True):
        vertex.radius = (radius, radius)
    mesh.skin_vertices[0].data[0].use_root = True
    return _dressed(made, material)


def group(parts: Sequence[bpy.types.Object], at: Point, turn: float = 0.0, scale: float = 1.0) -> bpy.types.Object:
    """Moves parts that were built around the origin to `at`, turned about the vertical (rad) and scaled."""
    root = _linked("group", None)
    for part in parts:
        part.parent = root
    root.location, root.rotation_euler, root.scale = at, (0, 0, turn), (scale,) * 3
    return root


# ---------- light and camera ----------


def _aimed(made: bpy.types.Object, at: Point, target: Point) -> bpy.types.Object:
    made.location = at
    made.rotation_euler = (Vector(target) - Vector(at)).to_track_quat("-Z", "Y").to_euler()
    return made


def lamp(at: Point, target: Point, watts: float, size: float = 0.5, colour: Colour = (1, 0.93, 0.82)):
    """A square area light of side `size` (m)."""
    light = bpy.data.lights.new("lamp", "AREA")
    light.energy, light.size, light.color = watts, size, colour
    return _aimed(_linked("lamp", light), at, target)


def sun(direction: Point, strength: float, softness: float = 0.05, colour: Colour = (1, 0.95, 0.86)):
    """Sunlight that falls along `direction`; `softness` is its apparent size (rad)."""
    light = bpy.data.lights.new("sun", "SUN")
    light.energy, light.angle, light.color = strength, softness, colour
    return _aimed(_linked("sun", light), (0, 0, 0), direction)


def sky(name: str, strength: float = 1.0, turn: float = 0.0) -> None:
    """Light from one of Blender's CC0 panoramas: city, courtyard, forest, interior, night, studio, sunrise, sunset."""
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    background = tree.nodes["Background"]
    background.inputs["Strength"].default_value = strength
    panorama = tree.nodes.new("ShaderNodeTexEnvironment")
    folder = Path(bpy.utils.system_resource("DATAFILES")) / "studiolights" / "world"
    panorama.image = bpy.data.images.load(str(folder / f"{name}.exr"))
    tree.links.new(_coordinates(tree, 1, turn, "Generated", (0, 0, 0)), panorama.inputs["Vector"])
    tree.links.new(panorama.outputs["Color"], background.inputs["Color"])


def camera(at: Point, target: Point, lens_mm: float = 32.0) -> bpy.types.Object:
    """The scene's camera, 36 mm wide, without depth of field; moves it if there is one."""
    made = bpy.context.scene.camera
    if made is None:
        made = _linked("camera", bpy.data.cameras.new("camera"))
        bpy.context.scene.camera = made
    made.data.lens, made.data.clip_start, made.data.clip_end = lens_mm, 0.01, 500
    made.data.dof.use_dof = False
    return _aimed(made, at, target)
