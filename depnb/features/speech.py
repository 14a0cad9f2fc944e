"""Speech features of CFRAFN: a recording -> versions of it -> eGeMAPS (88) and VGGish (128).

Differs from the released code: a recording is read and augmented once for both feature sets;
preprocessing, which the authors ask for and for which their code at 9d15a26 has no step, is added;
a recording too short for VGGish loses both rows, never one. Augmentation `released` repeats theirs
number by number, `corrected` mends what makes no sense in it.
"""

import functools
import zlib

import librosa
import numpy as np
import soundfile

from depnb.corpora.readers import AudioError, check_sound, read_audio
from depnb.features import store, vggish

# after normalisation; openSMILE works on 16 bits, where a sample of +1 and above wraps around
PEAK = 0.9
QUIET = 40                  # dB below the loudest moment; less is silence
SHORTEST_PAUSE = 0.2        # seconds; shorter gaps belong to articulation
CLIPPED = 0.999, 1e-3       # of full scale; share of samples there that deserves a remark
AUGMENTED = ("original", "noise", "pitch", "stretch", "first half", "second half")
VERSIONS = {"none": ("original",), "released": AUGMENTED, "corrected": AUGMENTED}


def preprocess(samples, rate, mono=True, target_rate=16000, normalise=True, silence="remove"):
    """CFRAFN's preprocessing, step by step.

    Pauses are a cue of depression themselves, so that `remove`, which the authors ask for, costs
    information.

    Parameters
    ----------
    samples : (n,) or (n, channels)
    rate : Hz
    mono : mean of the channels (otherwise the first one alone)
    target_rate : Hz to resample to, 0: as it is
    normalise : loudest sample to 0.9
    silence : "remove", "ends" or "keep"
        remove: every pause of 0.2 s or more below -40 dB of the loudest moment; ends: only before
        and after the speech.

    Returns
    -------
    mapping step -> (samples, rate), in order, the last one is the result

    Raises
    ------
    AudioError
        When the channel, or the mean of channels that cancel each other, is silent.
    """
    steps = {"recording": (samples, rate)}
    if samples.ndim == 2:
        samples = samples.mean(axis=1) if mono else samples[:, 0]
        check_sound(samples)
        steps["mono"] = samples, rate
    if target_rate and target_rate != rate:
        samples, rate = librosa.resample(samples, orig_sr=rate, target_sr=target_rate), target_rate
        steps[f"{rate} Hz"] = samples, rate
    if normalise:
        samples = samples * np.float32(PEAK / np.abs(samples).max())
        steps["normalised"] = samples, rate
    if silence != "keep":
        samples = without_silence(samples, rate, ends_only=silence == "ends")
        steps["without silence"] = samples, rate
    return steps


def without_silence(samples, rate, ends_only=False):
    """The parts of a recording that are not silent, joined. (n,) -> (m,), m <= n."""
    hop = round(0.01 * rate)
    parts = librosa.effects.split(samples, top_db=QUIET, frame_length=4 * hop, hop_length=hop)
    pauses = parts[1:, 0] - parts[:-1, 1]
    cut = np.flatnonzero(pauses >= SHORTEST_PAUSE * rate) if not ends_only else np.array([], int)
    starts, ends = np.r_[parts[0, 0], parts[cut + 1, 0]], np.r_[parts[cut, 1], parts[-1, 1]]
    return np.concatenate([samples[a:b] for a, b in zip(starts, ends, strict=True)])


def versions(samples, rate, augmentation="none", seed=42):
    """Waveform augmentation: mapping version -> samples.

    Parameters
    ----------
    samples : (n,)
    rate : Hz
    augmentation : "none", "released" or "corrected"
        none: the original alone. released: noise of 0.05 from NumPy's legacy generator, the same
        for every recording and whatever its level (float64); pitch 2 semitones up; twice as fast;
        first and second half. corrected: noise 20 dB below the recording, drawn from its content,
        so that no two share it; pitch half a semitone up or down and tempo a tenth slower or
        faster, because pitch and rate are cues themselves; the same halves; nothing beyond what 16
        bits can hold.

    Raises
    ------
    ValueError
        For another augmentation.
    """
    if augmentation == "none":
        return {"original": in_range(samples)}
    if augmentation == "released":
        noise = 0.05 * np.random.RandomState(seed).randn(len(samples))
        semitones, tempo = 2, 2
    elif augmentation == "corrected":
        rng = np.random.default_rng([seed, zlib.crc32(samples.tobytes())])
        level = 0.1 * np.sqrt(np.mean(samples**2))          # -20 dB
        noise = rng.normal(0, level, len(samples)).astype(np.float32)
        semitones, tempo = rng.choice([-0.5, 0.5]), rng.choice([0.9, 1.1])
    else:
        raise ValueError(f"augmentation {augmentation!r}: choose {', '.join(VERSIONS)}.")
    half = len(samples) // 2
    made = (samples, samples + noise,
            librosa.effects.pitch_shift(samples, sr=rate, n_steps=semitones),
            librosa.effects.time_stretch(samples, rate=tempo), samples[:half], samples[half:])
    return {name: version if augmentation == "released" else in_range(version)
            for name, version in zip(AUGMENTED, made, strict=True)}


