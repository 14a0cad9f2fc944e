"""The texture of a simulated person, painted from numbers: no photograph enters.

Skin is what melanin and blood leave of white light, with noise in three dimensions; lips, brows,
lashes, beard and the scalp lie on it. Then clothes, eyeballs, hair. All in linear light.
"""

import numpy as np
from scipy.ndimage import gaussian_filter

from depnb.simulation.head import (
    CLOTH_AT,
    EYE_AT,
    EYE_REACH,
    FLAT,
    FLAT_SIZE,
    HAIR_AT,
    HEAD_SIZE,
    TEXTURE,
    head,
    smoothstep,
)
from depnb.simulation.raster import between

EYE_CENTRE = np.array([0.308, 7.284, 1.245])        # of the mesh at rest, its left eye
LASHES = [0.012, 0.008, 0.006]
DARK_EYES = [[66, 38, 22], [40, 24, 16], [90, 60, 32]]
EYES = [[66, 38, 22], [80, 56, 34], [74, 84, 60], [76, 96, 112], [56, 80, 106]]
INSIDE = {"mouth": [0.16, 0.035, 0.03], "teeth": [0.62, 0.56, 0.46], "tongue": [0.35, 0.09, 0.08]}


def to_linear(srgb):
    """sRGB 0-1 to linear light."""
    srgb = np.asarray(srgb, float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055)**2.4)


def noise(shape, sigma, rng):
    """Smooth noise of unit variance in a picture, `sigma` texels."""
    out = gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return out / out.std()


def noise3(p, size, rng):
    """Smooth noise of about unit variance at points p (..., 3); size: of a grain, in decimetres,
    one number or one for each axis.
    """
    return 1.8 * between(p / np.broadcast_to(size, 3), rng.standard_normal((32, 32, 32)))


def blend(below, colour, share):
    """A colour laid over (h, w, 3) with a share (h, w)."""
    share = np.clip(share, 0, 1)[..., None]
    return below * (1 - share) + np.asarray(colour) * share


def spot(p, x, y, radius, front=0.4):
    """A soft round spot on both sides of the face, 0-1, before depth `front`."""
    return np.exp(-((abs(p[..., 0]) - x)**2 + (p[..., 1] - y)**2) / radius**2) * (p[..., 2] > front)


def texture(person, rng):
    """The texture of a person, (1248, 384, 3) float32, linear light.

    Parameters
    ----------
    person : people.Person
        Its gender, old, tone and hair.
    rng : numpy Generator
    """
    out, p = np.full((*TEXTURE, 3), 0.5), head().at
    skin = bare(person, rng)
    neck = np.median(skin[(p[..., 1] < 6.3) & (p[..., 2] > 0.3)], axis=0)
    skin = with_hair(skin, person, rng)
    out[:HEAD_SIZE[0], :HEAD_SIZE[1]] = skin
    for (x, y, width, height), part in ((CLOTH_AT, cloth(neck, rng)), (EYE_AT, eye(person, rng)),
                                        (HAIR_AT, strands(person, rng))):
        out[y:y + height, x:x + width] = part
    for name, colour in {**INSIDE, "frame": person.glasses["colour"]}.items():
        x, y = FLAT[name]
        out[y:y + FLAT_SIZE, x:x + FLAT_SIZE] = colour
    return out.astype(np.float32)


