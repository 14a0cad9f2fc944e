"""A voice whose every property is known: glottal pulses and noise through vowel filters.

The source-filter model of Klatt (1980): pulses of the vocal folds with jitter, shimmer, a glottal
formant that follows F0 (Doval et al. 2006) and aspiration noise; then spectral tilt, less of it
where a syllable is louder, and seven formants that glide between nine kinds of consonants and ten
vowels (Peterson & Barney 1952); F0 falls along each phrase, and creaks at its end. A room, its
noise and hum, a microphone with a band of its own, and electronics that give way. It babbles:
syllables without words. Identity (vocal tract, glottis, habits) and recording conditions never
depend on severity. Their ranges were fitted to a few recordings of people; `benchmarks/voices.py`
measures how near they are.

Severity moves ten cues in the direction that the literature reports; `severity` decides how far:
  pitch        lower F0 (in some studies, no difference in others: Cummins et al. 2015)
  intonation   narrower range of F0 (Mundt et al. 2007; Alpert et al. 2001; Hönig et al. 2014)
  jitter       more (Quatieri & Malyska 2012; Silva et al. 2024)
  shimmer      more (Quatieri & Malyska 2012; Silva et al. 2024)
  breathiness  more noise of the breath (Quatieri & Malyska 2012; Silva et al. 2024)
  tilt         less energy at high frequencies (slopes differ: Ozdas et al. 2004, Silva et al. 2024;
               the sign is not settled)
  loudness     lower (Wang et al. 2019; Hönig et al. 2014)
  emphasis     less variation of loudness (Alpert et al. 2001)
  rate         slower (Mundt et al. 2007, 2012; Hönig et al. 2014)
  pauses       more and longer (Mundt et al. 2007, 2012; Alpert et al. 2001)
"""

from typing import NamedTuple

import numpy as np
import soundfile
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import irfft, rfft
from scipy.signal import butter, fftconvolve, lfilter, oaconvolve, resample_poly

RATE = 16_000           # of the synthesis, in Hz
LEVEL = -30.0           # dB relative to full scale of average speech at average distance
LEAD = 0.12             # seconds of silence before and after the speech


class Control(NamedTuple):
    """One knob of the synthesiser.

    In dB amounts are added, in every other unit they are natural logarithms of factors.
    """

    cue: str            # latent cue that moves it
    unit: str
    usual: float        # of an average speaker
    spread: float       # between people, a unit of the cue: negative where the cue lowers it
    take: float         # standard deviation between recordings of one person
    low: float
    high: float


