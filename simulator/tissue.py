"""Paints the layers of tissue: colour from the tiles, form from light on a relief, wet highlights.

Belongs here: which layer is foremost at each pixel, shading. Does not belong here: what lies where (`anatomy`),
instruments, effects of the camera (`effects`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from simulator.anatomy import Layer
from simulator.cast import Hospital
from simulator.textures import TILE_PX, TILE_UNITS
from simulator.view import SUBPIXEL_BITS, Camera, Field, Labels, Picture, Points, bytes_of, fixed_point, floats_of

COARSE = 2
"""Light is computed on every second pixel in each direction: relief is smooth."""
FINEST_HEIGHT = 576
"""Tissue of larger pictures is painted at this height and enlarged."""
LIGHT_HEIGHT = 1.5
"""Distance of optics and light from the scene, in half picture heights."""
AMBIENT, DIFFUSE, SHINE, SHARPNESS = 0.24, 0.94, 480.0, 96
DULL = 0.38
"""Share of the strongest highlight below which a wet surface shows none: highlights are small, sharp and white."""
UNIT_SHADE = 128
"""Full light in bytes; twice as much is the most a surface gets."""
RELIEF_UNITS = 0.035
"""Height of the tiles' own relief, in scene units."""


def paint(
    layers: list[Layer],
    tiles: dict[str, NDArray[np.uint8]],
    camera: Camera,
    hospital: Hospital,
    shadows: list[Points],
    size: tuple[int, int],
) -> Picture:
    """The picture [h,w,3] of the tissue, for `size` = (width, height).

    `shadows` are outlines in pixels of what stands between light and tissue.
    """
    share = min(1.0, FINEST_HEIGHT / size[1])
    if share < 1.0:
        small = (round(size[0] * share), round(size[1] * share))
        nearer = replace(
            camera, scale=camera.scale * share, centre_px=(share * camera.centre_px[0], share * camera.centre_px[1])
        )
        enlarged = paint(layers, tiles, nearer, hospital, [share * shadow for shadow in shadows], small)
        return bytes_of(cv2.resize(enlarged, size))
    outlines = [camera.to_px(layer.outline) for layer in layers]
    surface = _surface(layers, outlines, tiles, camera, size)
    shade, shine = _light(layers, outlines, surface[..., 3], camera, hospital, shadows)
    colour = cv2.multiply(surface[..., :3], cv2.merge([shade] * 3), scale=1 / UNIT_SHADE)
    return bytes_of(cv2.add(colour, cv2.merge([shine] * 3)))


def drawn(layers: list[Layer], values: list[int], camera: Camera, size: tuple[int, int]) -> Labels:
    """The value of the foremost layer at each pixel [h,w], one value a layer; 0 where there is none."""
    foremost = np.zeros((size[1], size[0]), np.uint8)
    for layer, value in zip(layers, values, strict=True):
        cv2.fillPoly(foremost, [fixed_point(camera.to_px(layer.outline))], value, cv2.LINE_8, SUBPIXEL_BITS)
    return foremost


