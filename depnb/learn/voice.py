"""Lesson "From a voice to numbers": voices whose settings are known, pictures, and the checks."""

import librosa
import matplotlib.pyplot as plt
import numpy as np
from scipy.signal import find_peaks

from depnb.figures.style import BLUE, GREY
from depnb.learn import as_array, is_array, is_close, is_function, is_number
from depnb.simulation import voice

RATE = voice.RATE
QUIET_ROOM = {"level": 6, "colour": 0.9, "hum": -40.0, "mains": 50.0, "unsteady": 0.0,
              "reverberation": 0.15, "wet": -30, "low_cut": 20.0, "high_cut": 8000.0, "slope": 0.0,
              "presence": 0.0, "limit": 30.0, "sample_rate": RATE, "channels": 1}
TIMING = ("rate", "pauses")
LOW, HIGH = 70, 400                     # Hz; where F0 of adults is looked for
# 25 and 10 ms, as VGGish hears
MEL = {"n_fft": 400, "hop_length": 160, "n_mels": 64, "fmin": 125, "fmax": 7500}
WINDOWS = (128, 256, 512, 1024, 2048)   # samples, exercise 4
HELD_F0 = 110                           # Hz, of the held vowel


def say(cue=0.0, gender="female", seconds=3.0, seed=1, noise=60.0, timing=True):
    """Some seconds of babble by a simulated speaker whose voice cues all have one latent value.

    Parameters
    ----------
    cue : 0 is usual, positive speaks for depression, in standard deviations
    noise : dB below speech
    timing : whether rate and pauses move too

    Returns
    -------
    waveform (n,) float32 in [-1, 1] at RATE, settings by control, phrases (k, 2) in seconds
    """
    rng = np.random.default_rng(seed)
    person = voice.identity(gender, rng)
    setting, _ = voice.controls({name: cue * (timing or name not in TIMING) for name in voice.CUES},
                                person, rng)
    spoken = voice.phrases(setting, seconds, rng)
    speech = voice.speak(setting, person, spoken, seconds, rng)
    heard = voice.record(speech, QUIET_ROOM | {"noise": noise}, np.random.default_rng(seed))
    return heard[:, 0].astype(np.float32), setting, spoken


def hold(jitter=0.9, shimmer=9.0, seed=0):
    """A man's vowel of 0.6 s, held at 110 Hz, jitter and shimmer in percent. (n,) float32, RATE."""
    rng = np.random.default_rng(seed)
    person, seconds = voice.identity("male", rng), 1.2
    person["usual"]["creak"] = 0.0
    setting = {name: control.usual for name, control in voice.CONTROLS.items()} | {
        "jitter": jitter, "shimmer": shimmer, "f0": HELD_F0, "f0_range": 0.0, "rate": 0.5,
        "breathiness": -34}
    speech = voice.speak(setting, person, np.array([[0.1, 1.1]]), seconds, rng)
    # the steady part
    return (0.1 * speech[round(0.35 * RATE):round(0.95 * RATE)]).astype(np.float32)


def pulses(waveform, f0):
    """Where each period of a held vowel peaks, between samples by a parabola.

    Returns
    -------
    times (n,) in seconds; heights (n,)
    """
    if -waveform.min() > waveform.max():
        waveform = -waveform
    at, _ = find_peaks(waveform.astype(float), distance=0.7 * RATE / f0)
    before, top, after = (waveform[at + step].astype(float) for step in (-1, 0, 1))
    return (at + (before - after) / 2 / (before - 2 * top + after)) / RATE, top


def log_mel(waveform, **other):
    """Decibels in 64 mel bands every 10 ms. (n,) -> (frames, 64). other: in place of MEL's."""
    power = librosa.feature.melspectrogram(y=waveform, sr=RATE, **MEL | other)
    return librosa.power_to_db(power).T