CONTROLS = {
    "f0": Control("pitch", "Hz", 200.0, -0.14, 0.03, 70, 320),  # women; men times 0.58
    "f0_range": Control("intonation", "semitones", 2.6, -0.35, 0.12, 0.5, 7),
    "jitter": Control("jitter", "%", 0.9, 0.45, 0.10, 0.2, 4),
    "shimmer": Control("shimmer", "%", 7.0, 0.40, 0.10, 1, 30),
    "breathiness": Control("breathiness", "dB", -20.0, 4.0, 0.8, -34, -6),  # below the pulses
    "tilt": Control("tilt", "dB", 8.0, 2.8, 0.8, 0.5, 24),      # attenuation at 3 kHz
    "loudness": Control("loudness", "dB", 0.0, -3.2, 0.8, -12, 10),
    # of the syllables' levels
    "emphasis": Control("emphasis", "dB spread", 4.2, -0.22, 0.10, 1.5, 9),
    "rate": Control("rate", "syllables/s", 4.6, -0.16, 0.03, 2.6, 7),
    "pause_share": Control("pauses", "share", 0.22, 0.30, 0.10, 0.08, 0.45),
    "pause_length": Control("pauses", "s", 0.45, 0.25, 0.10, 0.2, 1.3),
}
CUES = tuple(dict.fromkeys(control.cue for control in CONTROLS.values()))
# eGeMAPS that a control moves by a third of their standard deviation (0.35 or more) when it moves
# by one of its own: measured on 240 recordings of one woman in one quiet room in which all controls
# vary independently, as recorded or after CFRAFN's preprocessing (`benchmarks/voices.py --table`).
EGEMAPS = {name: names.split() for name, names in {
    "f0": (
        "F0semitoneFrom27.5Hz_sma3nz_amean F0semitoneFrom27.5Hz_sma3nz_percentile20.0 "
        "F0semitoneFrom27.5Hz_sma3nz_percentile50.0 F0semitoneFrom27.5Hz_sma3nz_percentile80.0 "
        "mfcc2_sma3_amean mfcc3_sma3_amean mfcc3_sma3_stddevNorm mfcc4_sma3_amean "
        "HNRdBACF_sma3nz_amean logRelF0-H1-H2_sma3nz_amean F1frequency_sma3nz_amean "
        "slopeV0-500_sma3nz_amean slopeV500-1500_sma3nz_amean slopeV500-1500_sma3nz_stddevNorm "
        "mfcc1V_sma3nz_stddevNorm mfcc2V_sma3nz_amean mfcc3V_sma3nz_amean "
        "mfcc3V_sma3nz_stddevNorm mfcc4V_sma3nz_amean slopeUV0-500_sma3nz_amean "
        "MeanUnvoicedSegmentLength StddevUnvoicedSegmentLength"),
    "f0_range": (
        "F0semitoneFrom27.5Hz_sma3nz_stddevNorm F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2 "
        "jitterLocal_sma3nz_amean slopeV0-500_sma3nz_stddevNorm"),
    "jitter": "jitterLocal_sma3nz_amean jitterLocal_sma3nz_stddevNorm",
    "shimmer": "shimmerLocaldB_sma3nz_amean shimmerLocaldB_sma3nz_stddevNorm",
    "breathiness": (
        "shimmerLocaldB_sma3nz_amean shimmerLocaldB_sma3nz_stddevNorm HNRdBACF_sma3nz_amean"),
    "tilt": (
        "loudness_sma3_amean loudness_sma3_percentile80.0 loudness_sma3_pctlrange0-2 "
        "loudness_sma3_meanRisingSlope mfcc1_sma3_amean mfcc1_sma3_stddevNorm mfcc2_sma3_amean "
        "mfcc2_sma3_stddevNorm logRelF0-H1-A3_sma3nz_amean logRelF0-H1-A3_sma3nz_stddevNorm "
        "F1frequency_sma3nz_stddevNorm F1bandwidth_sma3nz_stddevNorm "
        "F2frequency_sma3nz_stddevNorm F3frequency_sma3nz_stddevNorm F3bandwidth_sma3nz_amean "
        "F3bandwidth_sma3nz_stddevNorm alphaRatioV_sma3nz_amean alphaRatioV_sma3nz_stddevNorm "
        "hammarbergIndexV_sma3nz_amean hammarbergIndexV_sma3nz_stddevNorm "
        "slopeV500-1500_sma3nz_amean mfcc1V_sma3nz_amean mfcc1V_sma3nz_stddevNorm "
        "mfcc2V_sma3nz_amean mfcc2V_sma3nz_stddevNorm alphaRatioUV_sma3nz_amean "
        "hammarbergIndexUV_sma3nz_amean"),
    "loudness": (
        "loudness_sma3_amean loudness_sma3_percentile50.0 loudness_sma3_percentile80.0 "
        "loudness_sma3_pctlrange0-2 loudness_sma3_meanRisingSlope "
        "loudness_sma3_stddevRisingSlope loudness_sma3_meanFallingSlope "
        "loudness_sma3_stddevFallingSlope spectralFlux_sma3_amean slopeV500-1500_sma3nz_amean "
        "slopeV500-1500_sma3nz_stddevNorm spectralFluxV_sma3nz_amean "
        "slopeUV500-1500_sma3nz_amean spectralFluxUV_sma3nz_amean equivalentSoundLevel_dBp"),
    "emphasis": (
        "loudness_sma3_amean loudness_sma3_stddevNorm loudness_sma3_percentile20.0 "
        "loudness_sma3_percentile50.0 spectralFlux_sma3_amean spectralFlux_sma3_stddevNorm "
        "spectralFluxV_sma3nz_amean spectralFluxV_sma3nz_stddevNorm spectralFluxUV_sma3nz_amean "
        "loudnessPeaksPerSec"),
    "rate": (
        "loudness_sma3_meanRisingSlope loudness_sma3_meanFallingSlope "
        "loudness_sma3_stddevFallingSlope shimmerLocaldB_sma3nz_amean loudnessPeaksPerSec"),
    "pause_share": (
        "F0semitoneFrom27.5Hz_sma3nz_stddevNorm loudness_sma3_amean loudness_sma3_stddevNorm "
        "loudness_sma3_percentile20.0 loudness_sma3_percentile50.0 spectralFlux_sma3_stddevNorm "
        "F1amplitudeLogRelF0_sma3nz_amean F1amplitudeLogRelF0_sma3nz_stddevNorm "
        "F2amplitudeLogRelF0_sma3nz_amean F2amplitudeLogRelF0_sma3nz_stddevNorm "
        "F3amplitudeLogRelF0_sma3nz_amean F3amplitudeLogRelF0_sma3nz_stddevNorm "
        "MeanVoicedSegmentLengthSec StddevVoicedSegmentLengthSec MeanUnvoicedSegmentLength "
        "StddevUnvoicedSegmentLength"),
    "pause_length": (
        "loudness_sma3_percentile20.0 F1amplitudeLogRelF0_sma3nz_amean "
        "F1amplitudeLogRelF0_sma3nz_stddevNorm F2amplitudeLogRelF0_sma3nz_amean "
        "F2amplitudeLogRelF0_sma3nz_stddevNorm F3amplitudeLogRelF0_sma3nz_amean "
        "F3amplitudeLogRelF0_sma3nz_stddevNorm alphaRatioUV_sma3nz_amean "
        "hammarbergIndexUV_sma3nz_amean slopeUV500-1500_sma3nz_amean MeanUnvoicedSegmentLength "
        "StddevUnvoicedSegmentLength"),
}.items()}
# What a tree's planted truth tells of the controls.
TRUTH = {name: control._asdict() | {"egemaps": EGEMAPS[name]} for name, control in CONTROLS.items()}

