"""VGGish embeddings of speech (Hershey et al. 2017), by torchvggish with its pretrained weights.

    signal -> log-mel examples (96 frames of 10 ms, 64 bands) -> network
           -> 128 values an example -> PCA, 8 bits

Differs from torchvggish: the weights come from a checked file or a path, not always from the
network; the network is built once a process and takes the examples of many recordings together, in
channels-last order, each distinct example once (the first half of a recording shares its examples
with the full one). Without weights, statistics of the log-mel examples take the place of the
embedding, under another name.
"""

import functools
import importlib.util
import re
import socket
import zipfile
from pathlib import Path

import numpy as np

from depnb.features import store

# torch and torchvggish, 250 MB of memory, are imported by what needs them: log-mel does not

RATE = 16000                # Hz, of the examples
WINDOW, HOP = 400, 160      # samples of a frame, and from frame to frame
FRAMES = 96                 # of an example
SHORTEST = WINDOW + (2 * FRAMES - 1) * HOP                  # samples that give two examples
TOGETHER = 64               # examples whose spectra are taken together
SLICE = 16          # examples that pass the convolutions together: what the processor's cache holds
# as torch.hub: the first 8 digits of the SHA-256
NAMED_CHECKSUM = re.compile(r"-([0-9a-f]{8})\.pth$")


class WeightsError(ValueError):
    """Weights that cannot be used; the message names the file, what was expected and what to do."""