def views(waveform, times, f0, title, dpi=None):
    """Waveform, F0 where the voice is voiced (NaN elsewhere) and log-mel, one above the other.

    Parameters
    ----------
    times, f0 : (frames,) in seconds and Hz
    """
    figure, axes = plt.subplots(3, 1, figsize=(5.6, 4.2), sharex=True, height_ratios=(1, 1, 1.3),
                                dpi=dpi)
    seconds = len(waveform) / RATE
    axes[0].plot(np.arange(len(waveform)) / RATE, waveform, lw=0.4, color=GREY)
    axes[0].set(ylabel="amplitude", ylim=(-0.6, 0.6), title=title)
    axes[1].plot(times, f0, ".", ms=2.5, color=BLUE)
    axes[1].set(ylabel="F0 (Hz)", ylim=(LOW, HIGH))
    axes[2].imshow(log_mel(waveform).T, origin="lower", aspect="auto", cmap="magma",
                   extent=(0, seconds, 0, MEL["n_mels"]), vmin=-50, vmax=20)
    axes[2].set(ylabel="mel band", xlabel="time (s)", xlim=(0, seconds))
    return figure


# Exercises


def period_to_f0(answer):
    """The folds close once in 128 samples; 16,000 samples are a second; so 125 times a second."""
    return is_number(answer, "Hz") or is_close(answer, 125.0, [
        (0.008, "0.008 is the period in seconds; F0 is how many periods fit into one second."),
        (8.0, "8 is the period in milliseconds; F0 is how many periods fit into one second."),
        (128 * RATE, "you multiplied; F0 is the rate divided by the period."),
        (62.5, "that is half of it: from one pulse to the next is one period, not half of one."),
        (250.0, "that is twice it: from one pulse to the next is one whole period."),
    ], "Samples in a second, divided by samples in a period.")


def f0_of(frame, rate, low=LOW, high=HIGH, centred=True):
    frame = frame - frame.mean() * centred
    similar = np.correlate(frame, frame, "full")[len(frame) - 1:]
    shortest, longest = int(rate / high), int(rate / low)
    return rate / (shortest + np.argmax(similar[shortest:longest + 1]))


def _frames():
    """Voiced frames of known F0: (frame, rate), one with an offset, one at another rate."""
    def buzz(f0, rate, offset=0.0):
        time = np.arange(round(0.05 * rate)) / rate
        return sum(np.cos(2 * np.pi * k * f0 * time) / k for k in (1, 2, 3, 4, 5)) + offset, rate

    return [buzz(200, 16_000), buzz(100, 16_000), buzz(250, 16_000, 6.0), buzz(147, 44_100),
            buzz(333, 16_000)]


def f0_by_autocorrelation(answer):
    """The lag at which a frame is most like itself, and the rate, give F0."""
    return is_function(answer, _frames(), f0_of, [
        (lambda frame, rate: rate / f0_of(frame, rate),
         "it gives the lag in samples; F0 is the rate divided by the lag."),
        (lambda frame, rate: 1 / f0_of(frame, rate),
         "it gives the period in seconds; F0 is one over it."),
        (lambda frame, rate: np.inf,
         "it finds lag 0, where all is like itself; look at lags of rate / 400 and more."),
        (lambda frame, rate: rate / (rate / f0_of(frame, rate) - int(rate / HIGH)),
         "the lags you looked at begin at rate / 400: "
         "add that to the position of the largest value."),
        (lambda frame, rate: f0_of(frame, rate, centred=False),
         "it fails for a frame whose mean is not 0; subtract the mean first."),
        (lambda frame, rate: f0_of(frame, RATE),
         "it takes 16,000 samples a second for granted; use the rate given."),
    ], "Correlate the frame with itself, take the largest value between the lags rate / 400 and "
       "rate / 70.", tolerance=0.03)


def local_jitter(periods):
    return 100 * np.abs(np.diff(periods)).mean() / np.mean(periods)


PERIODS = [(np.array([5.0, 5.1, 4.9, 5.0]) / 1000,), (np.array([9.0, 9.1, 9.2, 9.3, 9.4]) / 1000,),
           (np.array([4.0, 4.0, 4.4]) / 1000,)]


