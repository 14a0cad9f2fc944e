"""A voice whose every property is known: glottal pulses and noise through vowel filters, in phrases with pauses.

The source-filter model of Klatt (1980): pulses with jitter and shimmer, aspiration noise, spectral tilt, then the
formants of five vowels (Peterson & Barney 1952), fricatives between syllables, a room and a microphone. It babbles:
syllables without words. Identity (vocal tract, pitch, habits) and recording conditions never depend on severity.

Severity moves ten cues in the direction that the literature reports, further than it reports:
  pitch        lower F0 (in some studies, no difference in others: Cummins et al. 2015)
  intonation   narrower range of F0 (Mundt et al. 2007; Alpert et al. 2001; Hönig et al. 2014)
  jitter       more (Quatieri & Malyska 2012; Silva et al. 2024)
  shimmer      more (Quatieri & Malyska 2012; Silva et al. 2024)
  breathiness  more noise of the breath (Quatieri & Malyska 2012; Silva et al. 2024)
  tilt         less energy at high frequencies (slopes differ: Ozdas et al. 2004, Silva et al. 2024; the sign is not settled)
  loudness     lower (Wang et al. 2019; Hönig et al. 2014)
  emphasis     less variation of loudness (Alpert et al. 2001)
  rate         slower (Mundt et al. 2007, 2012; Hönig et al. 2014)
  pauses       more and longer (Mundt et al. 2007, 2012; Alpert et al. 2001)
"""

from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

RATE = 16_000           # of the synthesis, in Hz
LEVEL = -30.0           # dB relative to full scale of average speech at average distance
LEAD = 0.12             # seconds of silence before and after the speech


class Control(NamedTuple):
    """One knob of the synthesiser. In dB amounts are added, in every other unit they are natural logarithms of factors."""

    cue: str            # latent cue that moves it
    unit: str
    usual: float        # of an average speaker
    moved: float        # by one unit of the cue
    person: float       # standard deviation between people
    take: float         # standard deviation between recordings of one person
    low: float
    high: float