def bare(person, rng):
    """Skin and lips without hair, (h, w, 3)."""
    p, masks, tone = head().at, head().masks, person.tone
    y, z, shape = p[..., 1], p[..., 2], p.shape[:2]
    fine, middle, coarse = noise(shape, 0.7, rng), noise3(p, 0.07, rng), noise3(p, 0.45, rng)
    melanin = (0.08 + 2.3 * tone**1.4 + (0.02 + 0.06 * tone) * coarse
               + (0.01 + 0.02 * tone) * middle)
    melanin += 0.10 * spot(p, 0.31, 7.1, 0.12) * rng.uniform(0.3, 1.5)      # under the eyes
    melanin += 0.12 * tone * spot(p, 0.0, 6.6, 0.5)
    if rng.uniform() < 0.3:                                                 # freckles
        melanin += (0.35 * rng.uniform(0.3, 1) * np.clip(noise(shape, 1.2, rng) - 1.6, 0, 1)
                    * (spot(p, 0.3, 7.0, 0.45) + 0.2))
    rows, columns = np.ogrid[:shape[0], :shape[1]]
    for _ in range(rng.integers(0, 5)):                                     # moles
        i, j = rng.integers(200, 500), rng.integers(180, 340)
        melanin += 0.7 * np.exp(-((rows - i)**2 + (columns - j)**2) / rng.uniform(0.8, 2.5))
    blood = (0.30 + 0.16 * spot(p, 0.45, 6.95, 0.25) * rng.uniform(0.3, 1.4)
             + 0.12 * spot(p, 0, 6.98, 0.14, 1.4) + 0.02 * middle + 0.03 * coarse + 0.03 * fine
             + 0.12 * masks["ears"] + 0.2 * masks["eyelids"])
    lips = gaussian_filter(masks["lips"], 0.7)
    blood += lips * rng.uniform(0.55, 0.9) * (1 + 0.08 * middle)
    melanin += lips * (0.08 + 0.12 * tone)
    if person.gender == "female" and rng.uniform() < 0.35:                  # lipstick
        blood += lips * 0.6
    from_line = y - 7.72 - 0.07 * np.round((y - 7.72) / 0.07)               # of the forehead
    blood += (0.12 * person.old * np.exp(-from_line**2 / 0.012**2)
              * (z > 1.0) * (abs(y - 7.75) < 0.17) * (abs(p[..., 0]) < 0.4))
    # what is left of white light (Beer and Lambert)
    skin = np.array([0.86, 0.72, 0.62]) * np.exp(-melanin[..., None] * [0.75, 1.0, 1.25]
                                                 - blood[..., None] * [0.10, 0.75, 0.6])
    return skin * (1 + 0.02 * fine)[..., None]


def with_hair(skin, person, rng):
    """Beard, brows, lashes and the scalp under the hair, on the skin."""
    p, colour, male = head().at, person.hair["brow"], person.gender == "male"
    y, z, side = p[..., 1], p[..., 2], abs(p[..., 0])
    if male:
        skin = blend(skin, colour, beard(rng))
    thick = (0.036 if male else 0.026) * rng.uniform(0.8, 1.3)
    t = (side - 0.10) / 0.46                            # 0 to 1 from nose to temple
    along = np.clip(t, 0, 1)
    centre = (7.465 + rng.normal(0, 0.012) - 0.03 * along
              + 0.075 * rng.uniform(0.5, 1.2) * np.sin((0.12 + 0.60 * along) * np.pi))
    width = thick * np.clip(1.1 - 0.75 * t**2, 0.15, 1.1)
    brow = (smoothstep(1.25, 0.45, abs(y - centre) / width) * smoothstep(-0.08, 0.12, t)
            * smoothstep(1.06, 0.86, t) * (z > 0.8))
    hairs = noise3(p, [0.015, 0.03, 0.03], rng)
    skin = blend(skin, colour, brow * np.clip(0.80 + 0.12 * hairs, 0.2, 0.95))
    from_eye = np.sqrt(((p - EYE_CENTRE)**2).sum(-1))
    from_other = np.sqrt(((p - EYE_CENTRE * [-1, 1, 1])**2).sum(-1))
    rim = smoothstep(0.178 if male else 0.19, 0.158, np.minimum(from_eye, from_other)) * (z > 1.0)
    skin = blend(skin, LASHES, rim * np.where(y > 7.285, 0.95, 0.4 if male else 0.55))
    above = y - person.hairline(p)
    under = smoothstep(-0.09, 0.05, above + 0.02 * noise3(p, [0.014, 0.08, 0.014], rng))
    return blend(skin, person.hair["colour"] * 0.6, 0.92 * under * (1 - head().masks["ears"]))