def _bounds(outline: Points, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The box (x, y, width, height) around an outline in pixels, a pixel wider, as far as it is in the picture.

    Width or height are not above 0 for one that is not.
    """
    left, top = np.maximum(np.floor(outline.min(axis=0)).astype(int) - 1, 0).tolist()
    right, bottom = np.minimum(np.ceil(outline.max(axis=0)).astype(int) + 2, size).tolist()
    return left, top, right - left, bottom - top


def _surface(
    layers: list[Layer],
    outlines: list[Points],
    tiles: dict[str, NDArray[np.uint8]],
    camera: Camera,
    size: tuple[int, int],
) -> NDArray[np.uint8]:
    """Colour and relief [h,w,4] of the foremost layer at each pixel, one warp for what moves as one."""
    surface = np.zeros((size[1], size[0], 4), np.uint8)
    units_per_texel = TILE_UNITS / TILE_PX
    alike: dict[tuple[str, tuple[float, float]], int] = {}
    numbers = [alike.setdefault((layer.material, layer.moved), len(alike) + 1) for layer in layers]
    foremost = drawn(layers, numbers, camera, size)
    for (material, moved), number in alike.items():
        together = [outline for outline, own in zip(outlines, numbers, strict=True) if own == number]
        x, y, w, h = _bounds(np.concatenate(together), size)
        if w <= 0 or h <= 0:
            continue
        mask = cv2.inRange(foremost[y : y + h, x : x + w], number, number)
        right, down, w, h = cv2.boundingRect(mask)
        if w == 0:
            continue
        x, y, mask = x + right, y + down, mask[down : down + h, right : right + w]
        texel_to_px = camera.matrix()
        texel_to_px[:, 2] += texel_to_px[:, :2] @ (np.array(moved) - (TILE_UNITS / 2, TILE_UNITS / 2)) - (x, y)
        texel_to_px[:, :2] *= units_per_texel
        warped = cv2.warpAffine(tiles[material], texel_to_px, (w, h), None, cv2.INTER_LINEAR, cv2.BORDER_REFLECT)
        cv2.copyTo(warped, mask, surface[y : y + h, x : x + w])
    return surface


def _light(
    layers: list[Layer],
    outlines: list[Points],
    relief: Labels,
    camera: Camera,
    hospital: Hospital,
    shadows: list[Points],
) -> tuple[Labels, Labels]:
    """Diffuse light (`UNIT_SHADE` leaves the colour as it is) and highlights (grey levels to add), both [h,w]."""
    height, width = relief.shape
    small = (-(-width // COARSE), -(-height // COARSE))
    form, brightness, gloss = _form(layers, outlines, camera, small)
    grain = cv2.resize(relief, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    form += grain * (RELIEF_UNITS / 255.0)
    per_unit = camera.scale / COARSE
    slope_x = cv2.Sobel(form, cv2.CV_32F, 1, 0, ksize=3, scale=per_unit / 8)
    slope_y = cv2.Sobel(form, cv2.CV_32F, 0, 1, ksize=3, scale=per_unit / 8)
    steepness = 1.0 / np.sqrt(1.0 + slope_x * slope_x + slope_y * slope_y)
    light, halfway, falloff = _headlight(hospital, small)
    diffuse = np.maximum((light[2] - slope_x * light[0] - slope_y * light[1]) * steepness, 0.0)
    mirrored = np.clip((halfway[2] - slope_x * halfway[0] - slope_y * halfway[1]) * steepness, 0.0, 1.0)
    occlusion = _occlusion(outlines, shadows, small)
    shade = (AMBIENT + DIFFUSE * diffuse) * falloff * brightness * occlusion
    shine = cv2.pow(mirrored, SHARPNESS) * gloss * occlusion * SHINE
    shine = np.clip(shine - DULL * SHINE, 0, 255).astype(np.uint8)
    shade = np.clip(shade * UNIT_SHADE, 0, 255).astype(np.uint8)
    full = (width, height)
    return bytes_of(cv2.resize(shade, full)), bytes_of(cv2.resize(shine, full))


def _form(
    layers: list[Layer], outlines: list[Points], camera: Camera, small: tuple[int, int]
) -> tuple[Field, Field, Field]:
    """Height in scene units, brightness and gloss [h,w] at the coarse size: each layer a dome on what it covers."""
    form, brightness, gloss = (np.zeros((small[1], small[0]), np.float32) for _ in range(3))
    for layer, outline in zip(layers, outlines, strict=True):
        corners = fixed_point(outline / COARSE)
        cv2.fillPoly(brightness, [corners], layer.brightness, cv2.LINE_8, SUBPIXEL_BITS)
        cv2.fillPoly(gloss, [corners], layer.gloss, cv2.LINE_8, SUBPIXEL_BITS)
        if layer.bulge == 0.0:
            continue
        x, y, w, h = _bounds(outline / COARSE, small)
        if w <= 0 or h <= 0:
            continue
        cut = (slice(y, y + h), slice(x, x + w))
        own = np.zeros((h, w), np.uint8)
        cv2.fillPoly(own, [corners - (x << SUBPIXEL_BITS, y << SUBPIXEL_BITS)], 1, cv2.LINE_8, SUBPIXEL_BITS)
        inward = cv2.distanceTransform(cv2.copyMakeBorder(own, 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 3)
        inward = inward[1:-1, 1:-1] * (COARSE / (camera.scale * layer.rounding))
        rim = 1.0 - np.minimum(inward, 1.0)
        below = cv2.mean(form[cut], own)[0]
        dome = below + (1.0 - rim * rim) * layer.bulge
        cv2.copyTo(dome.astype(np.float32), own, form[cut])
    return floats_of(cv2.GaussianBlur(form, (0, 0), 2.0)), floats_of(cv2.GaussianBlur(brightness, (0, 0), 2.0)), gloss


@lru_cache(maxsize=16)
def _headlight(hospital: Hospital, small: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32], Field]:
    """Unit vectors to the light and halfway to the eye, both [3,h,w], and the falloff [h,w] towards the rim."""
    width, height = small
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x - width / 2) / (height / 2), (y - height / 2) / (height / 2)

    def towards(px: float, py: float) -> NDArray[np.float32]:
        vector = np.stack([px - x, py - y, np.full_like(x, LIGHT_HEIGHT)])
        unit: NDArray[np.float32] = (vector / np.linalg.norm(vector, axis=0)).astype(np.float32)
        return unit

    light, eye = towards(*hospital.light_tilt), towards(0.0, 0.0)
    halfway = light + eye
    falloff = 1.25 - 0.42 * np.minimum(x * x + y * y, 1.6)
    return light, halfway / np.linalg.norm(halfway, axis=0), falloff.astype(np.float32)


def _occlusion(outlines: list[Points], shadows: list[Points], small: tuple[int, int]) -> Field:
    """Darkness in the creases between layers and under instruments, a factor [h,w]."""
    dark = np.full((small[1], small[0]), 255, np.uint8)
    creases = [fixed_point(outline / COARSE) for outline in outlines[1:]]
    cv2.polylines(dark, creases, True, 150, max(1, small[1] // 100), cv2.LINE_8, SUBPIXEL_BITS)
    for shadow in shadows:
        cv2.fillPoly(dark, [fixed_point(shadow / COARSE)], 95, cv2.LINE_8, SUBPIXEL_BITS)
    soft: Field = cv2.GaussianBlur(dark, (0, 0), small[1] / 70).astype(np.float32) / 255.0
    return soft