CONTROLS = {
    "f0": Control("pitch", "Hz", 200.0, -0.07, 0.10, 0.02, 70, 320),                    # women; men times 0.58
    "f0_range": Control("intonation", "semitones", 2.2, -0.28, 0.18, 0.10, 0.5, 5),
    "jitter": Control("jitter", "%", 0.9, 0.40, 0.25, 0.10, 0.2, 4),
    "shimmer": Control("shimmer", "%", 9.0, 0.35, 0.25, 0.10, 2, 30),
    "breathiness": Control("breathiness", "dB", -20.0, 3.5, 2.5, 0.8, -34, -6),         # noise below the pulses
    "tilt": Control("tilt", "dB", 11.0, 3.0, 2.5, 0.8, 2, 24),                          # attenuation at 3 kHz
    "loudness": Control("loudness", "dB", 0.0, -2.5, 2.0, 0.8, -10, 7),
    "emphasis": Control("emphasis", "dB spread", 3.5, -0.28, 0.18, 0.10, 1, 7),         # of the syllables' levels
    "rate": Control("rate", "syllables/s", 4.6, -0.12, 0.10, 0.03, 2.8, 6.5),
    "pause_share": Control("pauses", "share", 0.22, 0.22, 0.20, 0.10, 0.08, 0.40),
    "pause_length": Control("pauses", "s", 0.45, 0.20, 0.15, 0.10, 0.2, 1.2),
}
CUES = tuple(dict.fromkeys(control.cue for control in CONTROLS.values()))
# eGeMAPS that a control moves by half their standard deviation (0.45 or more) when it moves by one of its own: measured on
# 240 recordings in which all controls vary independently, as recorded or after CFRAFN's preprocessing.
EGEMAPS = {name: names.split() for name, names in {
    "f0": (
        "F0semitoneFrom27.5Hz_sma3nz_amean F0semitoneFrom27.5Hz_sma3nz_percentile20.0 "
        "F0semitoneFrom27.5Hz_sma3nz_percentile50.0 F0semitoneFrom27.5Hz_sma3nz_percentile80.0 HNRdBACF_sma3nz_amean "
        "F1frequency_sma3nz_amean F2frequency_sma3nz_amean F3frequency_sma3nz_amean"),
    "f0_range": (
        "F0semitoneFrom27.5Hz_sma3nz_stddevNorm F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2 "
        "F0semitoneFrom27.5Hz_sma3nz_meanRisingSlope F0semitoneFrom27.5Hz_sma3nz_stddevRisingSlope "
        "F0semitoneFrom27.5Hz_sma3nz_meanFallingSlope F0semitoneFrom27.5Hz_sma3nz_stddevFallingSlope"),
    "jitter": "jitterLocal_sma3nz_amean",
    "shimmer": "shimmerLocaldB_sma3nz_amean shimmerLocaldB_sma3nz_stddevNorm",
    "breathiness": (
        "jitterLocal_sma3nz_amean shimmerLocaldB_sma3nz_amean shimmerLocaldB_sma3nz_stddevNorm HNRdBACF_sma3nz_amean"),
    "tilt": (
        "mfcc2_sma3_amean mfcc2_sma3_stddevNorm logRelF0-H1-A3_sma3nz_amean logRelF0-H1-A3_sma3nz_stddevNorm "
        "F1bandwidth_sma3nz_amean F1bandwidth_sma3nz_stddevNorm F2bandwidth_sma3nz_amean "
        "F2amplitudeLogRelF0_sma3nz_stddevNorm F3frequency_sma3nz_stddevNorm F3bandwidth_sma3nz_amean "
        "F3amplitudeLogRelF0_sma3nz_amean F3amplitudeLogRelF0_sma3nz_stddevNorm alphaRatioV_sma3nz_amean "
        "hammarbergIndexV_sma3nz_amean hammarbergIndexV_sma3nz_stddevNorm slopeV0-500_sma3nz_amean mfcc2V_sma3nz_amean"),
    "loudness": (
        "loudness_sma3_amean loudness_sma3_percentile50.0 loudness_sma3_percentile80.0 loudness_sma3_pctlrange0-2 "
        "loudness_sma3_meanRisingSlope loudness_sma3_stddevRisingSlope loudness_sma3_meanFallingSlope "
        "loudness_sma3_stddevFallingSlope spectralFlux_sma3_amean spectralFluxV_sma3nz_amean "
        "spectralFluxUV_sma3nz_amean equivalentSoundLevel_dBp"),
    "emphasis": (
        "loudness_sma3_amean loudness_sma3_stddevNorm loudness_sma3_percentile20.0 loudness_sma3_percentile50.0 "
        "loudness_sma3_percentile80.0 loudness_sma3_pctlrange0-2 loudness_sma3_meanRisingSlope "
        "loudness_sma3_meanFallingSlope spectralFlux_sma3_amean spectralFlux_sma3_stddevNorm spectralFluxV_sma3nz_amean "
        "spectralFluxV_sma3nz_stddevNorm loudnessPeaksPerSec equivalentSoundLevel_dBp"),
    "rate": (
        "mfcc1V_sma3nz_stddevNorm alphaRatioUV_sma3nz_amean hammarbergIndexUV_sma3nz_amean slopeUV0-500_sma3nz_amean "
        "spectralFluxUV_sma3nz_amean loudnessPeaksPerSec VoicedSegmentsPerSec MeanUnvoicedSegmentLength "
        "StddevUnvoicedSegmentLength"),
    "pause_share": (
        "loudness_sma3_stddevNorm loudness_sma3_percentile20.0 spectralFlux_sma3_stddevNorm mfcc1_sma3_amean "
        "mfcc1_sma3_stddevNorm F1amplitudeLogRelF0_sma3nz_amean F1amplitudeLogRelF0_sma3nz_stddevNorm "
        "F2amplitudeLogRelF0_sma3nz_amean F2amplitudeLogRelF0_sma3nz_stddevNorm F3amplitudeLogRelF0_sma3nz_amean "
        "F3amplitudeLogRelF0_sma3nz_stddevNorm loudnessPeaksPerSec VoicedSegmentsPerSec MeanUnvoicedSegmentLength "
        "StddevUnvoicedSegmentLength"),
    "pause_length": "StddevUnvoicedSegmentLength",
}.items()}

