"""What a page may be given: its cell, its model and every file of parameters agree, and a wrong
value is one sentence.
"""

import ast
import re
from typing import Literal, get_args, get_origin

import annotated_types
import nbformat
import pytest
import torch
import yaml

from depnb import files
from depnb.evidence import pages
from depnb.features import clips, face, importance, speech
from depnb.models import aafn as aafn_model
from depnb.models import cfrafn as cfrafn_model
from depnb.models import sta_drn as sta_drn_model
from depnb.papers import parameters, room
from depnb.papers.cards import cards
from tests.paths import ROOT

CHAPTERS = {name: room(name).Parameters for name in cards()}
PAGES = CHAPTERS | {"comparison": pages.Comparison, "null_corpus": pages.NullCorpus,
                    "robustness": pages.Robustness, "explanations": pages.Explanations}
DECLARED = {"corpus": str, "epochs": int, "learning_rate": float, "units": list, "resume": bool}
VALUES = {"corpus": "avec2014", "epochs": 3, "learning_rate": 1e-3, "units": [1, 1], "resume": True}


def declared(page):
    """The globals that a notebook's parameters cell makes."""
    notebook, values = nbformat.read(files.notebook(page), 4), {}
    exec(next(c.source for c in notebook.cells if "parameters" in c.metadata.get("tags", [])),
         values)
    return values


def defaults(page):
    values = declared(page)
    return {name: values[name] for name in values["__annotations__"]}


def injected(**changed):
    return {"In": ["", "import x",
                   "\n".join(["# Parameters", *(f"{k} = {v!r}" for k, v in changed.items())])]}


def notebook(**changed):
    """The globals of a notebook whose injected cell sets `changed`."""
    return {"__annotations__": DECLARED, **VALUES, **changed, **injected(**changed)}


def told(page, **changed):
    """The sentence with which a page refuses these values."""
    with pytest.raises(ValueError) as caught:
        parameters.read(declared(page) | changed | injected(**changed), PAGES[page])
    assert "\n" not in str(caught.value)
    return str(caught.value)


def fields():
    """(page, name of a parameter, its type, what else is asked of it) of all pages."""
    return [pytest.param(page, name, field.annotation, field.metadata, id=f"{page}-{name}")
            for page, model in PAGES.items() for name, field in model.model_fields.items()]


class TestRead:
    def test_declared_values_come_back_in_order(self):
        assert list(parameters.read(notebook()).items()) == list(VALUES.items())

    def test_a_number_without_a_point_is_a_float_where_one_is_expected(self):
        values = parameters.read(notebook(learning_rate=1))
        assert values["learning_rate"] == 1.0
        assert type(values["learning_rate"]) is float

    @pytest.mark.parametrize(("name", "sentence"), [
        ("epoch", r"unknown parameter 'epoch'; did you mean 'epochs'\? Known: corpus, epochs"),
        ("zzz", r"unknown parameter 'zzz'\. Known: corpus")])
    def test_an_unknown_name_is_refused_with_the_known_ones(self, name, sentence):
        with pytest.raises(ValueError, match=sentence):
            parameters.read(notebook(**{name: 3}))

    @pytest.mark.parametrize(("name", "value", "sentence"), [
        ("epochs", 2.5, "epochs: expected int, got 2.5 (float)"),
        ("epochs", True, "expected int, got True (bool)"),
        ("epochs", "many", "expected int, got 'many' (str)"),
        ("resume", 1, "expected bool, got 1 (int)"),
        ("learning_rate", "5e-3", "write it with a point, as in 5.0e-3"),
        ("units", 3, "expected list, got 3 (int)"),
        ("corpus", None, "expected str, got None (NoneType)")])
    def test_a_wrong_type_is_refused(self, name, value, sentence):
        with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
            parameters.read(notebook(**{name: value}))
        assert "\n" not in str(caught.value)