# First three formants of men in Hz, of i I e ae a o U u A er, and what the others add.
VOWELS = np.array([[270, 2290, 3010], [390, 1990, 2550], [530, 1840, 2480], [660, 1720, 2410],
                   [730, 1090, 2440], [570, 840, 2410], [440, 1020, 2240], [300, 870, 2240],
                   [640, 1190, 2390], [490, 1350, 1690]])
VOWEL_SHARES = (0.12, 0.14, 0.13, 0.10, 0.12, 0.07, 0.04, 0.05, 0.15, 0.08)
HIGHER_FORMANTS = (3500, 4500, 5500, 6500)  # of a tube of 17.5 cm
BANDWIDTHS = np.array([80, 100, 140, 250, 300, 350, 400])                                # Hz
TRACT = {"female": 1.16, "male": 1.0}       # formants relative to men
F0_MALE = 0.58                              # F0 of men relative to women
EFFORT = 0.6                                # dB of tilt that a dB of loudness takes away
LONGEST = 0.15                              # seconds of a consonant
STEP, SIZE = 160, 640                       # samples with one setting of the tract, and of an FFT


class Consonant(NamedTuple):
    """What stands before a vowel; none of it is more than a kind of sound."""

    share: float        # of the syllables
    length: float       # of the syllable
    voice: float        # level of the voice below the vowel's, in dB
    closed: float       # share of its time before its noise sets in
    band: int           # of `BANDS`
    noise: float        # in dB relative to the vowel
    formants: tuple     # three in Hz, between which and the vowel's the tract glides


