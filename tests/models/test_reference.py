"""An authors' file as it comes -> our model: formats, sizes from weights, choices, and files that are refused.

Only stand-ins of `tests.authors_files` are read, and CFRAFN's own file where DEPNB_REFERENCE has it.
"""

import hashlib
import json
import os
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from depnb.features import importance, speech
from depnb.models import aafn, cfrafn, dynmultidep, reference, sta_drn
from depnb.models.sta_drn import STADRN
from tests import authors_files
from tests.authors_files import PlainAAFN, save, state_of

CLASSES = {"sta_drn": STADRN, "cfrafn": cfrafn.CFRAFN, "aafn": aafn.AAFN, "dynmultidep": dynmultidep.DynMultiDep}
STA_DRN = {f"sta_drn_{name}_a": ours for name, ours in reference.STA_DRN_VARIANTS.items()}
prefixes = pytest.mark.parametrize("prefix", ["", "module."])


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of importances in the authors' format, its names in another order than the columns of the table."""
    file = tmp_path_factory.mktemp("list") / "sorted_feature_importance.csv"
    pd.DataFrame({"importance": np.linspace(2, 0, 88) / 88}, sorted(speech.egemaps_names())).to_csv(file)
    return file


@pytest.fixture
def choices(listed):
    """What weights cannot show, by paper."""
    return {"sta_drn": {"variant": "temporal"}, "cfrafn": {"alignment": "by_name", "importances": listed},
            "aafn": {"fusion": "sub_attention"}, "dynmultidep": {"gate": "hard"}}


@pytest.fixture
def standin(golden, tmp_path):
    """standin(paper, prefix) -> a file in the format of a paper's authors."""
    def made(paper, prefix=""):
        if paper == "aafn":
            torch.save(PlainAAFN().state(prefix), tmp_path / "aafn.pt")
            return tmp_path / "aafn.pt"
        name = {"sta_drn": "sta_drn_stanet_af_a"}.get(paper, f"{paper}_a")
        return save(state_of(golden, name)[0], tmp_path / f"{paper}.pth", prefix)

    return made


def same(one, other):
    """Two models of equal class and equal entries."""
    assert type(one) is type(other)
    ours, theirs = one.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not one.training


class TestStaDrn:
    @prefixes
    @pytest.mark.parametrize(("name", "variant"), STA_DRN.items())
    def test_is_the_network_that_load_gives(self, golden, tmp_path, name, variant, prefix):
        state, config = state_of(golden, name)
        model, facts = reference.read_model("sta_drn", save(state, tmp_path / "best.pth", prefix), variant=variant)
        same(model, reference.load("sta_drn", state, config))
        assert facts["sizes"] | {"variant": variant, "k": 2, "units": [1, 1, 1, 1], "features": 4, "stem_features": 64,
                                 "in_channels": 3, "outputs": 1} == facts["sizes"]
        assert facts["chosen"] == ({"variant": variant} if variant in ("temporal", "spatial") else {})

    def test_one_branch_is_what_the_choice_says(self, golden, tmp_path):
        path = save(state_of(golden, "sta_drn_tanet_a")[0], tmp_path / "best_tanet.pth")
        for variant in ("temporal", "spatial"):     # shapes and names are equal: nothing in the file can contradict
            model, facts = reference.read_model("sta_drn", path, variant=variant)
            assert model.layer_1[0].conv2.variant == facts["sizes"]["variant"] == variant
        with pytest.raises(ValueError, match=r"best_tanet.pth: has one attention branch.*set variant to the one"):
            reference.read_model("sta_drn", path, variant="attention_fusion")

    @pytest.mark.parametrize("sizes", [{"features": 6}, {"features": 16, "k": 4}, {"units": [1, 2, 1, 1], "k": 1}],
                             ids=str)
    def test_sizes_come_from_the_weights(self, tmp_path, sizes):
        torch.manual_seed(0)
        net = STADRN("sum", **{"k": 2, "units": [1, 1, 1, 1], "features": 4} | sizes).eval()
        state = {re.sub(r"\.(temporal|spatial)\.(group_conv|bn|fc)", r".\1_block.\2", key): value
                 for key, value in net.state_dict().items()}
        model, facts = reference.read_model("sta_drn", save(state, tmp_path / "best_stanet.pth"))
        same(model, net)
        assert {name: facts["sizes"][name] for name in sizes} == sizes