# First three formants of men in Hz, and what the others add.
VOWELS = np.array([[270, 2290, 3010], [530, 1840, 2480], [730, 1090, 2440], [570, 840, 2410], [300, 870, 2240]])
HIGHER_FORMANTS = (3500, 4500)
BANDWIDTHS = np.array([70, 90, 130, 250, 300])                                          # Hz
TRACT = {"female": 1.16, "male": 1.0}       # formants relative to men
F0_MALE = 0.58                              # F0 of men relative to women


def identity(gender, rng):
    """A person: vocal tract and the usual value of every control, drawn without looking at severity.

    gender female or male -> dict with `formants` (5, 5) in Hz and `usual`, mapping control -> deviation from average.
    """
    tract = TRACT[gender] * np.exp(0.04 * rng.standard_normal() + 0.02 * rng.standard_normal((5, 5)))
    formants = np.c_[VOWELS, np.tile(HIGHER_FORMANTS, (5, 1))] * tract
    usual = {name: control.person * rng.standard_normal() for name, control in CONTROLS.items()}
    usual["f0"] += np.log(F0_MALE) * (gender == "male")
    return {"formants": np.minimum(formants, 0.47 * RATE), "usual": usual}


def conditions(rng):
    """How one visit is recorded, drawn without looking at severity -> dict of numbers.

    level: gain in dB; noise: dB below average speech; reverberation: seconds to -60 dB; wet: dB of the room below the
    direct sound; sample_rate in Hz and channels of the file.
    """
    sample_rate, channels = ((16_000, 1), (44_100, 1), (44_100, 2))[rng.choice(3, p=(0.7, 0.2, 0.1))]
    return {"level": float(np.clip(rng.normal(0, 3), -6, 6)), "noise": rng.uniform(34, 52),
            "reverberation": rng.uniform(0.15, 0.4), "wet": rng.uniform(-26, -14), "sample_rate": sample_rate,
            "channels": channels}


def controls(cues, person, rng):
    """Settings of the synthesiser for one recording -> (values by control, in its unit; how far its cue moved each).

    cues: mapping of the ten cues to latent values (positive speaks for depression); person from `identity`.
    """
    values, moved = {}, {}
    for name, control in CONTROLS.items():
        moved[name] = control.moved * float(np.clip(cues[control.cue], -2.5, 2.5))
        shift = moved[name] + person["usual"][name] + control.take * rng.standard_normal()
        value = control.usual + shift if control.unit == "dB" else control.usual * np.exp(shift)
        values[name] = float(np.clip(value, control.low, control.high))
    return values, moved


def phrases(setting, seconds, rng):
    """When there is speech: [start, end] of each phrase in seconds, (phrases, 2); the share of pauses is exact."""
    if seconds < 0.5:
        raise ValueError(f"seconds: {seconds:.2g}. A simulated recording needs at least 0.5.")
    share, length = setting["pause_share"], setting["pause_length"]
    room = seconds - 2 * LEAD
    count = max(1, round(room * share / length))
    pauses = rng.gamma(8, 1, count)
    spoken = rng.gamma(8, 1, count + 1)
    pauses *= room * share / pauses.sum()
    spoken *= room * (1 - share) / spoken.sum()
    starts = LEAD + np.cumsum(np.r_[0, spoken[:-1] + pauses])
    return np.c_[starts, starts + spoken]