BANDS = ((4000, 7700), (2000, 6000), (900, 7000), (500, 3500))      # of noises, in Hz
CONSONANTS = (
    Consonant(0.16, 0.45, -60, 0.0, 0, -12, (420, 1900, 2750)),     # s
    Consonant(0.05, 0.45, -60, 0.0, 1, -10, (420, 2050, 2700)),     # sh
    Consonant(0.09, 0.40, -60, 0.0, 2, -24, (450, 1400, 2450)),     # f
    Consonant(0.08, 0.30, -10, 0.0, 2, -24, (400, 1700, 2600)),     # z, v
    Consonant(0.24, 0.45, -60, 0.6, 2, -14, (450, 1900, 2750)),     # p, t, k
    Consonant(0.12, 0.32, -22, 0.7, 3, -18, (400, 1800, 2600)),     # b, d, g
    Consonant(0.12, 0.30, -5, 0.0, 3, -60, (320, 1600, 2550)),      # m, n
    Consonant(0.10, 0.26, -4, 0.0, 3, -60, (450, 1400, 2450)),      # l, r, w
    Consonant(0.04, 0.04, -12, 0.0, 3, -60, (550, 1550, 2550)),     # none
)
NASAL = 6                                   # which of them lets the nose damp the formants


def identity(gender, rng):
    """A person: vocal tract, folds, and the usual value of every property that no cue moves.

    Parameters
    ----------
    gender : female or male
    rng : numpy Generator

    Returns
    -------
    dict
        `formants` (vowels, 7) in Hz; `usual`: deviations of F0, of the tract (all formants) and of
        bandwidths (natural logarithms), glottis (frequency of the pulse's own formant over F0),
        reduction (how far vowels lie from the middle one), hiss (dB of consonants), creak (octaves
        that F0 falls at the end of phrases).
    """
    usual = {"f0": np.log(F0_MALE) * (gender == "male"),
             "tract": np.log(TRACT[gender]) + 0.05 * rng.standard_normal(),
             "bandwidths": 0.12 * rng.standard_normal(),
             "glottis": rng.uniform(0.5, 1.2),
             "reduction": rng.uniform(0.75, 1.15), "hiss": 4 * rng.standard_normal(),
             "creak": rng.uniform(0, 1.3)}
    vowels = np.c_[VOWELS, np.tile(HIGHER_FORMANTS, (len(VOWELS), 1))]
    middle = vowels.mean(0)
    formants = (middle + usual["reduction"] * (vowels - middle)) * np.exp(
        usual["tract"] + 0.03 * rng.standard_normal(vowels.shape)
        + np.r_[0.10, np.full(6, 0.03)] * rng.standard_normal(7))
    return {"formants": np.minimum(formants, 0.47 * RATE), "usual": usual}


def conditions(rng):
    """How one visit is recorded, drawn without looking at severity.

    Returns
    -------
    dict
        level: gain in dB; noise: dB below average speech; colour: pole of its spectrum (0: white);
        hum: its level in dB relative to the noise, and mains, its frequency in Hz; unsteady: how
        much the noise swells; reverberation: seconds to -60 dB; wet: dB of the room below the
        direct sound; low_cut, high_cut: band of the microphone in Hz; slope: of its response in dB
        per octave; presence: dB around 3.4 kHz; limit: dB above average at which the electronics
        give way; sample_rate in Hz and channels of the file.
    """
    sample_rate, channels = ((16_000, 1), (44_100, 1),
                             (44_100, 2))[rng.choice(3, p=(0.7, 0.2, 0.1))]
    narrow = rng.random() < 0.3
    return {"level": float(np.clip(rng.normal(0, 6), -15, 12)), "noise": rng.uniform(24, 60),
            "colour": 1 - float(np.exp(rng.uniform(np.log(0.005), 0))), "hum": rng.uniform(-40, 5),
            "mains": float(rng.choice((50, 60))), "unsteady": rng.uniform(0, 0.6),
            "reverberation": rng.uniform(0.15, 0.6), "wet": rng.uniform(-26, -14),
            "low_cut": float(np.exp(rng.uniform(np.log(15), np.log(250)))),
            "high_cut": rng.uniform(3300, 4000) if narrow else rng.uniform(5000, 8000),
            "slope": 0.9 * rng.standard_normal(), "presence": rng.normal(2.5, 2),
            "limit": rng.uniform(14, 20),
            "sample_rate": sample_rate, "channels": channels}