class TestCfrafn:
    @prefixes
    @pytest.mark.parametrize("alignment", importance.OF_THE_LIST)
    def test_is_the_network_that_load_gives(self, golden, tmp_path, listed, alignment, prefix):
        state, config = state_of(golden, "cfrafn_a")
        columns, importances = speech.egemaps_names(), importance.read_importances(listed)
        expected = reference.load("cfrafn", state, config, importance.feature_weights(
            alignment, columns, published=importances))
        if alignment == "columns_by_list":
            expected.read_columns_in(importance.list_order(columns, importances))
        model, facts = reference.read_model("cfrafn", save(state, tmp_path / "best_CFRAFN.pth", prefix),
                                            alignment=alignment, importances=listed)
        same(model, expected)
        assert (facts["sizes"]["transformed_width"], facts["sizes"]["conv_width"],
                facts["sizes"]["classifier_width"]) == (28, 20, 17)
        assert facts["chosen"] == {"alignment": alignment, "gate_temperature": 10.0}

    @pytest.mark.parametrize("lacking", [{"alignment": "none"}, {"importances": ""}, {"alignment": "learnt_on_train"}])
    def test_without_the_authors_list_there_is_no_answer(self, standin, listed, lacking):
        given = {"alignment": "as_released", "importances": listed} | lacking
        with pytest.raises(ValueError, match=r"cfrafn.pth: gives no answer without the authors' list.*or by_name"):
            reference.read_model("cfrafn", standin("cfrafn"), **given)

    def test_a_list_that_is_none_is_told(self, standin, tmp_path):
        (tmp_path / "list.csv").write_text("name\nloudness\n")
        for name, said in (("none.csv", "no such file"), ("list.csv", "expected a CSV file with feature names first")):
            with pytest.raises(ValueError, match=rf"{name}: {said}"):
                reference.read_model("cfrafn", standin("cfrafn"), alignment="by_name", importances=tmp_path / name)

    @pytest.mark.skipif("DEPNB_REFERENCE" not in os.environ, reason="DEPNB_REFERENCE: a folder with golden/ and published/")
    def test_the_authors_own_file(self):
        folder = Path(os.environ["DEPNB_REFERENCE"])
        with np.load(folder / "golden/cfrafn_published_a.npz") as file:
            arrays = {key: file[key] for key in file.files}
        published = folder / "published/cfrafn/best_CFRAFN.pth"
        model, facts = reference.read_model(
            "cfrafn", published, {"egemaps_features": 88, "vggish_features": 128}, alignment="as_released",
            importances=published.with_name("sorted_feature_importance.csv"))
        config = json.loads(str(arrays["config"]))
        assert (facts["sizes"]["transformed_width"], facts["sizes"]["conv_width"], facts["sizes"]["classifier_width"]) == (
            config["transformed_feature_dim"], config["conv_out_channels"], config["cls_dim"]) == (196, 178, 155)
        with torch.inference_mode():
            found = model(*(torch.from_numpy(arrays[f"input/{name}"]) for name in ("egemaps", "vggish"))).sigmoid()
        np.testing.assert_allclose(found, arrays["output/probability"].ravel(), atol=1e-5)


class TestAafn:
    """Against a plain implementation with other convolution and LSTM widths for each modality."""

    @prefixes
    @pytest.mark.parametrize("kind", [
        {}, {"senses": ("visual", "audio")}, {"attention": None}, {"attention": None, "combined": "median"},
        {"senses": ("audio",), "attention": None}], ids=["sub_attention", "av", "concatenation", "median", "audio"])
    def test_answers_are_those_of_the_plain_implementation(self, tmp_path, kind, prefix):
        plain = PlainAAFN(**kind)
        torch.save(plain.state(prefix), tmp_path / "AVT.pt")
        model, facts = reference.read_model("aafn", tmp_path / "AVT.pt", fusion="lower_median")
        inputs = plain.inputs()
        expected = plain(**inputs)
        with torch.inference_mode():
            torch.testing.assert_close(model(**inputs).softmax(-1), expected, atol=1e-5, rtol=0)
        assert expected.std(0).max() > 0.01                                     # the windows' answers differ
        assert facts["sizes"]["modalities"] == list(plain.senses)
        assert facts["stored"] == {"epoch": 9.0, "best_f1_score": 0.6444}
        assert facts["chosen"] == ({"fusion": "lower_median"} if "combined" in kind else {})

    def test_load_takes_a_width_for_each_modality(self):
        plain = PlainAAFN()
        config = {"modality_order": plain.senses, "feature_dim": 8, "classes_resolution": 32, "num_subscores": 8,
                  "heads_have_batch_norm": True, "attention": {"hidden_dim": 1, "base_width": 128, "fuse_type": "iAFF"}}
        for sense, features in (("visual", 3), ("audio", 80), ("text", 512)):
            names = ("conv_hidden", "lstm_hidden", "num_layers")
            config[sense] = {"input_dim": features, **dict(zip(names, authors_files.WIDTHS[sense], strict=True))}
        inputs = plain.inputs()
        with torch.inference_mode():
            found = reference.load("aafn", plain.state(), config)(**inputs).softmax(-1)
        torch.testing.assert_close(found, plain(**inputs), atol=1e-5, rtol=0)
        config["text"]["conv_hidden"] = 7
        with pytest.raises(ValueError, match=r"config: text.conv_hidden is 7, but the checkpoint's weights say 9"):
            reference.load("aafn", plain.state(), config)

    def test_fusion_is_asked_where_weights_cannot_show_it(self, tmp_path):
        torch.save(PlainAAFN(attention=None, combined="median").state(), tmp_path / "Median.pt")
        with pytest.raises(ValueError, match=r"Median.pt: its features are combined element by element.*set fusion to"):
            reference.read_model("aafn", tmp_path / "Median.pt", fusion="sub_attention")


