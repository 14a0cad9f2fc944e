"""A z-buffer rasteriser, the light on a surface and the pose of a head, in numba.

World: x to the right of the picture, y up, z towards the viewer, decimetres. Sums are written out:
those of a linear-algebra library may depend on the number of threads.
"""

import numpy as np
from numba import njit

FAR = -1e9                  # depth where there is nothing


def compiled(function):
    """Compiled at its first call; it stays on disk where numba has a place to write."""
    try:
        return njit(cache=True, fastmath=True)(function)
    except RuntimeError:                                                    # no folder to write to
        return njit(fastmath=True)(function)


@compiled
def moved(shape, fields, number, weight, still, cap_from, cap_offset, follow, turn, pivot, out):
    """Where the points of a head are once its face has moved and its neck has turned.

    Parameters
    ----------
    shape : (n, 3), skin at rest
    fields : (units, n, 3)
        Displacement of the skin by each unit of expression, of which `number` (k,) have a `weight`.
    still : (m, 3)
        Points that no expression moves: long hair, glasses.
    cap_from, cap_offset : (c,), (c, 3)
        Hair that lies on the skin: on which point, how far from it.
    follow : (n + c + m,)
        How far a point goes with the head: 1 on the head, 0 on the shoulders.
    turn, pivot : (3, 3), (3,)
    out : (n + c + m, 3), written to
    """
    n, c = len(shape), len(cap_from)
    out[:n] = shape
    for j in range(len(number)):
        for i in range(n):
            for k in range(3):
                out[i, k] += weight[j] * fields[number[j], i, k]
    for i in range(c):
        for k in range(3):
            out[n + i, k] = out[cap_from[i], k] + cap_offset[i, k]
    out[n + c:] = still
    for i in range(len(out)):
        x, y, z = out[i, 0] - pivot[0], out[i, 1] - pivot[1], out[i, 2] - pivot[2]
        for k in range(3):
            turned = turn[k, 0] * x + turn[k, 1] * y + turn[k, 2] * z + pivot[k]
            out[i, k] += follow[i] * (turned - out[i, k])


@compiled
def normals(points, triangles):
    """Unit normal of the surface at each point (n, 3), the mean over its triangles."""
    out = np.zeros_like(points)
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        ux, uy, uz = (points[b, 0] - points[a, 0], points[b, 1] - points[a, 1],
                      points[b, 2] - points[a, 2])
        vx, vy, vz = (points[c, 0] - points[a, 0], points[c, 1] - points[a, 1],
                      points[c, 2] - points[a, 2])
        x, y, z = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for i in (a, b, c):
            out[i, 0] += x
            out[i, 1] += y
            out[i, 2] += z
    for i in range(len(out)):
        length = np.sqrt(out[i, 0]**2 + out[i, 1]**2 + out[i, 2]**2) + 1e-12
        for k in range(3):
            out[i, k] /= length
    return out


@compiled
def visible(screen, triangles, height, width, both_sides=False):
    """Which triangle is nearest at each pixel.

    Parameters
    ----------
    screen : (n, 3)
        x and y in pixels, y downwards; z larger is nearer.
    triangles : (m, 3) int
        Counter-clockwise as seen from outside; those turned away are not drawn.
    both_sides : bool
        Draw them too.

    Returns
    -------
    owner : (height, width) int32, -1 where there is none
    depth : (height, width) float32
    """
    owner = np.full((height, width), -1, np.int32)
    depth = np.full((height, width), np.float32(FAR))
    for t in range(len(triangles)):
        a, b, c = triangles[t]
        xa, ya, za = screen[a]
        xb, yb, zb = screen[b]
        xc, yc, zc = screen[c]
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if abs(area) < 1e-9 or (area > 0 and not both_sides):
            continue
        x0 = max(int(np.ceil(min(xa, xb, xc) - 0.5)), 0)
        x1 = min(int(np.floor(max(xa, xb, xc) - 0.5)), width - 1)
        y0 = max(int(np.ceil(min(ya, yb, yc) - 0.5)), 0)
        y1 = min(int(np.floor(max(ya, yb, yc) - 0.5)), height - 1)
        # shares of b and c (barycentric) change by so much from pixel to pixel
        bx, by = (yc - ya) / area, (xa - xc) / area
        cx, cy = (ya - yb) / area, (xb - xa) / area
        a_x = -bx - cx
        zx = bx * (zb - za) + cx * (zc - za)
        for y in range(y0, y1 + 1):
            b = bx * (0.5 - xa) + by * (y + 0.5 - ya)
            c = cx * (0.5 - xa) + cy * (y + 0.5 - ya)
            first, last = x0, x1
            for share, step in ((1 - b - c, a_x), (b, bx), (c, cx)):    # each at least 0 inside
                if step > 0:
                    first = max(first, int(np.ceil(-share / step)))
                elif step < 0:
                    last = min(last, int(np.floor(-share / step)))
                elif share < 0:
                    last = -1
            z = za + b * (zb - za) + c * (zc - za)
            for x in range(first, last + 1):
                near = np.float32(z + zx * x)
                if near > depth[y, x]:
                    depth[y, x] = near
                    owner[y, x] = t
    return owner, depth


