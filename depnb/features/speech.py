"""Speech features of CFRAFN: a recording -> versions of it -> eGeMAPS (88) and VGGish (128).

Differs from the released code: a recording is read and augmented once for both feature sets;
preprocessing, which the authors ask for and for which their code at 9d15a26 has no step, is added;
a recording too short for VGGish loses both rows, never one. Augmentation `released` repeats theirs
number by number, `corrected` mends what makes no sense in it.
"""

import collections
import functools
import tempfile
import threading
import zlib
from pathlib import Path

import librosa
import numpy as np

from depnb.corpora.sound import AudioError, Facts, check_sound, heard, read_audio  # noqa: F401
from depnb.features import store, vggish

# after normalisation; openSMILE works on 16 bits, where a sample of +1 and above wraps around
PEAK = 0.9
QUIET = 40                  # dB below speech; less is silence
LOUDEST_NOISE = 20          # dB below speech; what is louder is none
HEADROOM = 6                # dB by which speech rises at moments
BANG = 10                   # dB above speech; something louder deserves a remark
SHORTEST_PAUSE = 0.2        # seconds; shorter gaps belong to articulation
CLIPPED = 1e-3              # share of samples at full scale that deserves a remark
MOST = 0.5                  # share of a recording; more of it as silence deserves a remark
LONG = 300                  # seconds; a longer recording goes through openSMILE in blocks
TOGETHER = 2000             # log-mel examples that wait for the network at most, 49 MB
AUGMENTED = ("original", "noise", "pitch", "stretch", "first half", "second half")
VERSIONS = {"none": ("original",), "released": AUGMENTED, "corrected": AUGMENTED}


def preprocess(samples, rate, mono=True, target_rate=16000, normalise=True, silence="remove"):
    """CFRAFN's preprocessing, step by step.

    The authors ask for recordings without silence and have no program for it: what counts as
    silence is ours. Pauses are a cue of depression themselves, so that `remove` costs information.

    Parameters
    ----------
    samples : (n,) or (n, channels)
    rate : Hz
    mono : mean of the channels (otherwise the first one alone)
    target_rate : Hz to resample to, 0: as it is
    normalise : loudest sample to 0.9
    silence : "remove", "ends" or "keep"
        remove: every pause of 0.2 s or more, see `threshold`; ends: only before and after the
        speech.

    Returns
    -------
    mapping step -> (samples, rate), in order, the last one is the result

    Raises
    ------
    AudioError
        When the channel, or the mean of channels that cancel each other, is silent.
    """
    return dict(_steps(samples, rate, mono, target_rate, normalise, silence))


def _steps(samples, rate, mono, target_rate, normalise, silence):
    """Steps of `preprocess`, one after the other, so that nobody has to hold them all."""
    yield "recording", (samples, rate)
    if samples.ndim == 2:
        samples = samples.mean(axis=1) if mono else samples[:, 0]
        check_sound(samples)
        yield "mono", (samples, rate)
    if target_rate and target_rate != rate:
        samples, rate = librosa.resample(samples, orig_sr=rate, target_sr=target_rate), target_rate
        yield f"{rate} Hz", (samples, rate)
    if normalise:
        samples = samples * np.float32(PEAK / max(samples.max(), -samples.min()))
        yield "normalised", (samples, rate)
    if silence != "keep":
        samples = without_silence(samples, rate, ends_only=silence == "ends")
        yield "without silence", (samples, rate)


def without_silence(samples, rate, ends_only=False):
    """The parts of a recording that are not silent, joined. (n,) -> (m,), m <= n."""
    level, hop = levels(samples, rate), round(0.01 * rate)
    loud = np.flatnonzero(np.diff(level > threshold(level), prepend=False, append=False))
    parts = np.minimum(loud.reshape(-1, 2) * hop, len(samples))         # starts and ends
    pauses = parts[1:, 0] - parts[:-1, 1]
    cut = np.flatnonzero(pauses >= SHORTEST_PAUSE * rate) if not ends_only else np.array([], int)
    starts, ends = np.r_[parts[0, 0], parts[cut + 1, 0]], np.r_[parts[cut, 1], parts[-1, 1]]
    return np.concatenate([samples[a:b] for a, b in zip(starts, ends, strict=True)])