def controls(cues, person, rng):
    """Settings of the synthesiser for one recording.

    Parameters
    ----------
    cues : mapping of the ten cues to latent values, positive where they speak for depression, with
        unit variance between people of a group
    person : dict, as of `identity`
    rng : numpy Generator

    Returns
    -------
    values : dict control -> value, in its unit
    moved : dict control -> how far its cue moved it
    """
    values, moved = {}, {}
    for name, control in CONTROLS.items():
        moved[name] = control.spread * float(np.clip(cues[control.cue], -3, 3))
        shift = (moved[name] + person["usual"].get(name, 0.0)
                 + control.take * rng.standard_normal())
        value = control.usual + shift if control.unit == "dB" else control.usual * np.exp(shift)
        values[name] = float(np.clip(value, control.low, control.high))
    return values, moved


def phrases(setting, seconds, rng):
    """When there is speech; the share of pauses is exact.

    Parameters
    ----------
    setting : dict, as of `controls`
    seconds : float
    rng : numpy Generator

    Returns
    -------
    (phrases, 2), start and end in seconds

    Raises
    ------
    ValueError
        There is less than half a second.
    """
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
    """Syllables of the phrases.

    Returns
    -------
    dict of (syllables,) arrays
        start, length (s), vowel (row of `VOWELS`), glide (the vowel it moves towards), consonant
        (of `CONSONANTS`), gap (its share of the length), level (dB), accent, last (of a phrase)
    """
    starts, lengths, place = [], [], []
    for start, end in spoken:
        part = rng.gamma(10, 1, max(1, round((end - start) * setting["rate"])))
        part *= (end - start) / part.sum()
        starts.append(start + np.cumsum(part) - part)
        lengths.append(part)
        place.append(np.linspace(1, -1, len(part)) if len(part) > 1 else np.zeros(1))
    last = np.concatenate([np.arange(len(part)) == len(part) - 1 for part in lengths])
    starts, lengths, place = map(np.concatenate, (starts, lengths, place))
    count = len(starts)
    level = standardised(np.clip(rng.standard_normal(count), -2, 2) + 0.4 * place)
    accent = standardised(0.8 * rng.standard_normal(count) + 0.6 * place)  # falls along the phrase
    consonant = rng.choice(len(CONSONANTS), count, p=[c.share for c in CONSONANTS])
    gap = np.array([c.length for c in CONSONANTS])[consonant] * rng.uniform(0.8, 1.2, count)
    gap = np.minimum(gap, LONGEST / lengths)
    vowel = rng.choice(len(VOWELS), (2, count), p=VOWEL_SHARES)
    return {"start": starts, "length": lengths, "vowel": vowel[0], "glide": vowel[1],
            "consonant": consonant, "gap": gap, "level": setting["emphasis"] * level,
            "accent": accent, "last": last}


def standardised(x):
    """Numbers (n,) to mean 0 and standard deviation 1; zero where there is only one."""
    return (x - x.mean()) / x.std() if len(x) > 1 else 0 * x


def rms(x):
    """Root mean square."""
    return np.sqrt(np.mean(x**2))       # no BLAS: its sums depend on the number of threads


def tilt_pole(attenuation):
    """Pole of a filter that loses so many dB at 3 kHz and nothing at 0 Hz (Klatt 1980): (...)."""
    g, c = 10 ** (-attenuation / 10), np.cos(2 * np.pi * 3000 / RATE)
    return ((1 - g * c) - np.sqrt((1 - g * c) ** 2 - (1 - g) ** 2)) / (1 - g)


def tract_filter(frequencies, bandwidths, attenuation):
    """Tilt and resonators with unit gain at 0 Hz, one after the other (Klatt 1980).

    Parameters
    ----------
    frequencies, bandwidths : (steps, 7), Hz
    attenuation : (steps,), dB at 3 kHz

    Returns
    -------
    gain (steps,), denominator (steps, 16)
    """
    radius = np.exp(-np.pi * bandwidths / RATE)
    a1, a2 = -2 * radius * np.cos(2 * np.pi * frequencies / RATE), radius**2
    product = np.zeros((len(a1), 16))
    product[:, :2] = np.c_[0 * attenuation + 1, -tilt_pole(attenuation)]
    for first, second in zip(a1.T[..., None], a2.T[..., None], strict=True):
        product[:, 1:] += first * product[:, :-1] + second * np.c_[0 * first, product[:, :-2]]
    return product.sum(1), product