def in_range(samples):
    """Clipped to what 16 bits hold."""
    return np.clip(samples, -1, 1 - 2**-15)


@functools.lru_cache(maxsize=1)
def _opensmile():
    import opensmile  # here, not at the top: half a second to import

    return opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02,
                           feature_level=opensmile.FeatureLevel.Functionals)


def egemaps(samples, rate):
    """88 eGeMAPSv02 functionals of one signal (Eyben et al. 2016), raw units.

    samples (n,) in [-1, 1) -> (88,) float32.
    """
    return _opensmile().process_signal(samples, rate).to_numpy(np.float32)[0]


def egemaps_names():
    """Names of the 88 columns, in openSMILE's order."""
    return list(_opensmile().feature_names)


def recordings(paths, augmentation, seed, mono, target_rate, normalise, silence, network, pca):
    """Both feature sets of several recordings; VGGish takes them together.

    An extractor for `store.extract`.

    Returns
    -------
    list, for each path the error that bars it or its arrays
        egemaps (versions, 88); vggish (versions, 128), mean embedding, or log-mel statistics if
        network is None; vggish_pca (versions, 128), mean of post-processed embeddings, if pca is a
        file; seconds (2,), as recorded and as used; clipped, share of samples at full scale.
    """
    if network:
        vggish.network(network)                          # a wrong file shows before the work starts
    results, log_mel = [], {}
    for i, path in enumerate(paths):
        try:
            samples, rate = read_audio(path, mono=False)
            steps = preprocess(samples, rate, mono, target_rate, normalise, silence)
            used, used_rate = list(steps.values())[-1]
            _check_length(len(used), used_rate, augmentation,
                          0 if silence == "keep" else len(samples) / rate)
            made = versions(used, used_rate, augmentation, seed).values()
            results.append({"egemaps": np.stack([egemaps(v, used_rate) for v in made]),
                            "seconds": np.array([len(samples) / rate, len(used) / used_rate]),
                            "clipped": clipped(samples, path)})
            log_mel[i] = [vggish.examples(v, used_rate) for v in made]
        except (ValueError, OSError) as problem:
            results.append(problem)
    if network is None:
        for i, examples in log_mel.items():
            results[i]["vggish"] = np.stack([vggish.logmel_statistics(e) for e in examples])
    elif log_mel:
        all_examples = [e for examples in log_mel.values() for e in examples]
        embedded = iter(vggish.embed(all_examples, network))
        for i, examples in log_mel.items():
            vectors = [next(embedded) for _ in examples]
            results[i]["vggish"] = np.stack([v.mean(0).numpy() for v in vectors])
            if pca:
                results[i]["vggish_pca"] = np.stack([vggish.postprocess(v, pca).mean(0).numpy()
                                                     for v in vectors])
    return results


recordings.version, recordings.batch = 2, 8


def clipped(samples, path):
    """Share of samples at full scale; none of a file of floats that goes beyond it."""
    levels = np.abs(samples)
    try:
        floats = soundfile.info(path).subtype in ("FLOAT", "DOUBLE")
    except soundfile.LibsndfileError:
        floats = False
    return np.mean(levels >= CLIPPED[0]) if not floats or levels.max() <= 1 else np.float64(0)


def _check_length(samples, rate, augmentation, before=0):
    """Every version must give two VGGish examples: with one, the released code lost the VGGish row
    and kept the other. before: seconds that were recorded, 0 where no silence was removed.
    """
    parts = 1 if augmentation == "none" else 2              # halves, and twice as fast
    needed, seconds = parts * vggish.SHORTEST / vggish.RATE, samples / rate
    if samples // parts * vggish.RATE / rate < vggish.SHORTEST:
        helps = [word for word, would in (("augmentation none", seconds >= needed / parts < needed),
                                          ("silence keep", before >= needed)) if would]
        would = f" A run with {' or '.join(helps)} would take it." if helps else ""
        raise AudioError(f"{seconds:.2f} s of sound after preprocessing; expected {needed:.2f} s, "
                         f"so that {'every version' if parts == 2 else 'the recording'} gives two "
                         f"VGGish examples.{would} Record longer, or leave the recording out.")


