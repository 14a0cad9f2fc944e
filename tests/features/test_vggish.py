"""VGGish: the same numbers as torchvggish, weights only after a check, a named stand-in without
them.
"""

import hashlib
import socket
import urllib.error
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from torchvggish.torchvggish import VGG, Postprocessor, make_layers

from depnb.features import vggish
from tests.paths import GOLDEN


@pytest.fixture(autouse=True)
def fresh():
    """Every test looks for weights anew, and hears about it."""
    vggish.locate.cache_clear()
    vggish.say.cache_clear()
    vggish.network.cache_clear()
    vggish.pca_parameters.cache_clear()


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A folder with random weights.

    Linear layers are Hankel matrices: kilobytes on disk instead of 288 MB.
    """
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in VGG(make_layers(), False).state_dict().items()}
    state = {k: 1.5 * torch.randn(s) / max(1, s[1:].numel()) ** 0.5 if len(s) != 2
             else (1.5 * torch.randn(sum(s)) / s[1] ** 0.5).as_strided(s, (1, 1))
             for k, s in shapes.items()}
    torch.save(state, folder / "vggish-random.pth")
    rng = np.random.default_rng(0)
    torch.save({"pca_eigen_vectors": rng.normal(size=(128, 128)),
                "pca_means": rng.normal(size=128)}, folder / "vggish_pca_params-random.pth")
    return folder


@pytest.fixture
def log_mel():
    waveform, rate = soundfile.read(GOLDEN / "speech_a.flac", dtype="float32")
    return vggish.examples(waveform, rate)


def reference(weights):
    """torchvggish's own network with these weights."""
    net = VGG(make_layers(), False)
    net.load_state_dict(torch.load(weights / "vggish-random.pth"))
    return net.eval()


def test_examples_equal_torchvggish(log_mel, golden):
    expected, _ = golden("vggish_examples_a")
    bits = expected["output/log_mel_examples_bytes"].T.copy().view(np.float32)
    np.testing.assert_array_equal(log_mel[:, None], bits.reshape(3, 1, 96, 64))


def test_incomplete_examples_are_dropped_and_the_shortest_signal_gives_two():
    rng = np.random.default_rng(0)
    assert len(vggish.examples(rng.normal(size=vggish.SHORTEST), 16000)) == 2
    assert len(vggish.examples(rng.normal(size=vggish.SHORTEST - 1), 16000)) == 1
    assert len(vggish.examples(rng.normal(size=2 * 22050), 22050)) == 2         # resampled


def test_the_network_equals_torchvggish_signal_by_signal(log_mel, weights):
    together = vggish.embed([log_mel, log_mel[:2], log_mel[1:] + 1], weights / "vggish-random.pth")
    assert [len(e) for e in together] == [3, 2, 2]
    net = reference(weights)
    with torch.no_grad():
        for examples, embedding in zip([log_mel, log_mel[:2], log_mel[1:] + 1], together,
                                       strict=True):
            expected = net(torch.from_numpy(examples)[:, None])
            assert expected.std() > 0.01
            assert (embedding - expected).abs().max() < 2e-5 * expected.max()


def test_an_example_that_occurs_twice_is_computed_once(log_mel, weights):
    net, seen = vggish.network(weights / "vggish-random.pth"), []
    hook = net.embeddings.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    full, half = vggish.embed([log_mel, log_mel[:2].copy()], weights / "vggish-random.pth")
    hook.remove()
    assert seen == [3]
    torch.testing.assert_close(full[:2], half, atol=0, rtol=0)


def test_one_network_a_process_with_the_published_number_of_parameters(weights):
    net = vggish.network(weights / "vggish-random.pth")
    assert vggish.network(weights / "vggish-random.pth") is net
    assert sum(p.numel() for p in net.parameters()) == 72_141_184
    assert not net.training


def test_post_processing_equals_torchvggish(weights):
    embeddings = torch.randn(5, 128, generator=torch.Generator().manual_seed(0)) / 8
    vectors, means = vggish.pca_parameters(weights / "vggish_pca_params-random.pth")
    theirs = Postprocessor.postprocess(SimpleNamespace(_pca_matrix=vectors, _pca_means=means),
                                       embeddings)
    ours = vggish.postprocess(embeddings, weights / "vggish_pca_params-random.pth")
    torch.testing.assert_close(ours, theirs, atol=0, rtol=0)
    assert 0 <= ours.min() < 100 < 150 < ours.max() <= 255
    assert torch.equal(ours, ours.round())
    assert vggish.postprocess(embeddings[:1], weights / "vggish_pca_params-random.pth").shape == (
        1, 128)


def test_files_of_older_torch_and_numpy_load(weights, tmp_path):
    state = torch.load(weights / "vggish-random.pth")
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.testing.assert_close(vggish.network(tmp_path / "old.pth").features[0].weight,
                               state["features.0.weight"])
    stored = {"pca_eigen_vectors": np.eye(128, dtype=np.float32), "pca_means": np.zeros((128, 1))}
    torch.save(stored, tmp_path / "pca.pth", _use_new_zipfile_serialization=False)
    old = (tmp_path / "pca.pth").read_bytes().replace(b"cnumpy._core.multiarray\n",
                                                      b"cnumpy.core.multiarray\n")
    assert b"numpy.core.multiarray" in old
    (tmp_path / "pca.pth").write_bytes(old)
    vectors, means = vggish.pca_parameters(tmp_path / "pca.pth")
    assert torch.equal(vectors, torch.eye(128))
    assert torch.equal(means, torch.zeros(128, 1))


