"""Clips from stored crops: read by memory map, jittered and normalised, never decoded again.

Which frames make a clip is the model's rule (see `depnb.models.sta_drn`), passed in as a function.
"""

import cv2
import numpy as np
import torch

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
GREY = np.array([0.299, 0.587, 0.114])         # luma of ITU-R 601, as Pillow and torchvision use it
YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


class ClipBatches:
    """Training batches: one random clip of every recording an epoch.

    The last incomplete batch of an epoch is dropped. What is drawn depends on (seed, epoch,
    recording) alone, so that a resumed run draws the same.

    Parameters
    ----------
    crops : list of (frames, size, size, 3) uint8 arrays, memory-mapped or not
    targets : (recordings,)
    choose : choose(frames, rng) -> frame indices of one clip
        Counted after taking every `stride`-th frame from a random first one.
    jitter : strength of the colour jitter (0.2 in the released code, 0: none)
    flip : mirror half of the clips
    normalise : "imagenet" or "clip", see `to_input`
    noise : standard deviation of the noise added to the targets
    """

    def __init__(self, crops, targets, choose, batch_size, seed, stride=1, jitter=0.0, flip=True,
                 normalise="imagenet", noise=0.0):
        self.crops, self.targets = crops, torch.as_tensor(np.asarray(targets), dtype=torch.float32)
        self.choose, self.batch_size, self.seed, self.stride = choose, batch_size, seed, stride
        self.jitter, self.flip, self.normalise, self.noise = jitter, flip, normalise, noise
        if len(self) == 0:
            raise ValueError(f"{len(crops)} recordings do not fill one batch of {batch_size}. "
                             "Give more recordings, or a run a lower batch_size.")

    def __len__(self):
        return len(self.crops) // self.batch_size

    def plan(self, epoch):
        """What the batches of an epoch hold -> list of (epoch, number, recordings)."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.crops))
        return [(epoch, i, order[i * self.batch_size:(i + 1) * self.batch_size])
                for i in range(len(self))]

    def __getitem__(self, planned):
        """One of `plan`: clips (B, 3, T, size, size) float32, targets (B,)."""
        epoch, i, chosen = planned
        clips = np.stack([self.clip(epoch, recording) for recording in chosen])
        rng = np.random.default_rng([self.seed, epoch, 0, i])
        noise = rng.normal(0, self.noise, len(chosen))
        return (to_input(clips, self.normalise),
                self.targets[chosen] + torch.as_tensor(noise, dtype=torch.float32))

    def __call__(self, epoch):
        """Batches of one epoch."""
        return map(self.__getitem__, self.plan(epoch))

    def clip(self, epoch, recording):
        """One augmented clip, (T, size, size, 3) uint8."""
        rng = np.random.default_rng([self.seed, epoch, 1 + int(recording)])
        first = int(rng.integers(self.stride)) if self.stride > 1 else 0
        crops = self.crops[recording][first::self.stride]
        clip = crops[self.choose(len(crops), rng)]
        if self.jitter:
            clip = colour_jitter(clip, self.jitter, rng)
        # left to right; NumPy's reversed view would be ten times slower to copy
        if self.flip and rng.random() < 0.5:
            clip = cv2.flip(clip.reshape(-1, *clip.shape[2:]), 1).reshape(clip.shape)
        return clip


def evaluation_input(crops, choose, stride=1, normalise="imagenet"):
    """All evaluation clips of one recording.

    Parameters
    ----------
    crops : (frames, size, size, 3) uint8
    choose : choose(frames) -> lists of indices, counted after taking every `stride`-th frame
    normalise : see `to_input`

    Returns
    -------
    (clips, 3, T, size, size) float32
    """
    crops = crops[::stride]
    return to_input(np.stack([crops[chosen] for chosen in choose(len(crops))]), normalise)


def to_input(clips, normalise):
    """Clips as a network takes them, channels last in memory as they were stored.

    Parameters
    ----------
    clips : (B, T, H, W, 3) uint8
    normalise : "imagenet": (x / 255 - mean) / std with the constants of the released code
        "clip": each clip to mean 0 and standard deviation 1 over all its values, which takes out
        light and skin tone.

    Returns
    -------
    (B, 3, T, H, W) float32
    """
    x = torch.from_numpy(np.ascontiguousarray(clips)).to(torch.float32)
    if normalise == "imagenet":
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        width = x.shape[3]    # whole rows of colours: a broadcast over 3 values would not vectorise
        x.flatten(3).mul_((1 / (255 * std)).repeat(width)).sub_((mean / std).repeat(width))
    elif normalise == "clip":
        std, mean = torch.std_mean(x, (1, 2, 3, 4), keepdim=True, correction=0)
        x = x.sub_(mean).div_(std + 1e-6)
    else:
        raise ValueError(f"normalise {normalise!r}: choose imagenet or clip.")
    return x.permute(0, 4, 1, 2, 3)


def colour_jitter(clip, strength, rng):
    """Brightness, contrast, saturation and hue of a clip; one draw for all frames.

    Factors lie in 1 +- strength, the hue in +- strength turns, the order is random, as in the
    released code (torchvision's functions on 8-bit images). All four are affine in the colour, so
    each frame needs one 3x4 matrix instead of four passes. The hue turns in the YIQ plane instead
    of in HSV, and clipping happens once, at the end.

    Parameters
    ----------
    clip : (T, H, W, 3) uint8
    strength : 0 to 1
    rng : NumPy Generator

    Returns
    -------
    (T, H, W, 3) uint8
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    hue = rng.uniform(-strength, strength) * 2 * np.pi
    turn = np.array([[1, 0, 0], [0, np.cos(hue), -np.sin(hue)], [0, np.sin(hue), np.cos(hue)]])
    matrices = {"brightness": brightness * np.eye(3), "hue": np.linalg.inv(YIQ) @ turn @ YIQ,
                "saturation": (saturation * np.eye(3)
                               + (1 - saturation) * np.outer(np.ones(3), GREY))}
    means = np.array([cv2.mean(frame)[:3] for frame in clip])
    # Colour -> linear @ colour + offset of its frame.
    linear, offsets = np.eye(3), np.zeros((len(clip), 3))
    for step in rng.permutation(["brightness", "contrast", "saturation", "hue"]):
        if step == "contrast":          # towards the frame's mean grey
            grey = (means @ linear.T + offsets) @ GREY
            linear, offsets = contrast * linear, contrast * offsets + (1 - contrast) * grey[:, None]
        else:
            linear, offsets = matrices[step] @ linear, offsets @ matrices[step].T
    # cv2.transform rounds and clips to 0..255.
    return np.stack([cv2.transform(frame, np.c_[linear, offset])
                     for frame, offset in zip(clip, offsets, strict=True)])