@compiled
def paint(owner, screen, triangles, uv, shade, gloss, texture, image):
    """Paint what `visible` sees into an image of linear light, (height, width, 3) float32.

    Parameters
    ----------
    owner : (height, width) int32
    screen, triangles : as of `visible`
    uv : (m, 3, 2), texels of each corner
    shade, gloss : (n, 3), (n,)
        Light on each point, white light added.
    texture : (h, w, 3) float32, linear light
    """
    rows, columns = texture.shape[:2]
    for y in range(len(owner)):
        for x in range(owner.shape[1]):
            t = owner[y, x]
            if t < 0:
                continue
            a, b, c = triangles[t]
            xa, ya = screen[a, 0], screen[a, 1]
            ux, uy, vx, vy = screen[b, 0] - xa, screen[b, 1] - ya, screen[c, 0] - xa, screen[
                c, 1] - ya
            px, py, area = x + 0.5 - xa, y + 0.5 - ya, ux * vy - vx * uy
            wb, wc = (px * vy - vx * py) / area, (ux * py - px * uy) / area
            wa = 1 - wb - wc
            u = wa * uv[t, 0, 0] + wb * uv[t, 1, 0] + wc * uv[t, 2, 0]
            v = wa * uv[t, 0, 1] + wb * uv[t, 1, 1] + wc * uv[t, 2, 1]
            i, j = min(max(int(v), 0), rows - 2), min(max(int(u), 0), columns - 2)
            fv, fu = min(max(v - i, 0.0), 1.0), min(max(u - j, 0.0), 1.0)
            white = wa * gloss[a] + wb * gloss[b] + wc * gloss[c]
            for k in range(3):
                above = texture[i, j, k] + fu * (texture[i, j + 1, k] - texture[i, j, k])
                below = (texture[i + 1, j, k]
                         + fu * (texture[i + 1, j + 1, k] - texture[i + 1, j, k]))
                image[y, x, k] = white + (above + fv * (below - above)) * (
                    wa * shade[a, k] + wb * shade[b, k] + wc * shade[c, k])


@compiled
def light(normal, occlusion, skin, shine, key, key_colour, fill, fill_colour, sky, ground):
    """Wrapped diffuse light, ambient light from above and below, one highlight.

    Red wraps furthest round the skin, as light that is scattered under it does.

    Parameters
    ----------
    normal : (n, 3)
    occlusion, skin, shine : (n,)
        Share of the sky that is seen; whether it is skin; strength of the highlight.
    key, fill : (3,), unit vectors to the lamps; the viewer is along z
    key_colour, fill_colour, sky, ground : (3,), linear light

    Returns
    -------
    shade, gloss : (n, 3), (n,) float32
    """
    shade = np.empty((len(normal), 3), np.float32)
    gloss = np.empty(len(normal), np.float32)
    half = np.sqrt(key[0]**2 + key[1]**2 + (key[2] + 1)**2)
    for i in range(len(normal)):
        x, y, z = normal[i]
        towards = x * key[0] + y * key[1] + z * key[2]
        filled = max(x * fill[0] + y * fill[1] + z * fill[2], 0.0)
        up, seen = 0.5 + 0.5 * y, occlusion[i]
        for k in range(3):
            wrap = skin[i] * (0.32 - 0.11 * k)
            lit = max((towards + wrap) / (1 + wrap), 0.0)
            ambient = up * sky[k] + (1 - up) * ground[k]
            shade[i, k] = (seen * (ambient + filled * fill_colour[k])
                           + (0.35 + 0.65 * seen) * lit * key_colour[k])
        mirror = max((x * key[0] + y * key[1] + z * (key[2] + 1)) / half, 0.0)
        gloss[i] = shine[i] * seen * (mirror**14 * 0.6 + mirror**50 * 0.4) * key_colour[1]
    return shade, gloss