def examples(waveform, rate):
    """Log-mel examples of a signal.

    Frames and examples that are not complete are dropped, as in torchvggish.

    Parameters
    ----------
    waveform : (samples,), mono, in [-1, 1]
    rate : Hz

    Returns
    -------
    (examples, 96, 64) float32
    """
    if rate != RATE:
        from torchvggish import vggish_input

        return vggish_input.waveform_to_examples(waveform, rate, return_tensor=False).astype(
            np.float32)
    count = max(0, (len(waveform) - WINDOW) // HOP + 1) // FRAMES
    made = np.empty((count, FRAMES, 64), np.float32)
    for i in range(0, count, TOGETHER):                     # in double precision it takes memory
        begin, end = i * FRAMES * HOP, min(i + TOGETHER, count) * FRAMES * HOP + WINDOW - HOP
        made[i:i + TOGETHER] = _spectra().log_mel_spectrogram(
            waveform[begin:end], audio_sample_rate=RATE, log_offset=0.01, num_mel_bins=64,
            window_length_secs=WINDOW / RATE, hop_length_secs=HOP / RATE, lower_edge_hertz=125,
            upper_edge_hertz=7500).reshape(-1, FRAMES, 64)
    return made


@functools.lru_cache(maxsize=1)
def _spectra():
    """Torchvggish's module of spectra alone: importing the package would import torch."""
    package = importlib.util.find_spec("torchvggish")
    spec = importlib.util.spec_from_file_location(
        "mel_features", Path(package.origin).with_name("mel_features.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def logmel_statistics(log_mel):
    """Mean, then standard deviation, of each band. (examples, 96, 64) -> (128,) float32."""
    frames = log_mel.reshape(-1, log_mel.shape[-1])
    return np.r_[frames.mean(0), frames.std(0)]


def feature_names(name):
    """Names of the 128 columns of `vggish` or `logmel-statistics`."""
    if name == "vggish":
        return [f"vggish_{i}" for i in range(128)]
    return [f"logmel_{statistic}_{band}" for statistic in ("mean", "std") for band in range(64)]


@functools.lru_cache
def say(sentence):
    """Print a sentence, once a process."""
    print(sentence)


@functools.lru_cache
def locate(weights, cache, postprocess=True):
    """The weights, or what stands in for them.

    One printed sentence, once a process, says which and why.

    Parameters
    ----------
    weights : "auto" (torch.hub's folder, else a download to it), "none", or a path
        Of the network's file or of its folder (the PCA parameters lie beside it).
    cache : folder that remembers checksums

    Returns
    -------
    name : "vggish" or, where no weights can be had, "logmel-statistics"
    network, pca : files, or None

    Raises
    ------
    WeightsError
        For a path without weights, and for a file whose content is not what its name promises.
    """
    if weights == "none":
        say("Log-mel statistics stand in for VGGish (weights: none).")
        return "logmel-statistics", None, None
    import torch
    from torchvggish.torchvggish import PCA_PARAMS, VGGISH_WEIGHTS

    if weights == "auto":
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        network, pca = (folder / url.rsplit("/", 1)[1] for url in (VGGISH_WEIGHTS, PCA_PARAMS))
        try:
            for url, file in ((VGGISH_WEIGHTS, network), (PCA_PARAMS, pca)):
                if not file.exists():
                    download(url, file)
        except OSError as error:
            say("Log-mel statistics stand in for VGGish: "
                f"its weights could not be downloaded ({why(error)}); "
                "give a path, or see to the connection, and run again.")
            return "logmel-statistics", None, None
    else:
        path = Path(weights)
        candidates = [path] if path.is_file() else sorted(path.glob("vggish-*.pth"))
        network = next(iter(candidates), path / "vggish-*.pth")
        pca = next(iter(sorted(network.parent.glob("vggish_pca_params*.pth"))), None)
        if not network.is_file():
            raise WeightsError(f"{weights}: no VGGish weights there; expected "
                               f"{VGGISH_WEIGHTS.rsplit('/', 1)[1]} or the folder that holds it. "
                               "Download it from torchvggish's release v0.1, or use auto or none.")
        if postprocess and pca is None:
            raise WeightsError(f"{network.parent}: no PCA parameters beside the weights; "
                               f"expected {PCA_PARAMS.rsplit('/', 1)[1]}. "
                               "Download it too, or switch postprocess off.")
    for file in filter(None, (network, pca)):
        promised = NAMED_CHECKSUM.search(file.name)
        digest = store.content_hash(file, Path(cache) / "hashes")
        if promised and not digest.startswith(promised[1]):
            raise WeightsError(f"{file}: its SHA-256 begins with {digest[:8]}, "
                               f"expected {promised[1]}. Delete the file and download it again.")
    say("VGGish embeddings by "
        f"{network.name}{', PCA and 8 bits' if postprocess else ', without post-processing'}.")
    return "vggish", network, pca


def why(error):
    """What kept a download from coming, in words without a number. OSError -> str."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, socket.gaierror):
        return "no connection"
    return getattr(reason, "strerror", None) or str(reason)


def download(url, file, seconds=20):
    """Fetch a weights file, in full or not at all.

    Raises
    ------
    OSError
        Without a connection.
    WeightsError
        On a wrong checksum.
    """
    import torch

    file.parent.mkdir(parents=True, exist_ok=True)
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        torch.hub.download_url_to_file(url, str(file), hash_prefix=NAMED_CHECKSUM.search(url)[1])
    except RuntimeError as error:
        raise WeightsError(f"{url}: what came is not the file ({error}). "
                           f"Download it by hand to {file}.") from None
    finally:
        socket.setdefaulttimeout(before)


@functools.lru_cache(maxsize=1)
def network(file):
    """The network, 72,141,184 parameters, in evaluation mode.

    One a process; processes share the file's memory.

    Raises
    ------
    WeightsError
        When the file holds something else.
    """
    import torch
    from torchvggish.torchvggish import VGG, VGGISH_WEIGHTS, make_layers

    with torch.device("meta"):
        net = VGG(make_layers(), postprocess=False)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True,
                           mmap=zipfile.is_zipfile(file))
        net.load_state_dict(state, assign=True)
    except Exception as error:
        raise WeightsError(f"{file}: not VGGish weights ({str(error).splitlines()[0]}). Download "
                           f"{VGGISH_WEIGHTS.rsplit('/', 1)[1]} again.") from None
    net.features.to(memory_format=torch.channels_last)
    return net.eval().requires_grad_(False)


def embed(batch, file):
    """Embeddings of several signals, all through the network together.

    Parameters
    ----------
    batch : list of (examples, 96, 64)
    file : the network's weights

    Returns
    -------
    list of (examples, 128) float32 tensors, >= 0
    """
    import torch

    places = {}                            # an example's content -> its row among the distinct ones
    rows = [places.setdefault(example.tobytes(), len(places))
            for signal in batch for example in signal]
    distinct = np.frombuffer(b"".join(places), np.float32).reshape(-1, 1, *batch[0].shape[1:])
    distinct = torch.from_numpy(distinct.copy()).contiguous(memory_format=torch.channels_last)
    net = network(file)
    with torch.inference_mode():
        maps = torch.cat([net.features(part) for part in distinct.split(SLICE)])  # (n, 512, 6, 4)
        embeddings = net.embeddings(maps.permute(0, 2, 3, 1).flatten(1))        # (n, 128)
    return list(embeddings[rows].split([len(signal) for signal in batch]))


@functools.lru_cache(maxsize=1)
def pca_parameters(file):
    """Eigenvectors (128, 128) and means (128, 1) of the post-processing, float32.

    Raises
    ------
    WeightsError
        When the file holds something else.
    """
    import torch
    from torchvggish.torchvggish import PCA_PARAMS

    # the released file holds NumPy arrays, pickled by NumPy 1
    rebuild = np.empty(0).__reduce__()[0]
    try:
        with torch.serialization.safe_globals(
            [rebuild, (rebuild, "numpy.core.multiarray._reconstruct"), np.ndarray, np.dtype,
             np.dtypes.Float32DType, np.dtypes.Float64DType]):
            stored = torch.load(file, map_location="cpu", weights_only=True)
        return (torch.as_tensor(stored["pca_eigen_vectors"]).float().reshape(128, 128),
                torch.as_tensor(stored["pca_means"]).float().reshape(128, 1))
    except Exception as error:
        raise WeightsError(f"{file}: "
                           f"not the PCA parameters of VGGish ({str(error).splitlines()[0]}). "
                           f"Download {PCA_PARAMS.rsplit('/', 1)[1]} again.") from None


def postprocess(embeddings, file):
    """PCA, clipped to [-2, 2], in 8 bits.

    (examples, 128) -> the same shape, whole numbers from 0 to 255, float32.
    """
    import torch

    vectors, means = pca_parameters(file)
    whitened = torch.mm(vectors, embeddings.t() - means).t()
    return torch.round((whitened.clamp(-2, 2) + 2) * (255 / 4))