class TestEveryPage:
    @pytest.mark.parametrize("page", PAGES)
    def test_cell_and_model_name_the_same_and_the_defaults_are_allowed(self, page):
        assert set(PAGES[page].model_fields) == set(declared(page)["__annotations__"])
        assert parameters.read(declared(page), PAGES[page]) == defaults(page)

    @pytest.mark.parametrize(("page", "name", "kind", "asked"), fields())
    def test_what_cannot_be_is_one_sentence(self, page, name, kind, asked):
        """A choice that does not exist, 0 where a positive number is needed, a number out of its
        range, another type.
        """
        if get_origin(kind) is Literal:
            sentence = told(page, **{name: "nonsense"})
            assert all(choice in sentence for choice in get_args(kind))
            assert sentence.startswith(f"parameter {name}: 'nonsense'; choose ")
        for bound in asked:
            number = float if kind is float else int
            for kind_of, value in ((annotated_types.Gt, "gt"), (annotated_types.Lt, "lt")):
                if isinstance(bound, kind_of):
                    assert told(page, **{name: number(getattr(bound, value))}).startswith(
                        f"parameter {name}: ")
            if isinstance(bound, annotated_types.Ge):
                assert "or more" in told(page, **{name: number(bound.ge - 1)})
            if isinstance(bound, annotated_types.Le):
                assert "at most" in told(page, **{name: number(bound.le + 1)})
        wrong = 3 if kind in (str, bool) or get_origin(kind) in (Literal, list) else "3"
        if float in get_args(kind):                         # or the word literature
            for value in ("3", -1.0, 3.5):
                sentence = told(page, **{name: value})
                assert sentence.startswith(f"parameter {name}: {value!r}; ")
                assert "a number from 0" in sentence
                assert "literature" in sentence
            wrong = [3]
        assert f"parameter {name}: expected " in told(page, **{name: wrong})

    @pytest.mark.parametrize("page", PAGES)
    def test_a_device_that_is_not_there_and_no_process_at_all(self, page, monkeypatch):
        if page in CHAPTERS:
            monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
            assert told(page, device="cuda") == ("parameter device: 'cuda'; "
                                                 "PyTorch sees no CUDA device on this machine. "
                                                 "Choose cpu, or leave it at auto.")
        assert (told(page, workers=0) == "parameter workers: 0; "
                "expected a number of processes, or -1 for every core.")


@pytest.mark.parametrize(("page", "changed", "sentence"), [
    ("aafn", {"modalities": "visual smell"}, "choose some of visual, audio, text, in this order."),
    ("aafn", {"modalities": "text visual"}, "choose some of visual, audio, text, in this order."),
    ("aafn", {"modalities": ""}, "choose some of visual, audio, text, in this order."),
    ("aafn", {"overlap_seconds": 30},
     "parameter overlap_seconds 30: expected less than window_seconds (30)."),
    ("sta_drn", {"units": [1, 1, 1]}, "parameter units: [1, 1, 1]; "),
    ("sta_drn", {"units": [1, 1, 1, 0]}, "parameter units.3: 0; expected more than 0."),
    ("cfrafn", {"pattern": "(a"}, "parameter pattern: '(a'; no regular expression ("),
    ("robustness", {"levels": [1, 4]}, "parameter levels.1: 4; expected at most 3."),
    ("robustness", {"levels": []}, "parameter levels: []; ")])
def test_what_only_one_page_asks(page, changed, sentence):
    assert sentence in told(page, **changed)