def extract(files, cache, workers=-1, augmentation="none", seed=42, weights="auto",
            postprocess=True, mono=True, target_rate=16000, normalise=True, silence="remove"):
    """Both feature sets of many recordings, in parallel, through the cache.

    Parameters
    ----------
    files : mapping name -> path
    cache : folder
    augmentation, seed : see `versions`
    weights, postprocess : see `vggish.locate`
    mono, target_rate, normalise, silence : see `preprocess`

    Returns
    -------
    features : mapping name -> {"egemaps": (versions, 88), "vggish": (versions, 128), …}
        See `recordings`; rows are the versions, in the order of VERSIONS[augmentation].
    problems : mapping name -> sentence about what is wrong
    name : "vggish" or "logmel-statistics"

    Raises
    ------
    vggish.WeightsError
    ValueError
        For an unknown augmentation or silence.
    """
    if augmentation not in VERSIONS or silence not in ("remove", "ends", "keep"):
        raise ValueError(f"augmentation {augmentation!r}, silence {silence!r}: "
                         f"choose {', '.join(VERSIONS)}; remove, ends or keep.")
    name, network, pca = vggish.locate(str(weights), str(cache), postprocess)
    features, problems = store.extract(
        files, recordings, cache, workers=workers, augmentation=augmentation, seed=seed, mono=mono,
        target_rate=target_rate, normalise=normalise, silence=silence, network=network, pca=pca)
    if name == "vggish" and postprocess:
        features = {file: {**arrays, "vggish": arrays["vggish_pca"]}
                    for file, arrays in features.items()}
    return features, problems, name


def remarks(features):
    """What a user should know about recordings that are used all the same, by name."""
    return {name: f"{arrays['clipped']:.1%} of the samples are at full scale (clipped); "
            "loudness and jitter suffer. Record at a lower level, or leave it out."
            for name, arrays in features.items() if arrays["clipped"] > CLIPPED[1]}


class VectorAugmentation:
    """Augmented training matrices, anew every epoch.

    What an epoch draws depends on (seed, epoch) alone, so that a resumed run draws the same.

    Parameters
    ----------
    egemaps : (rows, 88)
    vggish : (rows, 128)
    kind : "none", "released", see `released_vectors`, or "corrected"
        corrected: of every row, in both matrices alike, half the time noise of 0.1 of the feature's
        standard deviation over these rows, else nothing.
    """

    def __init__(self, egemaps, vggish, kind, seed=42):
        if kind not in VERSIONS:
            raise ValueError(f"vector augmentation {kind!r}: choose {', '.join(VERSIONS)}.")
        self.matrices = [np.asarray(egemaps, np.float32), np.asarray(vggish, np.float32)]
        self.kind, self.seed, self.next_epoch, self.legacy = kind, seed, 0, None

    def __call__(self, epoch):
        """Matrices of an epoch, counted from 0 -> (egemaps, vggish), float32."""
        if self.kind == "none":
            return tuple(self.matrices)
        if self.kind == "corrected":
            rng = np.random.default_rng([self.seed, epoch])
            noisy = rng.random((len(self.matrices[0]), 1)) < 0.5
            noises = [noisy * 0.1 * m.std(0) * rng.standard_normal(m.shape) for m in self.matrices]
            return tuple((m + noise).astype(np.float32)
                         for m, noise in zip(self.matrices, noises, strict=True))
        if epoch < self.next_epoch or self.legacy is None:
            self.legacy, self.next_epoch = np.random.RandomState(self.seed), 0
        while self.next_epoch <= epoch:                   # one stream of numbers through all epochs
            made = tuple(released_vectors(m, self.legacy) for m in self.matrices)
            self.next_epoch += 1
        return made


def released_vectors(matrix, rng):
    """The authors' augmentation of feature vectors, which treats a list of features as a signal.

    One of six versions a row: itself; with noise of 0.05; rolled by two columns (their "pitch
    shift"); interpolated to 0.5, 1.5 or 2 times its length and cut or padded (their "time
    stretch"); second half zero; first half zero.

    Parameters
    ----------
    matrix : (rows, n) float32
    rng : numpy.random.RandomState, drawn from in their order

    Returns
    -------
    (rows, n) float32
    """
    out, n = matrix.copy(), matrix.shape[1]
    for row in out:
        noise, stretch, version = rng.randn(n), (0.5, 1.5, 2.0)[rng.randint(3)], rng.randint(6)
        if version == 1:
            row += 0.05 * noise
        elif version == 2:
            row[2:], row[:2] = row[:-2].copy(), 0
        elif version == 3:
            stretched = np.interp(np.linspace(0, n - 1, int(n * stretch)), np.arange(n), row)[:n]
            row[:len(stretched)], row[len(stretched):] = stretched, 0
        elif version == 4:
            row[n // 2:] = 0
        elif version == 5:
            row[:n // 2] = 0
    return out