@compiled
def glint(image, owner, kind, only, x, y, radius):
    """Add a small white spot at x, y, a Gaussian of `radius` pixels, where the kind is `only`."""
    for i in range(max(int(y) - 2, 0), min(int(y) + 3, len(image))):
        for j in range(max(int(x) - 2, 0), min(int(x) + 3, image.shape[1])):
            if owner[i, j] >= 0 and kind[owner[i, j]] == only:
                away = (i + 0.5 - y)**2 + (j + 0.5 - x)**2
                for k in range(3):
                    image[i, j, k] += 0.8 * np.exp(-away / radius**2 / 2)


@compiled
def encode(image, curve):
    """Linear light to sRGB by a table, bright parts rolled off: (h, w, 3) float32 -> uint8."""
    out, top = np.empty(image.shape, np.uint8), len(curve) - 1
    for i in range(image.shape[0]):
        for j in range(image.shape[1]):
            for k in range(3):
                value = image[i, j, k] * np.float32(1.08) / (
                    np.float32(1) + np.float32(0.15) * image[i, j, k])
                out[i, j, k] = curve[int(min(max(value, np.float32(0)), np.float32(1)) * top)]
    return out


@compiled
def sky_share(points, normal, triangles, directions=96, size=160):
    """Share of the sky that each point sees, cosine weighted: shadow maps from all around.

    Parameters
    ----------
    points, normal : (n, 3)
    triangles : (m, 3)
    directions, size : int
        How many maps, of so many pixels.

    Returns
    -------
    (n,), 0-1
    """
    n = len(points)
    seen, total, screen = np.zeros(n), np.full(n, 1e-6), np.empty((n, 3))
    for k in range(directions):
        turn, up = np.pi * (1 + 5**0.5) * (k + 0.5), 1 - (2 * k + 1) / directions
        flat = np.sqrt(1 - up**2)
        dx, dy, dz = flat * np.cos(turn), up, flat * np.sin(turn)
        sx, sy, sz = dy * 0.2 - dz, dz * 0.3 - dx * 0.2, dx - dy * 0.3     # to the side
        length = np.sqrt(sx**2 + sy**2 + sz**2)
        sx, sy, sz = sx / length, sy / length, sz / length
        ux, uy, uz = dy * sz - dz * sy, dz * sx - dx * sz, dx * sy - dy * sx
        for i in range(n):
            x, y, z = points[i]
            screen[i, 0] = sx * x + sy * y + sz * z
            screen[i, 1] = ux * x + uy * y + uz * z
            screen[i, 2] = dx * x + dy * y + dz * z
        left, low = screen[:, 0].min(), screen[:, 1].min()
        scale = (size - 1) / max(screen[:, 0].max() - left, screen[:, 1].max() - low)
        screen[:, 0] = (screen[:, 0] - left) * scale
        screen[:, 1] = (screen[:, 1] - low) * scale
        _, depth = visible(screen, triangles, size, size, True)
        for i in range(n):
            cosine = normal[i, 0] * dx + normal[i, 1] * dy + normal[i, 2] * dz
            if cosine > 0:
                total[i] += cosine
                if screen[i, 2] > depth[int(screen[i, 1]), int(screen[i, 0])] - 0.06:
                    seen[i] += cosine
    return seen / total


@compiled
def between(p, grid):
    """Values of a periodic grid (n, n, n) at points p (..., 3), linear between its nodes."""
    n, flat = len(grid), p.reshape(-1, 3)
    out = np.empty(len(flat))
    for i in range(len(flat)):
        x, y, z = flat[i]
        fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
        a, b, c = int(fx) % n, int(fy) % n, int(fz) % n
        d, e, f = (a + 1) % n, (b + 1) % n, (c + 1) % n
        x, y, z = x - fx, y - fy, z - fz
        left = ((1 - y) * ((1 - z) * grid[a, b, c] + z * grid[a, b, f])
                + y * ((1 - z) * grid[a, e, c] + z * grid[a, e, f]))
        right = ((1 - y) * ((1 - z) * grid[d, b, c] + z * grid[d, b, f])
                 + y * ((1 - z) * grid[d, e, c] + z * grid[d, e, f]))
        out[i] = (1 - x) * left + x * right
    return out.reshape(p.shape[:-1])
