"""An authors' file as it comes -> our model: formats, sizes, choices, and files that are refused.

Only stand-ins of `tests.authors_files` are read, and CFRAFN's own file where DEPNB_REFERENCE is.
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
from depnb.models import reference
from depnb.models.aafn import AAFN
from depnb.models.cfrafn import CFRAFN
from depnb.models.dynmultidep import DynMultiDep
from depnb.models.sta_drn import STADRN
from depnb.papers.weights import FORMATS, read_model
from tests.authors_files import PlainAAFN, save, state_of

CLASSES = {"sta_drn": STADRN, "cfrafn": CFRAFN, "aafn": AAFN, "dynmultidep": DynMultiDep}
STA_DRN = {f"sta_drn_{name}_a": ours for name, ours in reference.sta_drn.VARIANTS.items()}
prefixes = pytest.mark.parametrize("prefix", ["", "module."])


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """A list of importances in the authors' format, its names not in the order of the columns."""
    file = tmp_path_factory.mktemp("list") / "sorted_feature_importance.csv"
    names = sorted(speech.egemaps_names())
    pd.DataFrame({"importance": np.linspace(2, 0, 88) / 88}, names).to_csv(file)
    return file


@pytest.fixture
def choices(listed):
    """What weights cannot show, by paper."""
    return {"sta_drn": {"variant": "temporal"},
            "cfrafn": {"alignment": "by_name", "importances": listed},
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
        path = save(state, tmp_path / "best.pth", prefix)
        model, facts = read_model("sta_drn", path, variant=variant)
        same(model, reference.load("sta_drn", state, config))
        expected = {"variant": variant, "k": 2, "units": [1, 1, 1, 1], "features": 4,
                    "stem_features": 64, "in_channels": 3, "outputs": 1}
        assert facts["sizes"] | expected == facts["sizes"]
        chosen = {"variant": variant} if variant in ("temporal", "spatial") else {}
        assert facts["chosen"] == chosen

    def test_one_branch_is_what_the_choice_says(self, golden, tmp_path):
        path = save(state_of(golden, "sta_drn_tanet_a")[0], tmp_path / "best_tanet.pth")
        for variant in ("temporal", "spatial"):     # equal shapes and names: no file can contradict
            model, facts = read_model("sta_drn", path, variant=variant)
            assert model.layer_1[0].conv2.variant == facts["sizes"]["variant"] == variant
        message = r"best_tanet.pth: has one attention branch.*set variant to the one"
        with pytest.raises(ValueError, match=message):
            read_model("sta_drn", path, variant="attention_fusion")

    @pytest.mark.parametrize("sizes", [
        {"features": 6}, {"features": 16, "k": 4}, {"units": [1, 2, 1, 1], "k": 1}], ids=str)
    def test_sizes_come_from_the_weights(self, tmp_path, sizes):
        torch.manual_seed(0)
        net = STADRN("sum", **{"k": 2, "units": [1, 1, 1, 1], "features": 4} | sizes).eval()
        state = {re.sub(r"\.(temporal|spatial)\.(group_conv|bn|fc)", r".\1_block.\2", key): value
                 for key, value in net.state_dict().items()}
        model, facts = read_model("sta_drn", save(state, tmp_path / "best_stanet.pth"))
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
        path = save(state, tmp_path / "best_CFRAFN.pth", prefix)
        model, facts = read_model("cfrafn", path, alignment=alignment, importances=listed)
        same(model, expected)
        assert (facts["sizes"]["transformed_width"], facts["sizes"]["conv_width"],
                facts["sizes"]["classifier_width"]) == (28, 20, 17)
        assert facts["chosen"] == {"alignment": alignment, "gate_temperature": 10.0}

    @pytest.mark.parametrize("lacking", [
        {"alignment": "none"}, {"importances": ""}, {"alignment": "learnt_on_train"}])
    def test_without_the_authors_list_there_is_no_answer(self, standin, listed, lacking):
        choices = {"alignment": "as_released", "importances": listed} | lacking
        message = r"cfrafn.pth: gives no answer without the authors' list.*or by_name"
        with pytest.raises(ValueError, match=message):
            read_model("cfrafn", standin("cfrafn"), **choices)

    @pytest.mark.parametrize(("name", "problem"), [
        ("none.csv", "no such file"),
        ("list.csv", "expected a CSV file with feature names first")])
    def test_a_list_that_is_none_is_told(self, standin, tmp_path, name, problem):
        (tmp_path / "list.csv").write_text("name\nloudness\n")
        with pytest.raises(ValueError, match=rf"{name}: {problem}"):
            read_model("cfrafn", standin("cfrafn"), alignment="by_name",
                       importances=tmp_path / name)

    @pytest.mark.skipif("DEPNB_REFERENCE" not in os.environ,
                        reason="DEPNB_REFERENCE: a folder with golden/ and published/")
    def test_the_authors_own_file(self):
        folder = Path(os.environ["DEPNB_REFERENCE"])
        with np.load(folder / "golden/cfrafn_published_a.npz") as file:
            arrays = {key: file[key] for key in file.files}
        published = folder / "published/cfrafn/best_CFRAFN.pth"
        model, facts = read_model(
            "cfrafn", published, {"egemaps_features": 88, "vggish_features": 128},
            alignment="as_released",
            importances=published.with_name("sorted_feature_importance.csv"))
        config, sizes = json.loads(str(arrays["config"])), facts["sizes"]
        assert (sizes["transformed_width"], sizes["conv_width"], sizes["classifier_width"]) == (
            config["transformed_feature_dim"], config["conv_out_channels"],
            config["cls_dim"]) == (196, 178, 155)
        inputs = [torch.from_numpy(arrays[f"input/{name}"]) for name in ("egemaps", "vggish")]
        with torch.inference_mode():
            probability = model(*inputs).sigmoid()
        np.testing.assert_allclose(probability, arrays["output/probability"].ravel(), atol=1e-5)


class TestAafn:
    """Against a plain implementation with other convolution and LSTM widths for each modality."""

    @prefixes
    @pytest.mark.parametrize("kind", [
        {}, {"senses": ("visual", "audio")}, {"attention": None},
        {"attention": None, "combined": "median"}, {"senses": ("audio",), "attention": None}],
        ids=["sub_attention", "av", "concatenation", "median", "audio"])
    def test_answers_are_those_of_the_plain_implementation(self, tmp_path, kind, prefix):
        plain = PlainAAFN(**kind)
        torch.save(plain.state(prefix), tmp_path / "AVT.pt")
        model, facts = read_model("aafn", tmp_path / "AVT.pt", fusion="lower_median")
        inputs = plain.inputs()
        expected = plain(**inputs)
        with torch.inference_mode():
            answers = model(**inputs).softmax(-1)
        torch.testing.assert_close(answers, expected, atol=1e-5, rtol=0)
        assert expected.std(0).max() > 0.01                     # the windows' answers differ
        assert facts["sizes"]["modalities"] == list(plain.senses)
        assert facts["stored"] == {"epoch": 9.0, "best_f1_score": 0.6444}
        assert facts["chosen"] == ({"fusion": "lower_median"} if "combined" in kind else {})

    def test_fusion_is_asked_where_weights_cannot_show_it(self, tmp_path):
        plain = PlainAAFN(attention=None, combined="median")
        torch.save(plain.state(), tmp_path / "Median.pt")
        message = r"Median.pt: its features are combined element by element.*set fusion to"
        with pytest.raises(ValueError, match=message):
            read_model("aafn", tmp_path / "Median.pt", fusion="sub_attention")


class TestDynMultiDep:
    @prefixes
    @pytest.mark.parametrize("gate", ["hard", "soft"])
    def test_is_the_network_that_load_gives(self, golden, tmp_path, gate, prefix):
        state, config = state_of(golden, "dynmultidep_a")
        path = save(state, tmp_path / "best_model.pt", prefix)
        model, facts = read_model("dynmultidep", path, gate=gate)
        config |= {"hard_gate": gate == "hard"}
        same(model, reference.load("dynmultidep", state, config))
        assert (model.gate, model.temperature, model.mask_scan) == (gate, 1.0, False)
        expected = {"audio_features": 25, "visual_features": 136, "width": 32, "expansion": 4}
        assert facts["sizes"] | expected == facts["sizes"]
        assert facts["chosen"] == {"gate": gate, "temperature": 1.0, "mask": "released"}

    def test_a_mask_that_is_right_keeps_padding_out_of_the_scans(self, standin):
        model, _ = read_model("dynmultidep", standin("dynmultidep"), gate="soft", mask="right")
        assert model.mask_scan

    def test_the_gate_is_asked(self, standin):
        message = r"weights cannot show how the modalities are weighed; set gate to hard"
        with pytest.raises(ValueError, match=message):
            read_model("dynmultidep", standin("dynmultidep"), gate="mean")


@pytest.mark.parametrize("paper", CLASSES)
class TestEveryPaper:
    def test_says_which_file_it_was_and_builds_the_same_sizes_again(self, standin, choices, paper):
        path = standin(paper)
        model, facts = read_model(paper, path, **choices[paper])
        assert facts["file"] == path.name
        assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert json.loads(json.dumps(facts)) == facts           # as it stands in metrics.json
        again, ours = CLASSES[paper](**facts["sizes"]).state_dict(), model.state_dict()
        assert {k: v.shape for k, v in again.items()} == {k: v.shape for k, v in ours.items()}

    @pytest.mark.parametrize("other", CLASSES)
    def test_another_models_file_is_named(self, standin, choices, paper, other):
        if other == paper:
            return
        message = (rf"{other}\.pth?: holds the weights of {FORMATS[other][0]}, expected those of "
                   rf"{FORMATS[paper][0]}\. Give it to notebooks/{other}\.ipynb")
        with pytest.raises(ValueError, match=message):
            read_model(paper, standin(other, "module."), **choices[paper])

    def test_features_of_another_width_are_named(self, standin, choices, paper):
        name = {"sta_drn": "in_channels", "cfrafn": "vggish_features", "aafn": "embedding",
                "dynmultidep": "visual_features"}[paper]
        message = rf"{paper}\.pth?: its network has {name} \d+, here 7 is at hand\. Give"
        with pytest.raises(ValueError, match=message):
            read_model(paper, standin(paper), {name: 7}, **choices[paper])

    def test_a_pickle_with_anything_else_is_not_unpickled(self, tmp_path, choices, paper):
        torch.save({"weights": Bomb(tmp_path / "gone off")}, tmp_path / "bad.pth")
        message = r"bad.pth: holds .*, which is no tensor or number; it was not unpickled"
        with pytest.raises(ValueError, match=message):
            read_model(paper, tmp_path / "bad.pth", **choices[paper])
        content = pickle.dumps({"weights": Bomb(tmp_path / "gone off")}, 2)
        (tmp_path / "plain.pth").write_bytes(content)
        with pytest.raises(ValueError, match=r"plain.pth: "):
            read_model(paper, tmp_path / "plain.pth", **choices[paper])
        assert not (tmp_path / "gone off").exists()

    def test_what_is_no_file_of_weights_is_told(self, standin, tmp_path, choices, paper):
        complete = standin(paper).read_bytes()
        files = {"cut.pth": complete[:len(complete) // 2], "end.pth": complete[:-30],
                 "empty.pth": b"", "page.pth": b"<!DOCTYPE html>",
                 "pointer.pth": b"version https://git-lfs.github.com/spec/v1"}
        for name, content in files.items():
            (tmp_path / name).write_bytes(content)
            problem = ("the file is empty; expected weights" if name == "empty.pth"
                       else "not a whole PyTorch file")
            with pytest.raises(ValueError, match=f"{name}: {problem}"):
                read_model(paper, tmp_path / name, **choices[paper])
        (tmp_path / "folder.pth").mkdir()
        with pytest.raises(ValueError, match=r"folder.pth: a folder; expected a file of weights"):
            read_model(paper, tmp_path / "folder.pth", **choices[paper])
        with pytest.raises(FileNotFoundError, match=r"none.pth: no such checkpoint"):
            read_model(paper, tmp_path / "none.pth", **choices[paper])

    def test_a_safetensors_file_is_told(self, tmp_path, choices, paper):
        path = tmp_path / "checkpoint.safetensors"
        save_file({"fc.weight": torch.zeros(3)}, path)
        message = r"checkpoint.safetensors: a safetensors file, as runs of this book write"
        with pytest.raises(ValueError, match=message):
            read_model(paper, path, **choices[paper])

    @pytest.mark.parametrize("content", [
        torch.zeros(3), [1, 2], {"weight": torch.zeros(3)}, {}, {1: torch.zeros(1)}], ids=str)
    def test_weights_of_something_else_are_told(self, tmp_path, choices, paper, content):
        torch.save(content, tmp_path / "other.pth")
        message = r"other.pth: no weights in the format of .*'s authors \(no entry"
        with pytest.raises(ValueError, match=message):
            read_model(paper, tmp_path / "other.pth", **choices[paper])

    def test_every_entry_of_another_shape_is_told_in_one_sentence(self, standin, tmp_path, choices,
                                                                  paper):
        content = torch.load(standin(paper), weights_only=False)
        part = content["evaluator"] if paper == "aafn" else content
        keys = [key for key in part if not key.endswith("num_batches_tracked")]
        for key in [*keys[:8], *keys[-4:]]:
            for other in (torch.zeros(()), torch.zeros(1, 1), torch.zeros(2, 3, 1, 1, 1, 1)):
                if other.shape == part[key].shape:
                    continue
                damaged = {**part, key: other}
                if paper == "aafn":
                    damaged = {**content, "evaluator": damaged}
                torch.save(damaged, tmp_path / "odd.pth")
                with pytest.raises(ValueError, match=r"odd.pth: ") as caught:
                    read_model(paper, tmp_path / "odd.pth", **choices[paper])
                assert "\n" not in str(caught.value)

    def test_numbers_that_are_none_are_told(self, standin, tmp_path, choices, paper):
        content = torch.load(standin(paper), weights_only=False)
        part = content["evaluator"] if paper == "aafn" else content
        key = next(k for k, v in part.items() if v.is_floating_point())
        part[key] = torch.full_like(part[key], torch.nan)
        torch.save(content, tmp_path / "nan.pth")
        with pytest.raises(ValueError, match=rf"nan.pth: {re.escape(key)} holds NaN or infinity"):
            read_model(paper, tmp_path / "nan.pth", **choices[paper])

    def test_text_among_the_tensors_is_told(self, standin, tmp_path, choices, paper):
        content = torch.load(standin(paper), weights_only=False)
        (content["evaluator"] if paper == "aafn" else content)["note"] = "trained in March"
        torch.save(content, tmp_path / "noted.pth")
        message = r"noted.pth: expected tensors by name.*something else is among them"
        with pytest.raises(ValueError, match=message):
            read_model(paper, tmp_path / "noted.pth", **choices[paper])


class Bomb:
    """Pickles to a call that leaves a file, if anybody runs it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_paper_without_a_format_is_refused(tmp_path):
    with pytest.raises(ValueError, match="paper 'resnet': choose one of sta_drn"):
        read_model("resnet", tmp_path / "best.pth")