def levels(samples, rate):
    """Level of each 40 ms, one every 10 ms, the first around the first sample.

    (n,) -> (1 + n // hop,) dB of full scale, -100 and above.
    """
    hop = round(0.01 * rate)
    end = len(samples) // hop * hop
    energy = [np.dot(part, part) for part in samples[:end].reshape(-1, hop)]
    energy = np.convolve([*energy, np.dot(samples[end:], samples[end:])], np.ones(4))
    return 10 * np.log10(np.maximum(energy[1:end // hop + 2] / (4 * hop), 1e-10))


def speech_level(level):
    """Level of the loudest moment, or HEADROOM above what is exceeded for longer.

    That is by 0.3 s, and by 10 % of the frames that stand out of the room's noise by 10 dB. A bang
    or a slammed door is over sooner: it does not make silence of speech. (frames,) dB -> dB
    """
    standing_out = np.count_nonzero(level > np.percentile(level, 5) + 10)
    held = np.sort(level)[-min(len(level), max(30, standing_out // 10))]
    return min(level.max(), held + HEADROOM)


def noise_floor(level):
    """Level of the quietest moments, percentile 5, relative to speech. (frames,) dB -> dB"""
    return np.percentile(level, 5) - speech_level(level)


def threshold(level):
    """Below what is silence: 40 dB below speech, higher where the room is loud.

    There it lies 35 % of the way from the room's noise (percentile 5) to the voice (percentile 90),
    at most 20 dB below speech, so that a voice without pauses is not cut.

    (frames,) dB -> dB
    """
    floor, voice = np.percentile(level, [5, 90])
    adapted = min(floor + 0.35 * (voice - floor), speech_level(level) - LOUDEST_NOISE)
    return max(speech_level(level) - QUIET, adapted, -100.0)


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
        bits can hold. Pitch and tempo by windows of 32 ms instead of 128, which smear onsets less:
        of nine voices, loudness rises slower by 4.2 a second instead of 6.7, HNR falls by 0.1 dB
        instead of 1.0, and 15 % of functionals move by a standard deviation instead of 24 %.

    Raises
    ------
    ValueError
        For another augmentation.
    """
    if augmentation == "none":
        return {"original": in_range(samples)}
    if augmentation == "released":
        noise = 0.05 * np.random.RandomState(seed).randn(len(samples))
        semitones, tempo, window = 2, 2, {}
    elif augmentation == "corrected":
        rng = np.random.default_rng([seed, zlib.crc32(samples.tobytes())])
        level = 0.1 * np.sqrt(np.mean(samples**2))          # -20 dB
        noise = rng.normal(0, level, len(samples)).astype(np.float32)
        semitones, tempo = rng.choice([-0.5, 0.5]), rng.choice([0.9, 1.1])
        window = {"n_fft": 2 ** round(np.log2(0.032 * rate))}
    else:
        raise ValueError(f"augmentation {augmentation!r}: choose {', '.join(VERSIONS)}.")
    half = len(samples) // 2
    made = (samples, samples + noise,
            librosa.effects.pitch_shift(samples, sr=rate, n_steps=semitones, **window),
            librosa.effects.time_stretch(samples, rate=tempo, **window),
            samples[:half], samples[half:])
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
    if len(samples) > LONG * rate:
        return _streamed(samples, rate)
    return _opensmile().process_signal(samples, rate).to_numpy(np.float32)[0]


def _streamed(samples, rate):
    """As `process_signal`, number by number, in less than half of its memory.

    The sound is handed over block by block through a ring, and openSMILE is told how many frames
    come, so that it does not have to double what it holds whenever it is full.
    """
    from opensmile.core.config import config

    smile, rows, over = _opensmile(), [], threading.Event()
    with tempfile.TemporaryDirectory() as folder:
        source, levels = Path(folder) / "source.inc", Path(folder) / "levels.inc"
        plain = Path(smile.default_config_root, config.EXTERNAL_INPUT_CONFIG).read_text()
        source.write_text(plain.replace("growDyn=1", "growDyn=0").replace(
            "isRb=0", f"isRb=1\nwriter.levelconf.nT={20 * rate}"))
        frames = 100 * len(samples) // rate + 100                # one every 10 ms
        levels.write_text("".join(f"writer.levelconf.{setting}\n" for setting in
                                  ("growDyn = 0", "isRb = 0", f"nT = {frames}")))
        engine = smile._smile({**smile._options(), "source": str(source), "sampleRate": rate,
                               "nBits": 16, "bufferModeConf": str(levels)})

    def feed():
        for start in range(0, len(samples), rate):
            block = (samples[start:start + rate] * 32768).astype(np.int16).tobytes()
            while not engine.external_audio_source_write_data(config.EXTERNAL_SOURCE_COMPONENT,
                                                              block) and not over.wait(0.01):
                pass
        engine.external_audio_source_set_eoi(config.EXTERNAL_SOURCE_COMPONENT)

    engine.external_sink_set_callback_ex(config.EXTERNAL_OUTPUT_COMPONENT,
                                         lambda row, _: rows.append(row.astype(np.float32)))
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        engine.run()
    finally:
        over.set()
        feeder.join()
        engine.free()
    return rows[0].reshape(-1)


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
        file; seconds (2,), as recorded and as used; reading (9,), `sound.Facts`; floor, of noise
        in dB below speech, see `noise_floor`; loudest, moment in dB above speech.
    """
    if network:
        vggish.network(network)                          # a wrong file shows before the work starts
    results, log_mel = [], {}
    for i, path in enumerate(paths):
        try:
            samples, rate, facts = heard(path, "mean" if mono else "first", target_rate)
            level = levels(samples, rate)
            floor, loudest = noise_floor(level), level.max() - speech_level(level)
            steps = _steps(samples, rate, mono, 0, normalise, silence)
            del samples                                  # in memory lies one step, and the next
            (_, (samples, _)), = collections.deque(steps, maxlen=1)
            _check_length(len(samples), rate, augmentation,
                          0 if silence == "keep" else facts.recorded)
            made, used = versions(samples, rate, augmentation, seed), len(samples) / rate
            del samples
            described = {"egemaps": np.stack([egemaps(v, rate) for v in made.values()]),
                         "seconds": np.array([facts.recorded, used]),
                         "reading": np.array(facts, float), "floor": floor,
                         "loudest": loudest}
            examples = [vggish.examples(v, rate) for v in made.values()]
            if network:
                log_mel[i] = examples
            else:
                described["vggish"] = np.stack([vggish.logmel_statistics(e) for e in examples])
            results.append(described)
        except (ValueError, OSError) as problem:
            results.append(problem)
        if sum(len(e) for several in log_mel.values() for e in several) > TOGETHER:
            _embed(log_mel, results, network, pca)
            log_mel = {}
    _embed(log_mel, results, network, pca)
    return results


recordings.version, recordings.batch = 4, 8


def _embed(log_mel, results, network, pca):
    """Add the embeddings of log-mel examples, mapping place in results -> one array a version."""
    if not log_mel:
        return
    embedded = iter(vggish.embed([e for several in log_mel.values() for e in several], network))
    for i, examples in log_mel.items():
        vectors = [next(embedded) for _ in examples]
        results[i]["vggish"] = np.stack([v.mean(0).numpy() for v in vectors])
        if pca:
            results[i]["vggish_pca"] = np.stack([vggish.postprocess(v, pca).mean(0).numpy()
                                                 for v in vectors])


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
    told = {name: " ".join(_remarks(arrays)) for name, arrays in features.items()
            if "reading" in arrays}                     # no damaged recording of `damage`
    return {name: sentences for name, sentences in told.items() if sentences}


def _remarks(arrays):
    facts, (recorded, used) = Facts(*arrays["reading"]), arrays["seconds"]
    yield from facts.remarks()
    if facts.clipped > CLIPPED:
        yield (f"{facts.clipped:.1%} of the samples are at full scale (clipped); "
               "loudness and jitter suffer. Record at a lower level, or leave it out.")
    if used < (1 - MOST) * recorded:
        yield (f"{1 - used / recorded:.0%} of it count as silence and are left out. "
               "Listen to it; a run with silence keep would use all.")
    if arrays["loudest"] > BANG:
        yield (f"its loudest moment lies {arrays['loudest']:.0f} dB above speech (a bang, or "
               "another's voice); by it the recording is normalised. Listen to it, and cut it out.")
    if arrays["floor"] > -QUIET:
        yield (f"its quietest moments lie less than {QUIET} dB below speech (a loud room, or no "
               "pause); what counts as a pause is less sure.")


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