def pulse_train(instants, heights, samples):
    """Impulses at fractional times, as windowed sincs.

    Parameters
    ----------
    instants : (n,), in samples
    heights : (n,)
    samples : int

    Returns
    -------
    (samples,)
    """
    first = np.floor(instants).astype(int) - 7
    near = first[:, None] + np.arange(16)
    away = near - instants[:, None]
    taps = heights[:, None] * np.sinc(away) * np.cos(np.pi * away / 17) ** 2
    inside = (near >= 0) & (near < samples)
    return np.bincount(near[inside], taps[inside], samples)


def glottal_pulse(frequency, width):
    """Flow derivative of a glottal pulse: its formant in Hz (Doval et al. 2006) and radiation.

    Returns
    -------
    b, a
    """
    pole = np.exp(-np.pi * width / RATE)
    return [1, -1], [1, -2 * pole * np.cos(2 * np.pi * frequency / RATE), pole**2]


def voiced_source(setting, person, part, envelope, time, rng):
    """Pulses and aspiration at the glottis -> (samples,), root mean square 1."""
    samples = len(time)
    steps, weights = time[::STEP], envelope[::STEP]
    melody = np.interp(steps, part["start"] + part["length"] / 2, part["accent"])
    melody -= np.average(melody, weights=weights)
    # a single syllable has no melody
    melody /= max(np.sqrt(np.average(melody**2, weights=weights)), 1e-9)
    end = (part["start"] + part["length"])[part["last"]]
    nodes = np.maximum.accumulate((end[:, None] + np.array([-0.16, -0.10, 0, 0.01])).ravel())
    creak = person["usual"]["creak"] * np.interp(steps, nodes,
                                                 np.tile([0, 1, 1, 0], len(end)))
    octaves = setting["f0_range"] * melody / 12 - creak
    f0 = np.interp(time, steps, setting["f0"] * 2**octaves)
    phase = np.cumsum(f0) / RATE                                                    # in cycles
    instants = np.interp(np.arange(1, phase[-1]), phase, np.arange(samples))
    period = RATE / np.interp(instants, np.arange(samples), f0)
    loud = np.interp(instants, np.arange(samples), envelope) * np.sqrt(period)
    # Local jitter and shimmer are mean differences of neighbours: 1.95 and 1.13 standard deviations
    # of the draws.
    rough = 1 + 2 * np.interp(instants / RATE, steps, creak)
    rough /= rough.mean()
    instants = instants + setting["jitter"] / 195 * rough * period * rng.standard_normal(
        len(period))
    loud *= 1 + setting["shimmer"] / 113 * rough * rng.standard_normal(len(period))
    glottis = person["usual"]["glottis"] * setting["f0"]
    pulses = lfilter(*glottal_pulse(glottis, 0.5 * setting["f0"]),
                     pulse_train(instants, loud, samples))
    # gated by the folds
    breath = rng.standard_normal(samples) * envelope * (1 + 0.5 * np.cos(2 * np.pi * phase))
    breath = lfilter([1], [1, -0.7], breath)
    breath *= 10 ** (setting["breathiness"] / 20) * rms(pulses) / rms(breath)
    return (pulses + breath) / rms(pulses)


def tract(setting, part, person, samples):
    """Formants, bandwidths and tilt every `STEP`, gliding from consonant to vowel to vowel.

    Louder syllables are brighter.

    Returns
    -------
    formants, bandwidths (steps, 7), Hz; attenuation (steps,), dB at 3 kHz
    """
    own, scale = person["formants"], np.exp(person["usual"]["tract"])
    start, length, gap = part["start"], part["length"], part["gap"]
    vowel, count = own[part["vowel"]], len(start)                                   # (n, 7)
    glide = 0.75 * vowel + 0.25 * own[part["glide"]]
    locus = vowel.copy()
    places = scale * np.array([c.formants for c in CONSONANTS])[part["consonant"]]
    locus[:, :3] = 0.7 * places + 0.3 * vowel[:, :3]        # the tongue knows what is to come
    rest = 1 - gap
    nodes = (start[:, None] + length[:, None] * np.stack(
        [0.2 * gap, 0.9 * gap, gap + 0.25 * rest, gap + 0.85 * rest], 1)).ravel()   # (4 n,)
    nasal = 0.7 * (part["consonant"] == NASAL)[:, None] * [1, 1, 0, 0]
    tilt = np.repeat(setting["tilt"] - EFFORT * part["level"], 4)
    tracks = np.c_[np.stack([locus, locus, vowel, glide], 1).reshape(4 * count, -1),
                   nasal.ravel(), tilt]                                             # (4 n, 9)
    time = np.arange(0, samples + STEP, STEP) / RATE
    tracks = np.stack([np.interp(time, nodes, track) for track in tracks.T], 1)     # (steps, 9)
    damped = np.exp(person["usual"]["bandwidths"] + tracks[:, -2:-1])
    return tracks[:, :-2], BANDWIDTHS * damped, np.clip(tracks[:, -1], 0.3, 30)


