#!/usr/bin/env python3
"""Renders the gesture data set: shaded hand models in eight poses, 96x96 gray, from a seed.

    generate.py calib.npz --seed 2 --count 256
    generate.py test.npz  --seed 3 --count 1200

A hand is a set of capsules (palm, phalanges, forearm) in space, bent into the pose of its class, turned,
projected, and shaded by one light. Clutter, occlusion, blur and noise make the classes overlap. Needs NumPy only;
the same seed gives the same images.
"""
import argparse

import numpy as np

CLASSES = ("palm", "l", "fist", "thumb", "index", "ok", "c", "down")
SIZE = 96
GRAY_STEP = 8  # a 5-bit camera: what makes the images compress

# Hand frame: the palm's width is about 1, y runs along the fingers, z to the viewer, the thumb is at +x.
KNUCKLES = np.array([[0.36, 0.42, 0], [0.12, 0.48, 0], [-0.12, 0.43, 0], [-0.34, 0.32, 0]])
FINGER_LENGTHS = np.array([0.85, 0.95, 0.88, 0.68])
PHALANX_SHARES = np.array([0.45, 0.30, 0.25])
STRAIGHT = np.radians([6, 10, 6])
CLOSED = np.radians([82, 98, 58])
HOOKED = np.radians([40, 42, 28])

THUMB_OUT = [[0.30, -0.30, 0.05], [0.58, -0.12, 0.06], [0.86, 0.00, 0.06], [1.08, 0.06, 0.06]]
THUMB_SPREAD = [[0.30, -0.30, 0.05], [0.55, -0.05, 0.06], [0.76, 0.17, 0.06], [0.90, 0.36, 0.06]]
THUMB_UP = [[0.30, -0.30, 0.05], [0.48, 0.05, 0.15], [0.53, 0.42, 0.18], [0.55, 0.76, 0.18]]
THUMB_ACROSS = [[0.30, -0.30, 0.05], [0.46, -0.02, 0.28], [0.26, 0.16, 0.46], [0.02, 0.18, 0.48]]
THUMB_ALONG = [[0.30, -0.30, 0.05], [0.45, -0.02, 0.05], [0.48, 0.22, 0.05], [0.47, 0.42, 0.05]]
THUMB_RING = [[0.30, -0.30, 0.05], [0.56, -0.06, 0.10], [0.80, 0.18, 0.14], [0.87, 0.44, 0.15]]
THUMB_OPPOSED = [[0.30, -0.30, 0.05], [0.30, -0.20, 0.36], [0.28, -0.06, 0.66], [0.25, 0.12, 0.88]]
INDEX_RING = [[0.36, 0.42, 0], [0.54, 0.78, 0.08], [0.80, 0.74, 0.14], [0.87, 0.50, 0.15]]


def finger(knuckle, length, bend, spread):
    """Four joints of a finger that bends towards the viewer, `spread` radians off the y axis."""
    along = np.array([np.sin(spread), np.cos(spread), 0])
    joints = [knuckle]
    for angle, share in zip(np.cumsum(bend), PHALANX_SHARES):
        joints.append(joints[-1] + length * share * (np.cos(angle) * along + np.sin(angle) * np.array([0, 0, 1])))
    return np.array(joints)