def test_a_choice_that_a_model_or_a_feature_knows_is_offered():
    offered = {(page, name): set(get_args(field.annotation))
               for page, model in CHAPTERS.items() for name, field in model.model_fields.items()
               if get_origin(field.annotation) is Literal}
    assert offered["cfrafn", "fusion"] == set(cfrafn_model.FUSIONS)
    assert offered["cfrafn", "model"] == {"cfrafn", *cfrafn_model.BASELINES}
    assert offered["cfrafn", "alignment"] == set(importance.ALIGNMENTS)
    assert offered["cfrafn", "augmentation"] == offered["cfrafn", "vector_augmentation"] == set(
        speech.VERSIONS)
    assert offered["aafn", "fusion"] == set(aafn_model.FUSIONS)
    assert offered["aafn", "fuse"] == set(aafn_model.FUSES)
    assert offered["sta_drn", "variant"] == set(sta_drn_model.VARIANTS)
    assert offered["sta_drn", "crop"] == set(face.CROPS)
    for normalise in offered["sta_drn", "normalise"]:
        clips.to_input(torch.zeros(1, 2, 4, 4, 3, dtype=torch.uint8).numpy(), normalise)


@pytest.mark.parametrize("paper", CHAPTERS)
def test_quick_parameters_are_the_defaults(paper):
    assert yaml.safe_load((ROOT / f"params/{paper}/quick.yaml").read_text()) == defaults(paper)


@pytest.mark.parametrize("table", sorted(f"{paper}/{p.name}" for paper in CHAPTERS
                                         for p in (ROOT / "params" / paper).glob("*.yaml")
                                         if p.stem not in ("card", "claims", "commands")))
def test_every_parameter_file_fits_its_chapter(table):
    paper, content = table.split("/")[0], yaml.safe_load((ROOT / "params" / table).read_text())
    sets = [content]
    if "runs" in content:
        sets = [run["parameters"] for run in content["runs"].values()]
        assert set(content["expected"]) <= {run["group"] for run in content["runs"].values()}
    for values in sets:
        parameters.read(declared(paper) | values | injected(**values), PAGES[paper])


@pytest.mark.parametrize("profile", ["quick", "full"])
class TestEvidence:
    def test_every_page_has_a_set_that_fits_it(self, profile):
        sets = yaml.safe_load((ROOT / f"params/evidence/{profile}.yaml").read_text())
        assert set(sets) == set(PAGES) - set(CHAPTERS)
        for page, values in sets.items():
            parameters.read(declared(page) | values | injected(**values), PAGES[page])
            assert values["run_dir"] == f"runs/{page}/{profile}"

    def test_pages_that_read_the_comparison_ask_for_its_cohort_and_folds(self, profile):
        sets = yaml.safe_load((ROOT / f"params/evidence/{profile}.yaml").read_text())
        both = {page: defaults(page) | values for page, values in sets.items()}
        for page in ("robustness", "explanations"):
            assert both[page]["comparison_run"] == both["comparison"]["run_dir"]
            for name in ("participants", "effect", "cohort_seed", "folds", "epochs", "seed"):
                assert both[page][name] == both["comparison"][name], name


def text_of(node):
    """A string as written, {} for what is filled in; "" for no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(value) or "{}" for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return ""


def advised():
    """Parameters that messages of the library name in an advice: (file, verb, name)."""
    for file in sorted((ROOT / "depnb").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            for verb, names in re.findall(
                r"\b([Ss]et|[Aa] run with(?: a)?(?: lower)?) ((?:[a-z_]+(?:, | or )?)+?)(?="
                r" to\b| lower\b| as the run| hashed| corrected|[.;] | avoid)", text_of(node)):
                for name in re.split(", | or ", names):
                    yield str(file.relative_to(ROOT)), verb.lower(), name


def test_advice_names_parameters_that_exist():
    known = {page: {*defaults(page)} for page in (*PAGES, "predict")}
    every, advice = set().union(*known.values()), {*advised()} - {("depnb/papers/aafn.py", "set",
                                                                   "it")}
    assert len(advice) >= 12
    assert {name for _, _, name in advice} >= {"sentence_encoder", "windows", "resume"}
    assert not {row for row in advice if row[2] not in every}
    # what reads recordings is asked by the prediction notebook too, which takes a run as it is
    assert not {row for row in advice if row[0].startswith("depnb/features") and row[1] == "set"
                and row[2] not in known["predict"]}