def beard(rng):
    """How much of the skin stubble or a beard covers, (h, w)."""
    p = head().at
    y, z, side = p[..., 1], p[..., 2], abs(p[..., 0])
    dense = rng.choice([0.08, 0.2, 0.4, 0.75], p=[0.47, 0.28, 0.18, 0.07])
    zone = (smoothstep(6.95, 6.6, y - 0.5 * (side - 0.3) * (side > 0.3)) * (z > 0.5)
            * smoothstep(6.0, 6.2, y))
    zone = np.maximum(zone, spot(p, 0, 6.75, 0.2, 1.2))
    zone *= 1 - np.clip(1.6 * gaussian_filter(head().masks["lips"], 2.5), 0, 1)
    zone *= 1 - 0.9 * np.exp(-((side - 0.16)**2 + (y - 6.44)**2) / 0.05**2)
    speckle = noise3(p, [0.012, 0.035, 0.02] if dense > 0.5 else 0.012, rng)
    zone *= np.clip(1 + 0.5 * noise3(p, 0.2, rng) * smoothstep(1, 0.4, zone), 0, 1)
    return zone * np.clip(dense * (0.85 + 0.15 * speckle), 0, 0.96)


def cloth(skin, rng):
    """Neck and clothes, a round or a pointed neckline, (160, 384, 3)."""
    x, y = np.meshgrid(np.linspace(-2.4, 2.4, CLOTH_AT[2]), np.linspace(7.0, 4.6, CLOTH_AT[3]))
    colour = np.clip(rng.uniform(0.08, 0.8) + 0.12 * rng.standard_normal(3), 0.04, 0.9)
    deep, wide = ((0.16, 0.6), (0.42, 0.45))[rng.integers(2)]
    line = 5.62 - deep * np.exp(-(x / wide)**2) + 0.1 * abs(x)
    weave = 1 + 0.06 * noise(x.shape, 0.7, rng) + 0.06 * noise(x.shape, 12, rng)
    if rng.uniform() < 0.3:
        weave *= 1 - 0.35 * (np.sin(y * rng.uniform(25, 60)) > 0.3)
    woven = np.clip(to_linear(colour) * weave[..., None], 0.01, 0.9)
    return blend(np.broadcast_to(skin, woven.shape), woven, smoothstep(-0.02, 0.02, line - y))


def eye(person, rng):
    """An eyeball along its axis, distance from the centre being the angle, (128, 128, 3)."""
    y, x = np.mgrid[:EYE_AT[3], :EYE_AT[2]] - 63.5
    angle, turn = np.hypot(x, y) / 64 * np.rad2deg(EYE_REACH), np.arctan2(y, x)
    iris = to_linear(np.array(rng.choice(EYES if person.fair else DARK_EYES)) / 255)
    spokes = (1 + 0.25 * np.sin(turn * 23 + 2 * np.sin(turn * 7)) * np.clip(angle / 20, 0, 1)
              + 0.15 * noise(angle.shape, 1.5, rng))
    angle = angle[..., None]
    white = (np.array([0.74, 0.69, 0.65]) * (1 - 0.25 * smoothstep(35, 75, angle))
             - np.array([0, 0.12, 0.12]) * smoothstep(45, 80, angle))
    iris = iris * spokes[..., None] * (1 - 0.75 * smoothstep(18, 27, angle))
    out = iris + smoothstep(26, 31, angle) * (white - iris)
    return out * (0.02 + 0.98 * smoothstep(9, 12, angle))                   # the pupil


def strands(person, rng):
    """Hair, straight or curly, (256, 384, 3)."""
    shape, colour = (HAIR_AT[3], HAIR_AT[2]), person.hair["colour"]
    fine, coarse = ([1.2, 1.2], [4, 4]) if person.hair["curly"] else ([9, 0.7], [22, 3])
    relief = 0.30 * noise(shape, fine, rng) + 0.16 * noise(shape, coarse, rng)
    relief *= 1 - 0.5 * smoothstep(0.05, 0.3, colour.max())
    return np.clip(colour * (1 + relief)[..., None], 0.002, 0.8)
