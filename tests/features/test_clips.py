"""Clips from memory-mapped crops: what is drawn, jittered and normalised."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from depnb.features import clips
from depnb.models.sta_drn import evaluation_clips, training_clip


@pytest.fixture
def crops():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (n, 16, 16, 3), np.uint8) for n in (30, 20, 5, 40, 30)]


def batches(crops, **options):
    return clips.ClipBatches(crops, np.arange(5.0), lambda n, rng: training_clip(n, 8, rng),
                             **{"batch_size": 2, "seed": 1, "stride": 2, **options})


def test_a_batch_has_the_promised_shape_and_layout(crops):
    b = batches(crops)
    assert len(b) == 2
    epoch_batches = list(b(0))
    assert [x.shape for x, _ in epoch_batches] == [(2, 3, 8, 16, 16)] * 2
    assert epoch_batches[0][0].is_contiguous(memory_format=torch.channels_last_3d)
    assert len({float(t) for _, targets in epoch_batches for t in targets}) == 4


def test_what_is_drawn_depends_on_seed_and_epoch_alone(crops):
    first, second = batches(crops, jitter=0.2, noise=0.5), batches(crops, jitter=0.2, noise=0.5)
    list(second(0))         # having drawn before changes nothing
    for (x, t), (y, u) in zip(first(3), second(3), strict=True):
        assert torch.equal(x, y)
        assert torch.equal(t, u)
    assert not torch.equal(next(iter(first(3)))[0], next(iter(first(4)))[0])
    assert not torch.equal(next(iter(batches(crops, seed=2)(3)))[0],
                           next(iter(batches(crops)(3)))[0])


def test_too_few_recordings_for_a_batch(crops):
    with pytest.raises(ValueError,
                       match=r"5 recordings do not fill one batch of 8\. Give more recordings"):
        batches(crops, batch_size=8)


def test_imagenet_normalisation_is_the_released_formula(crops):
    x = clips.to_input(crops[0][None, :4], "imagenet")
    expected = (crops[0][:4] / 255 - np.array([0.485, 0.456, 0.406])) / np.array(
        [0.229, 0.224, 0.225])
    np.testing.assert_allclose(x[0].permute(1, 2, 3, 0).numpy(), expected, atol=1e-5)


def test_clip_normalisation_takes_out_light(crops):
    x = clips.to_input(crops[0][None, :4], "clip")
    assert abs(float(x.mean())) < 1e-5
    assert float(x.std(correction=0)) == pytest.approx(1, abs=1e-4)
    darker = clips.to_input((crops[0][None, :4] // 2).astype(np.uint8), "clip")
    assert float((x - darker).abs().max()) < 0.05


def test_unknown_normalisation_is_named(crops):
    with pytest.raises(ValueError, match="normalise 'none': choose imagenet or clip"):
        clips.to_input(crops[0][None], "none")


def test_evaluation_input_covers_the_video(crops):
    x = clips.evaluation_input(crops[3], lambda n: evaluation_clips(n, 8), stride=2,
                               normalise="imagenet")
    assert x.shape == (3, 3, 8, 16, 16)


class Fixed:
    """A generator that draws given factors and a given order."""

    def __init__(self, brightness=1.0, contrast=1.0, saturation=1.0, hue=0.0,
                 order=("brightness", "contrast", "saturation", "hue")):
        self.values, self.order = [np.array([brightness, contrast, saturation]), hue], order

    def uniform(self, *_):
        return self.values.pop(0)

    def permutation(self, names):
        assert set(names) == set(self.order)
        return self.order


@pytest.fixture
def smooth():
    ramp = np.linspace(70, 170, 16)
    frame = np.stack([ramp[None, :] * np.ones((16, 1)), ramp[:, None] * np.ones((1, 16)),
                      np.full((16, 16), 120)], 2)
    return np.stack([frame, frame[::-1]]).astype(np.uint8)


@pytest.mark.parametrize(("name", "enhance"),
                         [("brightness", ImageEnhance.Brightness),
                          ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)])
@pytest.mark.parametrize("factor", [0.8, 1.2])
def test_jitter_is_pillows_where_nothing_is_clipped(smooth, name, enhance, factor):
    ours = clips.colour_jitter(smooth, 0.2, Fixed(**{name: factor}))
    theirs = np.stack([np.asarray(enhance(Image.fromarray(frame)).enhance(factor))
                       for frame in smooth])
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_hue_turns_colours_and_keeps_grey(smooth):
    grey = np.full((1, 4, 4, 3), 90, np.uint8)
    np.testing.assert_array_equal(clips.colour_jitter(grey, 0.2, Fixed(hue=0.2)), grey)
    turned = clips.colour_jitter(smooth, 0.2, Fixed(hue=0.1))
    assert np.abs(turned.astype(int) - smooth).mean() > 2
    luma = clips.GREY @ turned.reshape(-1, 3).T - clips.GREY @ smooth.reshape(-1, 3).T
    assert np.abs(luma).max() < 2


def test_no_jitter_changes_nothing(smooth):
    np.testing.assert_array_equal(clips.colour_jitter(smooth, 0.2, Fixed()), smooth)


def test_frames_of_a_clip_share_one_draw_and_contrast_uses_each_frames_mean(smooth):
    rng = np.random.default_rng(0)
    twice = np.concatenate([smooth[:1], smooth[:1]])
    out = clips.colour_jitter(twice, 0.2, rng)
    np.testing.assert_array_equal(out[0], out[1])


def test_half_of_the_clips_are_flipped_left_to_right(crops):
    made = clips.ClipBatches(crops, np.zeros(len(crops)), lambda n, rng: [0, 1], 1, 0)
    kinds = []
    for epoch in range(30):
        clip, unflipped = made.clip(epoch, 0), np.asarray(crops[0][:2])
        kinds.append(np.array_equal(clip, unflipped[:, :, ::-1]))
        assert kinds[-1] or np.array_equal(clip, unflipped)
    assert 8 < sum(kinds) < 22