def filtered(x, response):
    """A signal through a response that changes every `STEP` (overlapping Hann windows).

    Parameters
    ----------
    x : (samples,)
    response : (steps, SIZE // 2 + 1), complex

    Returns
    -------
    (samples,)
    """
    padded = np.zeros((len(response) + 1) * STEP)
    padded[STEP:STEP + len(x)] = x
    frames = sliding_window_view(padded, 2 * STEP)[::STEP] * np.hanning(2 * STEP + 1)[:-1]
    pieces = irfft(rfft(frames, SIZE) * response)             # (steps, SIZE)
    out = np.zeros((len(response) + SIZE // STEP - 1, STEP))
    for part in range(SIZE // STEP):
        out[part:part + len(pieces)] += pieces[:, part * STEP:(part + 1) * STEP]
    return out.ravel()[STEP:STEP + len(x)]


def hisses(part, person, loud, time, rng):
    """Noise of the consonants -> (samples,), relative to a vowel of 0 dB."""
    kind = part["consonant"]
    closed, noise, band = (np.array([getattr(c, name) for c in CONSONANTS])[kind]
                           for name in ("closed", "noise", "band"))
    height = loud * 10 ** ((noise + person["usual"]["hiss"]) / 20)
    span = (part["length"] * part["gap"])[:, None]
    nodes = part["start"][:, None] + span * np.stack(
        [closed, closed + 0.1 + 0.15 * (closed == 0), 0 * closed + 0.85, 0 * closed + 1.1], 1)
    envelope = np.interp(time, nodes.ravel(), (height[:, None] * [0, 1, 0.8, 0]).ravel())
    steps = np.arange(0, len(time) + STEP, STEP) / RATE
    own = band[np.clip(np.searchsorted(part["start"], steps) - 1, 0, None)]
    own = np.repeat(own, STEP)[:len(time)]                                  # (samples,)
    white, out = rng.standard_normal(len(time)), np.zeros(len(time))
    for number, limits in enumerate(BANDS):
        coloured = lfilter(*butter(1, limits, "bandpass", fs=RATE), white)
        out += (own == number) * coloured / rms(coloured)
    return envelope * out


def speak(setting, person, spoken, seconds, rng):
    """Babble in the phrases of a recording.

    Speech at 0 dB loudness has root mean square 1 within the phrases.

    Parameters
    ----------
    setting : dict, as of `controls`
    person : dict, as of `identity`
    spoken : (phrases, 2), seconds
    seconds : float, of the recording
    rng : numpy Generator

    Returns
    -------
    (samples,) at 16 kHz
    """
    time = np.arange(round(seconds * RATE)) / RATE
    part = syllables(setting, spoken, rng)
    loud = 10 ** (part["level"] / 20)
    voiced = 10 ** (np.array([c.voice for c in CONSONANTS])[part["consonant"]] / 20)
    gap, rest = part["gap"], 1 - part["gap"]
    nodes = part["start"][:, None] + part["length"][:, None] * np.stack(
        [0.1 * gap, 0.9 * gap, gap + 0.08 * rest, gap + 0.5 * rest, gap + 0.85 * rest], 1)
    heights = loud[:, None] * np.stack([voiced, voiced, 0 * gap + 0.8, 0 * gap + 1,
                                        np.where(part["last"], 0.35, 0.55)], 1)
    envelope = np.interp(time, nodes.ravel(), heights.ravel())
    silent = np.ones(len(time), bool)
    for first, last in spoken:
        silent[round(first * RATE):round(last * RATE)] = False
    envelope[silent] = 0
    source = voiced_source(setting, person, part, envelope, time, rng)
    gain, denominator = tract_filter(*tract(setting, part, person, len(time)))
    voice = filtered(source, gain[:, None] / rfft(denominator, SIZE))
    hiss = hisses(part, person, loud, time, rng)
    hiss[silent] = 0
    speech = voice / rms(voice[~silent]) + hiss
    return speech * 10 ** (setting["loudness"] / 20) / rms(speech[~silent])


def microphone(place):
    """Impulse response of a microphone and its band, symmetric: (511,)."""
    frequency = np.maximum(np.linspace(0, RATE / 2, 257), 15)
    octaves = np.log2(frequency / 1000)
    gain = (place["slope"] * octaves + place["presence"] * np.exp(-(octaves - np.log2(3.4)) ** 2)
            - 10 * np.log10(1 + (place["low_cut"] / frequency) ** 4)        # two poles
            - 10 * np.log10(1 + (frequency / place["high_cut"]) ** 24))
    taps = np.roll(irfft(10 ** (gain / 20)), 255)[:511]
    return taps * np.hanning(511)


def background(place, shape, rng):
    """Noise of the room (samples, channels), root mean square 1: coloured, swelling, with hum."""
    noise = lfilter([1], [1, -place["colour"]], rng.standard_normal(shape), axis=0)
    time = np.arange(shape[0]) / RATE
    swell = np.exp(place["unsteady"] * rng.standard_normal(2 + shape[0] // (RATE // 4)))
    noise *= np.interp(4 * time, np.arange(len(swell)), swell)[:, None]     # four a second
    hum = np.sin(2 * np.pi * (place["mains"] * time + rng.random()))
    hum *= 1 + hum * (1 + hum)                              # with harmonics
    return noise / rms(noise) + 10 ** (place["hum"] / 20) * hum[:, None]


def record(speech, place, rng):
    """What the microphone hears of some speech.

    Parameters
    ----------
    speech : (n,), at 16 kHz
    place : dict, as of `conditions`
    rng : numpy Generator

    Returns
    -------
    (m, channels) in [-1, 1], at the sample rate of `place`
    """
    decay = np.exp(-6.9 * np.arange(1, round(place["reverberation"] * RATE))
                   / (place["reverberation"] * RATE))
    echo = rng.standard_normal(len(decay)) * decay
    echo *= 10 ** (place["wet"] / 20) / np.sqrt((echo**2).sum())
    taps = microphone(place)
    late = len(taps) // 2                                   # of a symmetric response
    response = fftconvolve(np.r_[1, echo], taps)
    heard = oaconvolve(speech, response)[late:late + len(speech)]
    limit = rms(heard) * 10 ** (place["limit"] / 20)
    heard = limit * np.tanh(heard / limit)
    heard *= rms(speech) / rms(heard)                       # loudness is what was set
    heard = np.stack([heard * 10 ** (-1.5 * channel / 20) for channel in range(place["channels"])],
                     1)
    noise = oaconvolve(background(place, heard.shape, rng), taps[:, None], "same", axes=0)
    heard = (heard + noise / rms(noise)
             * 10 ** (-place["noise"] / 20)) * 10 ** ((LEVEL + place["level"]) / 20)
    if place["sample_rate"] != RATE:
        heard = resample_poly(heard, place["sample_rate"] // 100, RATE // 100)
    # whoever records turns the gain down rather than clip
    return heard * min(1, 0.95 / np.abs(heard).max())


def write_recording(path, setting, person, place, spoken, seconds, rng):
    """Speak and record into a 16-bit WAV file (atomically: a half file never has its name)."""
    part = path.with_name(f".{path.stem}.part.wav")
    soundfile.write(part, record(speak(setting, person, spoken, seconds, rng), place, rng),
                    place["sample_rate"], "PCM_16")
    part.replace(path)
