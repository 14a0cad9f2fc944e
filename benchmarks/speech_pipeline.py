"""eGeMAPS and VGGish of training recordings, six versions of each: ours beside the released way.

python benchmarks/speech_pipeline.py --save benchmarks/results/speech_pipeline.csv
python benchmarks/speech_pipeline.py --minutes 30

Plain: one file after another in one process; each is read and augmented once for eGeMAPS and once
more for VGGish, whose network is built anew for every file and takes one version at a time, as the
released code has it. Ours: `depnb.features.speech`; cold, with an empty cache (worker processes
stand ready, as after a first call); warm, everything in the cache. Simulated voices and random
VGGish weights of full size; every number is compared before anything is timed.

The second command tells what one long recording at 44.1 kHz costs, mono and stereo: time and the
largest memory of a fresh process without VGGish's weights, in which nothing else has been done.
"""

import itertools
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import librosa
import numpy as np
import soundfile

from depnb.features import speech


def released(files, weights):
    """The released procedure for training: eGeMAPS (files, 6, 88), VGGish (files, 6, 128)."""
    import torch
    from torchvggish import vggish_input
    from torchvggish.torchvggish import VGG, Postprocessor, make_layers

    egemaps, embeddings = [], []
    for file in files.values():
        samples, rate = librosa.load(file, sr=None)
        egemaps.append([speech.egemaps(v, rate)
                        for v in speech.versions(samples, rate, "released").values()])
    for file in files.values():
        net = VGG(make_layers(), postprocess=False)
        net.load_state_dict(torch.load(weights / "vggish-random.pth"))
        pca = torch.load(weights / "vggish_pca_params-random.pth")
        pca = SimpleNamespace(_pca_matrix=pca["pca_eigen_vectors"], _pca_means=pca["pca_means"])
        samples, rate = librosa.load(file, sr=None)
        made = speech.versions(samples, rate, "released").values()
        with torch.no_grad():
            embeddings.append([Postprocessor.postprocess(
                pca, net.eval()(vggish_input.waveform_to_examples(v, rate))).mean(0) for v in made])
    return np.array(egemaps), np.array(embeddings)


def ours(files, weights, cache, workers):
    """The same, without the preprocessing that the released code lacks: mapping name -> arrays."""
    features, problems, _ = speech.extract(files, cache, workers, "released", weights=weights,
                                           target_rate=0, normalise=False, silence="keep")
    assert not problems, problems
    return features


def check_equal(files, weights, cache, workers):
    """AssertionError where both ways give other numbers."""
    features = ours(files, weights, cache, workers)
    egemaps, embeddings = released(files, weights)
    np.testing.assert_allclose([f["egemaps"] for f in features.values()], egemaps, rtol=1e-6)
    apart = np.abs(np.array([f["vggish"] for f in features.values()]) - embeddings)
    assert apart.max() < 0.5, apart.max()  # of 255: a rounding to 8 bits may fall to the other side
    print(f"eGeMAPS equal; VGGish, {embeddings.min():.0f} to {embeddings.max():.0f}, "
          f"within {apart.max():.3f}, {np.mean(apart > 1e-3):.2%} differ at all.")


def prepare(folder, count, seconds):
    """Write voices and weights -> mapping name -> WAV file, 16 kHz mono."""
    import torch
    from torchvggish.torchvggish import VGG, make_layers

    from depnb.simulation import voice

    torch.manual_seed(0)
    net = VGG(make_layers(), postprocess=False)
    for weight in net.parameters():
        if weight.dim() > 1:
            torch.nn.init.kaiming_normal_(weight, nonlinearity="relu")
    torch.save(net.state_dict(), folder / "vggish-random.pth")
    torch.save({"pca_eigen_vectors": torch.linalg.qr(torch.randn(128, 128))[0],
                "pca_means": torch.ones(128, 1)}, folder / "vggish_pca_params-random.pth")
    files = {}
    for i in range(count):
        rng = np.random.default_rng(i)
        person = voice.identity(("female", "male")[i % 2], rng)
        setting, _ = voice.controls({control.cue: 0.0 for control in voice.CONTROLS.values()},
                                    person, rng)
        place = {**voice.conditions(rng), "sample_rate": 16_000, "channels": 1}
        files[f"voice {i}"] = folder / f"{i}.wav"
        spoken = voice.phrases(setting, seconds, rng)
        voice.write_recording(files[f"voice {i}"], setting, person, place, spoken, seconds, rng)
    return files


def long_recording(path, minutes, channels, rate=44_100):
    """Write phrases of noise with pauses, a minute of them again and again."""
    rng, t = np.random.default_rng(0), np.arange(60 * rate) / rate
    envelope = np.maximum(np.sin(2 * np.pi * t / 3), 0.003)             # 1.5 s on, 1.5 s off
    minute = 0.2 * np.sin(2 * np.pi * 120 * t) + 0.05 * rng.standard_normal(len(t))
    minute = np.outer(envelope * minute, np.linspace(1, 0.5, channels))
    with soundfile.SoundFile(path, "w", rate, channels) as file:
        for _ in range(round(minutes)):
            file.write(minute)


def one_recording(path):
    """Print what a recording costs this process."""
    began = time.perf_counter()
    result, = speech.recordings([path], "none", 42, True, 16_000, True, "remove", None, None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000          # Linux: kilobytes
    print(f"{result['seconds'][0]:.0f} s, of which {result['seconds'][1]:.0f} are used: "
          f"{time.perf_counter() - began:.0f} s, {peak:.0f} MB at most")


def main():
    """The command line."""
    if sys.argv[1:2] == ["--one"]:
        return one_recording(sys.argv[2])
    from paired import arguments, compare, report  # they import torch

    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--recordings", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--workers", type=int, default=-1)
    parser.add_argument("--minutes", type=float, help="only: what one recording of them costs")
    a = parser.parse_args()
    if a.minutes:
        with tempfile.TemporaryDirectory() as folder:
            for channels in (1, 2):
                long_recording(path := f"{folder}/{channels}.wav", a.minutes, channels)
                subprocess.run([sys.executable, __file__, "--one", path], check=True)
        return None
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        files = prepare(folder, a.recordings, a.seconds)
        check_equal(dict(itertools.islice(files.items(), 2)), folder, folder / "check", a.workers)
        caches = (folder / f"cold-{i}" for i in itertools.count())
        what = f"{a.recordings} recordings of {a.seconds:g} s"
        rows = {f"{what}, cold": compare(lambda: released(files, folder),
                                         lambda: ours(files, folder, next(caches), a.workers),
                                         a.rounds), f"{what}, warm":
                compare(lambda: released(files, folder),
                        lambda: ours(files, folder, folder / "warm", a.workers), 1)}
    return report(rows, a.save)


if __name__ == "__main__":
    main()
