"""One training clip, 64 frames of 224 x 224: stored crops against decoding JPEG frames.

python benchmarks/clip_loading.py --save benchmarks/results/clip_loading.csv

Plain: as the reference loader, Pillow decodes and resizes every frame to float, then applies
brightness, contrast, saturation and hue in turn to 8-bit images, flips and normalises. Ours:
memory-mapped uint8 crops, one colour matrix a frame, `ClipBatches`.
"""

import random
import tempfile
from pathlib import Path

import numpy as np
import torch
from paired import arguments, compare, report
from PIL import Image, ImageEnhance

from depnb.features import clips
from depnb.models import sta_drn
from depnb.runs import loop
from depnb.simulation import face
from depnb.simulation.people import still

FRAMES, SIZE, VIDEO = 64, 224, 200


def hue(image, turns):
    """An image whose hue is turned, by a share of a full turn."""
    h, s, v = image.convert("HSV").split()
    h = Image.fromarray((np.asarray(h).astype(np.int16) + int(turns * 255)).astype(np.uint8))
    return Image.merge("HSV", (h, s, v)).convert("RGB")


def pillow_clip(files):
    """A clip as the reference loader makes it -> (1, 3, T, H, W) float32."""
    frames = [np.asarray(Image.open(f).convert("RGB").resize((SIZE, SIZE)), np.float32)
              for f in files]
    brightness, contrast, saturation = (random.uniform(0.8, 1.2) for _ in range(3))
    turns = random.uniform(-0.2, 0.2)
    steps = [lambda i: ImageEnhance.Brightness(i).enhance(brightness), lambda i: hue(i, turns),
             lambda i: ImageEnhance.Contrast(i).enhance(contrast),
             lambda i: ImageEnhance.Color(i).enhance(saturation)]
    random.shuffle(steps)
    for step in steps:
        frames = [np.asarray(step(Image.fromarray(f.astype(np.uint8))), np.float32) for f in frames]
    clip = np.stack(frames)
    if random.random() < 0.5:
        clip = clip[:, :, ::-1]
    clip = (clip / 255 - np.float32(clips.IMAGENET_MEAN)) / np.float32(clips.IMAGENET_STD)
    return torch.from_numpy(np.ascontiguousarray(clip.transpose(3, 0, 1, 2)))[None]


def check_equal(files, crops):
    """Without jitter both loaders must give the same clip (frames are stored without loss here)."""
    plain = np.stack([np.asarray(Image.open(f), np.float32) for f in files])
    plain = (plain / 255 - np.float32(clips.IMAGENET_MEAN)) / np.float32(clips.IMAGENET_STD)
    ours = clips.evaluation_input(crops, lambda n: sta_drn.evaluation_clips(n, len(files))).permute(
        0, 2, 3, 4, 1)[0]
    torch.testing.assert_close(ours, torch.from_numpy(plain), atol=1e-5, rtol=1e-5)


def main():
    """The command line."""
    a = arguments(__doc__, rounds=9).parse_args()
    loop.keep_freed_memory()                            # as in the notebooks
    random.seed(0)
    person = face.identity(np.random.default_rng(0))
    picture = Image.fromarray(next(face.render(person, still(), SIZE)))
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        crops = np.stack([np.asarray(picture.rotate(i % 7 - 3))
                          for i in range(VIDEO)])
        np.save(folder / "crops.npy", crops)
        stored = np.load(folder / "crops.npy", mmap_mode="r")
        for i, crop in enumerate(crops[:4]):
            Image.fromarray(crop).save(folder / f"{i}.png")
        check_equal([folder / f"{i}.png" for i in range(4)], crops[:4])
        batches = clips.ClipBatches([stored], [0.0], lambda n,
                                    rng: sta_drn.training_clip(n, FRAMES, rng), 1,
                                    seed=0, jitter=0.2)
        epochs = iter(range(10**6))
        for side in (SIZE, 256):
            files = [folder / f"{side}-{i:05d}.jpg" for i in range(VIDEO)]
            for i, file in enumerate(files):
                Image.fromarray(crops[i]).resize((side, side)).save(file, quality=95)
            rows[f"JPEG frames of {side} x {side}"] = compare(lambda files=files: pillow_clip(
                [files[i] for i in sta_drn.training_clip(VIDEO, FRAMES, np.random.default_rng())]),
                                                              lambda: next(batches(next(epochs))),
                                                              a.rounds)
    report(rows, a.save)


if __name__ == "__main__":
    main()