def jitter(answer):
    """Neighbours are compared, so a slow glide of the voice hardly counts and roughness does."""
    return is_function(answer, PERIODS, local_jitter, [
        (lambda t: local_jitter(t) / 100, "it gives a fraction; in percent it is 100 times that."),
        (lambda t: 100 * np.diff(t).mean() / t.mean(),
         "differences up and down cancel; take their absolute values first."),
        *((lambda t, ddof=ddof: 100 * t.std(ddof=ddof) / t.mean(), "that is the spread around the "
           "mean, to which a glide of the voice adds; jitter compares each period with the next.")
          for ddof in (0, 1)),
        (lambda t: 100 * np.abs(np.diff(t)).sum() / len(t) / t.mean(),
         "n periods have n - 1 differences; divide by that."),
        (lambda t: np.abs(np.diff(t)).mean(),
         "that is in seconds; divide by the mean period and take it in percent."),
        (lambda t: local_jitter(1 / t), "you compared frequencies; jitter compares periods."),
    ], "100 times the mean absolute difference of neighbouring periods, over the mean period.",
       tolerance=1e-4)


def ripple(window):
    """How far the spectrum of the held vowel falls between its harmonics, for a window of samples.

    Returns
    -------
    dB
    """
    power = np.abs(librosa.stft(hold(), n_fft=window, window="hann", center=False)) ** 2
    frequency, level = np.arange(len(power)) * RATE / window, 10 * np.log10(power.mean(axis=1))
    at = HELD_F0 * np.arange(2, 7)
    between = np.interp(at + HELD_F0 / 2, frequency, level)
    return float(np.mean(np.interp(at, frequency, level) - between))


def shortest_window(answer):
    """It holds a few periods; a shorter one sees pulses one by one, a longer one blurs when they
    come.
    """
    if problem := is_number(answer, "samples"):
        return problem
    if answer not in WINDOWS:
        return f"choose one of the windows {', '.join(map(str, WINDOWS))} (samples)."
    right = next(window for window in WINDOWS if ripple(window) > 3)
    if answer < right:
        return (f"{answer} samples hold {answer / RATE * HELD_F0:.1f} periods of this voice: "
                "too few to tell its harmonics apart. Look for level lines one above the other.")
    if answer > right:
        return f"{answer} samples show the harmonics, but a shorter window does so too."
    return None


def mel_picture(answer):
    """25 ms, 10 ms and 64 bands: what VGGish and many others hear."""
    waveform = say()[0]
    right = log_mel(waveform)
    shape_problem = is_array(answer, (-1, MEL["n_mels"]), "frames, mel bands")
    if shape_problem:
        return shape_problem
    picture = as_array(answer)
    # top_db, if it was switched off
    picture = np.maximum(picture, picture.max() - 80) if picture.min() < 0 else picture
    if len(picture) != len(right):
        return (f"{len(picture)} frames of {len(waveform) / RATE:.1f} s; with a hop of 10 ms there "
                f"are {len(right)}. How many samples are 10 ms at {RATE} Hz?")
    power = librosa.feature.melspectrogram(y=waveform, sr=RATE, **MEL).T
    if np.ptp(picture - right) < 0.1 < np.abs(picture - right).max():
        return ("it is off by a constant: decibels relative to the loudest band; "
                "leave ref of power_to_db at 1.")
    return is_close(picture, right, [
        (power, "these are powers; take them in decibels (librosa.power_to_db)."),
        (librosa.amplitude_to_db(power),
         "amplitude_to_db squares what is a power already; use power_to_db."),
        (np.log(power + 1e-10), "that is the natural logarithm; "
         "decibels are 10 times the logarithm to base 10."),
        (log_mel(waveform, n_fft=2048),
         "the window has 2048 samples, librosa's default; 25 ms are fewer."),
        (log_mel(waveform, fmin=0, fmax=None),
         "the bands go from 0 to 8000 Hz; set fmin and fmax."),
    ], "Window 25 ms, hop 10 ms, 64 bands from 125 to 7500 Hz, in decibels, one row a frame.",
       tolerance=0.01)


CHECKS = {1: period_to_f0, 2: f0_by_autocorrelation, 3: jitter, 4: shortest_window, 5: mel_picture}