class TestDynMultiDep:
    @prefixes
    @pytest.mark.parametrize("gate", ["hard", "soft"])
    def test_is_the_network_that_load_gives(self, golden, tmp_path, gate, prefix):
        state, config = state_of(golden, "dynmultidep_a")
        model, facts = reference.read_model("dynmultidep", save(state, tmp_path / "best_model.pt", prefix), gate=gate)
        same(model, reference.load("dynmultidep", state, config | {"hard_gate": gate == "hard"}))
        assert (model.gate, model.temperature, model.mask_scan) == (gate, 1.0, False)
        assert facts["sizes"] | {"audio_features": 25, "visual_features": 136, "width": 32, "expansion": 4} == facts["sizes"]
        assert facts["chosen"] == {"gate": gate, "temperature": 1.0, "mask": "released"}

    def test_a_mask_that_is_right_keeps_padding_out_of_the_scans(self, standin):
        model, _ = reference.read_model("dynmultidep", standin("dynmultidep"), gate="soft", mask="right")
        assert model.mask_scan

    def test_the_gate_is_asked(self, standin):
        with pytest.raises(ValueError, match=r"weights cannot show how the modalities are weighed; set gate to hard"):
            reference.read_model("dynmultidep", standin("dynmultidep"), gate="mean")


@pytest.mark.parametrize("paper", CLASSES)
class TestEveryPaper:
    def test_says_which_file_it_was_and_builds_the_same_sizes_again(self, standin, choices, paper):
        path = standin(paper)
        model, facts = reference.read_model(paper, path, **choices[paper])
        assert facts["file"] == path.name
        assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert json.loads(json.dumps(facts)) == facts                           # as it stands in metrics.json
        again = CLASSES[paper](**facts["sizes"]).state_dict()
        assert {k: v.shape for k, v in again.items()} == {k: v.shape for k, v in model.state_dict().items()}

    @pytest.mark.parametrize("other", CLASSES)
    def test_another_models_file_is_named(self, standin, choices, paper, other):
        if other == paper:
            return
        title, theirs = reference.FORMATS[paper][0], reference.FORMATS[other][0]
        with pytest.raises(ValueError, match=rf"{other}\.pth?: holds the weights of {theirs}, expected those of {title}\. "
                                             rf"Give it to notebooks/{other}\.ipynb"):
            reference.read_model(paper, standin(other, "module."), **choices[paper])

    def test_features_of_another_width_are_named(self, standin, choices, paper):
        name = {"sta_drn": "in_channels", "cfrafn": "vggish_features", "aafn": "embedding",
                "dynmultidep": "visual_features"}[paper]
        with pytest.raises(ValueError, match=rf"{paper}\.pth?: its network has {name} \d+, here 7 is at hand\. Give"):
            reference.read_model(paper, standin(paper), {name: 7}, **choices[paper])

    def test_a_pickle_with_anything_else_is_not_unpickled(self, tmp_path, choices, paper):
        torch.save({"weights": Bomb(tmp_path / "gone off")}, tmp_path / "bad.pth")
        with pytest.raises(ValueError, match=r"bad.pth: holds .*, which is no tensor or number; it was not unpickled"):
            reference.read_model(paper, tmp_path / "bad.pth", **choices[paper])
        (tmp_path / "plain.pth").write_bytes(pickle.dumps({"weights": Bomb(tmp_path / "gone off")}, 2))
        with pytest.raises(ValueError, match=r"plain.pth: "):
            reference.read_model(paper, tmp_path / "plain.pth", **choices[paper])
        assert not (tmp_path / "gone off").exists()

    def test_what_is_no_file_of_weights_is_told(self, standin, tmp_path, choices, paper):
        whole = standin(paper).read_bytes()
        files = {"cut.pth": whole[:len(whole) // 2], "end.pth": whole[:-30], "empty.pth": b"",
                 "page.pth": b"<!DOCTYPE html>", "pointer.pth": b"version https://git-lfs.github.com/spec/v1"}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            said = "the file is empty; expected weights" if name == "empty.pth" else "not a whole PyTorch file"
            with pytest.raises(ValueError, match=f"{name}: {said}"):
                reference.read_model(paper, tmp_path / name, **choices[paper])
        (tmp_path / "folder.pth").mkdir()
        with pytest.raises(ValueError, match=r"folder.pth: a folder; expected a file of weights"):
            reference.read_model(paper, tmp_path / "folder.pth", **choices[paper])
        with pytest.raises(FileNotFoundError, match=r"none.pth: no such checkpoint"):
            reference.read_model(paper, tmp_path / "none.pth", **choices[paper])

    def test_a_safetensors_file_is_told(self, tmp_path, choices, paper):
        save_file({"fc.weight": torch.zeros(3)}, tmp_path / "checkpoint.safetensors")
        with pytest.raises(ValueError, match=r"checkpoint.safetensors: a safetensors file, as runs of this book write"):
            reference.read_model(paper, tmp_path / "checkpoint.safetensors", **choices[paper])

    @pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {"weight": torch.zeros(3)}, {}, {1: torch.zeros(1)}],
                             ids=str)
    def test_weights_of_something_else_are_told(self, tmp_path, choices, paper, content):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(ValueError, match=r"other.pth: no weights in the format of .*'s authors \(no entry"):
            reference.read_model(paper, tmp_path / "other.pth", **choices[paper])

    def test_every_entry_of_another_shape_is_told_in_one_sentence(self, standin, tmp_path, choices, paper):
        content = torch.load(standin(paper), weights_only=False)
        part = content["evaluator"] if paper == "aafn" else content
        keys = [key for key in part if not key.endswith("num_batches_tracked")]
        for key in [*keys[:8], *keys[-4:]]:
            for changed in (torch.zeros(()), torch.zeros(1, 1), torch.zeros(2, 3, 1, 1, 1, 1)):
                if changed.shape == part[key].shape:
                    continue
                damaged = {**part, key: changed}
                torch.save({**content, "evaluator": damaged} if paper == "aafn" else damaged, tmp_path / "odd.pth")
                with pytest.raises(ValueError, match=r"odd.pth: ") as caught:
                    reference.read_model(paper, tmp_path / "odd.pth", **choices[paper])
                assert "\n" not in str(caught.value)

    def test_numbers_that_are_none_are_told(self, standin, tmp_path, choices, paper):
        content = torch.load(standin(paper), weights_only=False)
        part = content["evaluator"] if paper == "aafn" else content
        key = next(k for k, v in part.items() if v.is_floating_point())
        part[key] = torch.full_like(part[key], torch.nan)
        torch.save(content, tmp_path / "nan.pth")
        with pytest.raises(ValueError, match=rf"nan.pth: {re.escape(key)} holds NaN or infinity"):
            reference.read_model(paper, tmp_path / "nan.pth", **choices[paper])

    def test_text_among_the_tensors_is_told(self, standin, tmp_path, choices, paper):
        content = torch.load(standin(paper), weights_only=False)
        (content["evaluator"] if paper == "aafn" else content)["note"] = "trained in March"
        torch.save(content, tmp_path / "noted.pth")
        with pytest.raises(ValueError, match=r"noted.pth: expected tensors by name.*something else is among them"):
            reference.read_model(paper, tmp_path / "noted.pth", **choices[paper])


class Bomb:
    """Pickles to a call that leaves a file, if anybody runs it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_paper_without_a_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="paper 'resnet': choose one of sta_drn"):
        reference.read_model("resnet", tmp_path / "best.pth")


def test_a_released_score_is_63_times_the_output(golden, tmp_path):
    arrays, (state, _) = golden("sta_drn_stanet_af_a")[0], state_of(golden, "sta_drn_stanet_af_a")
    model, _ = reference.read_model("sta_drn", save(state, tmp_path / "best.pth"))
    with torch.inference_mode():
        outputs = model(torch.from_numpy(arrays["input/clips"]))[:, 0]
    scores = [sta_drn.score_of_video(63 * outputs.clamp(min=0)[i:i + 1]) for i in range(len(outputs))]
    np.testing.assert_allclose(scores, arrays["output/score"].ravel(), atol=5e-4)