def syllables(setting, spoken, rng):
    """Syllables of the phrases -> dict of (syllables,) arrays: start, length (s), vowel, level (dB), accent, gap, hiss."""
    starts, lengths, place = [], [], []
    for start, end in spoken:
        part = rng.gamma(20, 1, max(1, round((end - start) * setting["rate"])))
        part *= (end - start) / part.sum()
        starts.append(start + np.cumsum(part) - part)
        lengths.append(part)
        place.append(np.linspace(1, -1, len(part)) if len(part) > 1 else np.zeros(1))
    starts, lengths, place = map(np.concatenate, (starts, lengths, place))
    count = len(starts)
    level = standardised(np.clip(rng.standard_normal(count), -2, 2) + 0.4 * place)
    accent = standardised(0.8 * rng.standard_normal(count) + 0.6 * place)         # falls along the phrase
    gap = np.where(rng.permutation(count) < 0.75 * count, rng.uniform(0.2, 0.32, count), 0.03)       # share without voice
    return {"start": starts, "length": lengths, "vowel": rng.integers(0, len(VOWELS), count),
            "level": setting["emphasis"] * level, "accent": accent, "gap": gap,
            "hiss": (gap > 0.1) * rng.uniform(0.2, 1.0, count)}


def standardised(x):
    return (x - x.mean()) / x.std() if len(x) > 1 else 0 * x


def rms(x):
    return np.sqrt(np.mean(x**2))       # no BLAS: its sums depend on the number of threads


def tilt_filter(attenuation):
    """One pole that loses `attenuation` dB at 3 kHz and nothing at 0 Hz (Klatt 1980) -> b, a."""
    g, c = 10 ** (-attenuation / 10), np.cos(2 * np.pi * 3000 / RATE)
    pole = ((1 - g * c) - np.sqrt((1 - g * c) ** 2 - (1 - g) ** 2)) / (1 - g)
    return [1 - pole], [1, -pole]


def formant_filter(frequencies):
    """Cascade of resonators with unit gain at 0 Hz (Klatt 1980). frequencies (5,) Hz -> second-order sections (5, 6)."""
    radius = np.exp(-np.pi * BANDWIDTHS / RATE)
    a1, a2 = -2 * radius * np.cos(2 * np.pi * frequencies / RATE), radius**2
    zero = np.zeros(5)
    return np.c_[1 + a1 + a2, zero, zero, zero + 1, a1, a2]


def pulse_train(instants, heights, samples):
    """Impulses at fractional times, as windowed sincs. instants (n,) in samples, heights (n,) -> (samples,)."""
    first = np.floor(instants).astype(int) - 7
    near = first[:, None] + np.arange(16)
    away = near - instants[:, None]
    taps = heights[:, None] * np.sinc(away) * np.cos(np.pi * away / 17) ** 2
    inside = (near >= 0) & (near < samples)
    return np.bincount(near[inside], taps[inside], samples)


def glottal_pulse(attenuation):
    """Flow derivative of one glottal pulse (Klatt 1980): two poles near 0 Hz, radiation, tilt -> b, a."""
    pole = np.exp(-np.pi * 100 / RATE)
    b, a = tilt_filter(attenuation)
    return np.convolve([1, -1], b), np.convolve([1, -2 * pole, pole**2], a)


def voiced_source(setting, part, envelope, time, rng):
    """Pulses and aspiration at the glottis -> (samples,), root mean square 1."""
    samples = len(time)
    melody = np.interp(time, part["start"] + part["length"] / 2, part["accent"])
    melody -= np.average(melody, weights=envelope)
    melody /= max(np.sqrt(np.average(melody**2, weights=envelope)), 1e-9)           # a single syllable has no melody
    f0 = setting["f0"] * 2 ** (setting["f0_range"] * melody / 12)
    phase = np.cumsum(f0) / RATE                                                    # in cycles
    instants = np.interp(np.arange(1, phase[-1]), phase, np.arange(samples))
    period = RATE / np.interp(instants, np.arange(samples), f0)
    loud = np.interp(instants, np.arange(samples), envelope) * np.sqrt(period)
    # Local jitter and shimmer are mean differences of neighbours: 1.95 and 1.13 standard deviations of the draws.
    instants = instants + setting["jitter"] / 195 * period * rng.standard_normal(len(period))
    loud *= 1 + setting["shimmer"] / 113 * rng.standard_normal(len(period))
    pulses = lfilter(*glottal_pulse(setting["tilt"]), pulse_train(instants, loud, samples))
    breath = rng.standard_normal(samples) * envelope * (1 + 0.5 * np.cos(2 * np.pi * phase))     # gated by the folds
    breath = lfilter(*tilt_filter(setting["tilt"]), lfilter([1], [1, -0.7], breath))
    breath *= 10 ** (setting["breathiness"] / 20) * rms(pulses) / rms(breath)
    return (pulses + breath) / rms(pulses)