def test_a_file_that_is_no_checkpoint_and_one_of_another_network_are_named(tmp_path):
    (tmp_path / "garbage.pth").write_bytes(b"not a checkpoint")
    torch.save({"features.0.weight": torch.zeros(1)}, tmp_path / "other.pth")
    for name in ("garbage.pth", "other.pth"):
        with pytest.raises(vggish.WeightsError, match=f"{name}: not VGGish weights .*Download"):
            vggish.network(tmp_path / name)
        with pytest.raises(vggish.WeightsError, match=f"{name}: not the PCA parameters of VGGish"):
            vggish.pca_parameters(tmp_path / name)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    torch.save({"features.0.weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(vggish.WeightsError, match=r"evil\.pth: not VGGish weights"):
        vggish.network(tmp_path / "evil.pth")


def test_weights_by_path_and_what_is_missing(weights, tmp_path, capsys):
    for path in (weights, weights / "vggish-random.pth"):
        name, network, pca = vggish.locate(str(path), tmp_path)
        assert (name, network.name, pca.name) == ("vggish", "vggish-random.pth",
                                                  "vggish_pca_params-random.pth")
    assert vggish.locate(str(weights), tmp_path) == (name, network, pca)
    assert capsys.readouterr().out == "VGGish embeddings by vggish-random.pth, PCA and 8 bits.\n"
    with pytest.raises(vggish.WeightsError,
                       match=r"nowhere: no VGGish weights there; expected vggish-10086976\.pth"):
        vggish.locate(str(tmp_path / "nowhere"), tmp_path)
    (tmp_path / "vggish-random.pth").symlink_to(weights / "vggish-random.pth")
    with pytest.raises(vggish.WeightsError,
                       match=r"no PCA parameters beside .* switch postprocess off"):
        vggish.locate(str(tmp_path), tmp_path)
    assert vggish.locate(str(tmp_path), tmp_path, False)[2] is None


def test_no_weights_are_said_and_named(tmp_path, capsys, monkeypatch):
    assert vggish.locate("none", tmp_path) == ("logmel-statistics", None, None)
    assert capsys.readouterr().out == "Log-mel statistics stand in for VGGish (weights: none).\n"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_, **__):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    for _ in range(2):                                      # tried and said once a process
        assert vggish.locate("auto", tmp_path)[0] == "logmel-statistics"
    assert capsys.readouterr().out == ("Log-mel statistics stand in for VGGish: "
                                       "its weights could not be downloaded (no route to host); "
                                       "give a path, or see to the connection, and run again.\n")
    assert vggish.feature_names("logmel-statistics")[64] == "logmel_std_0"
    assert vggish.feature_names("vggish")[127] == "vggish_127"


@pytest.mark.parametrize(("error", "words"), [
    (urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), "no connection"),
    (urllib.error.URLError(OSError(113, "No route to host")), "No route to host"),
    (urllib.error.HTTPError("https://x", 404, "Not Found", None, None), "Not Found"),
    (TimeoutError("timed out"), "timed out")])
def test_why_a_download_did_not_come_is_said_in_words(error, words):
    assert vggish.why(error) == words


def test_a_wrong_checksum_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub/checkpoints"
    folder.mkdir(parents=True)
    for name in ("vggish-10086976.pth", "vggish_pca_params-970ea276.pth"):
        (folder / name).write_bytes(b"half a download")
    begins = hashlib.sha256(b"half a download").hexdigest()[:8]
    with pytest.raises(vggish.WeightsError, match=f"its SHA-256 begins with {begins}, "
                       "expected 10086976. Delete the file"):
        vggish.locate("auto", tmp_path)
    with pytest.raises(vggish.WeightsError, match="expected 10086976"):
        vggish.locate(str(folder), tmp_path)


def test_a_download_is_checked_and_whole(tmp_path, capsys):
    content = b"weights"
    name = f"vggish-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (tmp_path / name).write_bytes(content)
    vggish.download((tmp_path / name).as_uri(), tmp_path / "new/file.pth")
    assert (tmp_path / "new/file.pth").read_bytes() == content
    (tmp_path / name).write_bytes(b"something else")
    with pytest.raises(vggish.WeightsError, match="what came is not the file"):
        vggish.download((tmp_path / name).as_uri(), tmp_path / "new/other.pth")
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file.pth"]


def test_logmel_statistics_are_mean_and_deviation_of_each_band(log_mel):
    statistics = vggish.logmel_statistics(log_mel)
    assert statistics.shape == (128,)
    assert statistics.dtype == np.float32
    np.testing.assert_allclose(statistics[3], log_mel[:, :, 3].mean(), rtol=1e-5)
    np.testing.assert_allclose(statistics[64 + 3], log_mel[:, :, 3].std(), rtol=1e-4)