def hand_joints(rng, label):
    """Joints of index, middle, ring, little finger and thumb, each (4, 3), in the pose of a class."""
    name = CLASSES[label]
    bends = {
        "palm": [STRAIGHT] * 4,
        "l": [STRAIGHT] + [CLOSED] * 3,
        "fist": [CLOSED] * 4,
        "thumb": [CLOSED] * 4,
        "index": [STRAIGHT] + [CLOSED] * 3,
        "ok": [STRAIGHT] * 4,
        "c": [HOOKED] * 4,
        "down": [STRAIGHT] * 4,
    }[name]
    thumb = {
        "palm": THUMB_SPREAD, "l": THUMB_OUT, "fist": THUMB_ACROSS, "thumb": THUMB_UP, "index": THUMB_ACROSS,
        "ok": THUMB_RING, "c": THUMB_OPPOSED, "down": THUMB_ALONG,
    }[name]
    fan = {"palm": rng.uniform(0.10, 0.26), "ok": rng.uniform(0.05, 0.22)}.get(name, rng.uniform(-0.02, 0.06))
    fingers = []
    for i, bend in enumerate(bends):
        bend = bend + rng.normal(0, 0.10) + rng.normal(0, 0.08, 3)
        spread = fan * (1.3 - i) + rng.normal(0, 0.04)
        fingers.append(finger(KNUCKLES[i], FINGER_LENGTHS[i], bend, spread))
    if name == "ok":
        fingers[0] = np.array(INDEX_RING)
        fingers[0][1:] += rng.normal(0, 0.03, (3, 3))
    thumb = np.array(thumb)
    thumb[1:] += np.cumsum(rng.normal(0, 0.035, (3, 3)), axis=0)
    proportions = rng.uniform(0.88, 1.12)
    fingers = [f[0] + (f - f[0]) * proportions for f in fingers]
    return fingers + [thumb]


def hand_capsules(joints, thickness):
    """(start, end, start radius, end radius) of every capsule of a hand."""
    capsules = []
    for i, chain in enumerate(joints):
        radii = np.array([0.135, 0.12, 0.108, 0.095]) * (1.15 if i == 4 else 0.9 if i == 3 else 1.0) * thickness
        for k in range(3):
            capsules.append((chain[k], chain[k + 1], radii[k], radii[k + 1]))
    for i, knuckle in enumerate(KNUCKLES):
        wrist = np.array([0.16 - 0.10 * i, -0.48, 0])
        capsules.append((wrist, knuckle, 0.19, 0.17 * thickness))
    capsules.append((np.array([0.12, -0.42, 0]), np.array([0.30, -0.26, 0.05]), 0.20, 0.16))
    capsules.append((np.array([0, -0.5, 0]), np.array([0, -2.6, -0.1]), 0.26, 0.36))
    return capsules


def rotation(yaw, pitch, roll):
    cy, sy, cp, sp, cr, sr = (f(a) for a in (yaw, pitch, roll) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_x @ about_y


def rasterize(capsules):
    """Depth and coverage, each (SIZE, SIZE), of capsules in pixel units (orthographic, y down)."""
    start, end = (np.array([c[i] for c in capsules], np.float32)[:, :, None, None] for i in (0, 1))
    r0, r1 = (np.array([c[i] for c in capsules], np.float32)[:, None, None] for i in (2, 3))
    y, x = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + np.float32(0.5)
    axis = end - start
    length2 = axis[:, 0] ** 2 + axis[:, 1] ** 2 + np.float32(1e-3)
    t = ((x - start[:, 0]) * axis[:, 0] + (y - start[:, 1]) * axis[:, 1]) / length2
    t = np.clip(t, 0, 1)
    distance = np.hypot(x - start[:, 0] - t * axis[:, 0], y - start[:, 1] - t * axis[:, 1])
    radius = r0 + t * (r1 - r0)
    bulge = np.sqrt(np.maximum(radius ** 2 - distance ** 2, 0))
    depth = np.where(distance < radius + 0.7, start[:, 2] + t * axis[:, 2] + bulge, -1e3).max(axis=0)
    coverage = np.clip(radius - distance + 0.5, 0, 1).max(axis=0)
    return depth, coverage


def blur(image, sigma):
    if sigma < 0.2:
        return image
    reach = int(np.ceil(2.5 * sigma))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for axis in (0, 1):
        pad = [(reach, reach) if a == axis else (0, 0) for a in (0, 1)]
        padded = np.pad(image, pad, mode="edge")
        image = sum(w * np.take(padded, range(i, i + SIZE), axis=axis) for i, w in enumerate(kernel))
    return image


def gradient(rng, strength):
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1) - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    return strength * (np.cos(angle) * x + np.sin(angle) * y)