def through_tract(source, vowel, formants):
    """Each sample through the formants of its vowel; vowels equally loud. source, vowel (samples,) -> (samples,)."""
    out = np.zeros_like(source)
    for number in np.unique(vowel):
        here = vowel == number
        filtered = sosfilt(formant_filter(formants[number]), np.where(here, source, 0))
        out += filtered * rms(source[here]) / rms(filtered[here])
    return out


def speak(setting, person, spoken, seconds, rng):
    """Babble in the phrases (k, 2) of a recording of some seconds. setting from `controls` -> waveform (n,) at 16 kHz.

    Speech at 0 dB loudness has root mean square 1 within the phrases.
    """
    time = np.arange(round(seconds * RATE)) / RATE
    part = syllables(setting, spoken, rng)
    start, end = part["start"], part["start"] + part["length"]
    onset = start + part["gap"] * part["length"]
    loud = 10 ** (part["level"] / 20)
    nodes = onset[:, None] + (end - onset)[:, None] * [0, 0.12, 0.5, 0.85, 0.98]
    envelope = np.interp(time, nodes.ravel(), (loud[:, None] * [0.02, 0.8, 1, 0.7, 0.02]).ravel())
    silent = np.ones(len(time), bool)
    for first, last in spoken:
        silent[round(first * RATE):round(last * RATE)] = False
    envelope[silent] = 0
    vowel = part["vowel"][np.clip(np.searchsorted(start, time) - 1, 0, None)]
    voice = through_tract(voiced_source(setting, part, envelope, time, rng), vowel, person["formants"])
    nodes = np.stack([start, (start + onset) / 2, onset], 1)
    hiss = np.interp(time, nodes.ravel(), ((loud * part["hiss"])[:, None] * [0, 1, 0]).ravel())
    band = butter(2, (3500, 7000), "bandpass", fs=RATE, output="sos")
    speech = voice / rms(voice[~silent]) + 0.3 * sosfilt(band, hiss * rng.standard_normal(len(time)))
    return speech * 10 ** (setting["loudness"] / 20) / rms(speech[~silent])


def record(speech, place, rng):
    """What the microphone of `conditions` hears of some speech (n,) -> (m, channels) float in [-1, 1] at its sample rate."""
    decay = np.exp(-6.9 * np.arange(1, round(place["reverberation"] * RATE)) / (place["reverberation"] * RATE))
    echo = rng.standard_normal(len(decay)) * decay
    echo *= 10 ** (place["wet"] / 20) / np.sqrt((echo**2).sum())
    heard = fftconvolve(speech, np.r_[1, echo])[:len(speech)]
    heard = np.stack([heard * 10 ** (-1.5 * channel / 20) for channel in range(place["channels"])], 1)
    noise = lfilter([1], [1, -0.9], rng.standard_normal(heard.shape), axis=0)
    heard = (heard + noise / rms(noise) * 10 ** (-place["noise"] / 20)) * 10 ** ((LEVEL + place["level"]) / 20)
    if place["sample_rate"] != RATE:
        heard = resample_poly(heard, place["sample_rate"] // 100, RATE // 100)
    return heard * min(1, 0.95 / np.abs(heard).max())           # whoever records turns the gain down rather than clip


def write_recording(path, setting, person, place, spoken, seconds, rng):
    """Speak and record into a 16-bit WAV file (atomically: a half file never has its name)."""
    part = path.with_name(f".{path.stem}.part.wav")
    soundfile.write(part, record(speak(setting, person, spoken, seconds, rng), place, rng), place["sample_rate"], "PCM_16")
    part.replace(path)