def clutter(rng, image, count):
    """Paints ellipses, bars and finger-like sticks behind the hand."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    for _ in range(count):
        cx, cy = rng.uniform(0, SIZE, 2)
        angle = rng.uniform(0, np.pi)
        u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        kind = rng.integers(3)
        if kind == 0:
            a, b = rng.uniform(4, 26, 2)
            edge = np.clip((1 - np.hypot(u / a, v / b)) * min(a, b) + 0.5, 0, 1)
        elif kind == 1:
            a, b = rng.uniform(6, 40), rng.uniform(2, 14)
            edge = np.clip(np.minimum(a - abs(u), b - abs(v)) + 0.5, 0, 1)
        else:
            a, b = rng.uniform(8, 24), rng.uniform(2.5, 4.5)
            edge = np.clip(b - np.hypot(np.maximum(abs(u) - a, 0), v) + 0.5, 0, 1)
        shade = rng.uniform(20, 235)
        opacity = rng.uniform(0.3, 0.9)
        image = image + edge * opacity * (shade - image)
    return image


def render(rng, label):
    """One image of class `label`, uint8 (SIZE, SIZE)."""
    name = CLASSES[label]
    yaw, pitch, roll = rng.normal(0, 0.24), rng.normal(0, 0.20), rng.normal(0, 0.28)
    if name == "c":
        yaw += 1.3
    if name == "down":
        roll += np.pi
    scale = rng.uniform(22, 33)
    mirror = rng.choice([-1, 1])
    turn = rotation(yaw, pitch, roll)
    joints = hand_joints(rng, label)
    middle = turn @ np.array([0.1, 0.25, 0.1])
    centre = np.array([SIZE / 2, SIZE / 2]) + rng.normal(0, 5, 2)

    def project(point):
        p = (turn @ point - middle) * scale
        return np.array([centre[0] + mirror * p[0], centre[1] - p[1], p[2]])

    capsules = [(project(a), project(b), ra * scale, rb * scale)
                for a, b, ra, rb in hand_capsules(joints, rng.uniform(0.85, 1.15))]
    depth, coverage = rasterize(capsules)

    dy, dx = np.gradient(np.where(coverage > 0, depth, depth[coverage > 0].min()))
    normal = np.stack([-dx, -dy, np.ones_like(dx)])
    normal /= np.sqrt((normal ** 2).sum(axis=0))
    light = np.array([rng.normal(0, 0.6), rng.normal(-0.3, 0.6), 1.0])
    light /= np.sqrt((light ** 2).sum())
    diffuse = np.maximum(np.tensordot(light, normal, 1), 0)
    background = rng.uniform(25, 200)
    contrast = rng.uniform(40, 120) * rng.choice([-1, 1], p=[0.3, 0.7])
    skin = np.clip(background + contrast, 30, 245)
    ambient = rng.uniform(0.35, 0.7)
    hand = skin * (ambient + (1 - ambient) * diffuse)

    image = np.full((SIZE, SIZE), background) + gradient(rng, rng.uniform(0, 90))
    image = clutter(rng, image, rng.integers(1, 7))
    image = image + coverage * (hand - image)
    if rng.random() < 0.3:
        image = clutter(rng, image, 1)  # in front of the hand
    image = image + gradient(rng, rng.uniform(0, 50))
    image = blur(image, rng.uniform(0.3, 1.3))
    image = image + blur(rng.normal(0, 1, (SIZE, SIZE)), 0.8) * rng.uniform(2, 12)
    levels = np.clip(np.round(image / GRAY_STEP), 0, 255 // GRAY_STEP)
    return (levels * GRAY_STEP).astype(np.uint8)


def make_set(seed, count):
    """`count` images of the classes in turn: images uint8 (count, SIZE, SIZE), labels int64 (count,)."""
    labels = np.arange(count) % len(CLASSES)
    streams = np.random.SeedSequence(seed).spawn(count)
    images = np.stack([render(np.random.Generator(np.random.PCG64(s)), k) for s, k in zip(streams, labels)])
    return images, labels.astype(np.int64)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    args = parser.parse_args()
    images, labels = make_set(args.seed, args.count)
    np.savez_compressed(args.output, images=images, labels=labels)


if __name__ == "__main__":
    main()
