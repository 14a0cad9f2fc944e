"""The claims ledger: whole rows, live links, a page that is what the data file gives; commands
that can run.
"""

import ast
import re
import shlex

import pandas as pd
import papermill
import pytest
import yaml

from depnb.book import claims
from tests.paths import ROOT

LEDGER = claims.load()
COMMANDS = re.findall(r"^papermill .*$",
                      (ROOT / "book/evidence/cannot_know.md").read_text().replace("\\\n", ""), re.M)
STA_DRN = "divertingPan/STA-DRN 75c502e"
# "the weights are not released", "no weights were published", "unreleased weights", ...
DENIED = re.compile(
    r"\b(no|not|never|neither|nor|none)\b[^.;:|]{0,80}\b(weights?|checkpoints?)\b[^.;:|]{0,40}"
    r"\b(released|published|available|public|distributed|shared|online)\b"
    r"|\b(weights?|checkpoints?)\b[^.;:|]{0,60}\b(not|never|nowhere|un)\b ?"
    r"(\w+ ){0,2}(released|published|available|public|distributed|shared|online)\b"
    r"|\bunreleased (weights?|checkpoints?)", re.I)
PROSE = [*ROOT.glob("book/**/*.md"), *ROOT.glob("book/**/*.yaml"), *ROOT.glob("params/**/*.yaml"),
         ROOT / "README.md", *ROOT.glob("depnb/**/*.py"), *ROOT.glob("notebooks/**/*.ipynb")]


@pytest.fixture
def row():
    return {"id": "a-claim", "claim": "It works.", "said_by": "README", "where": 'README, "works"',
            "as_of": STA_DRN, "done": "read", "verdict": "contradicted", "detail": "It does not.",
            "links": ["book/reference/parity#sec-parity"]}


@pytest.fixture
def saved(tmp_path):
    def write(rows):
        (tmp_path / "claims.yaml").write_text(yaml.safe_dump(rows))
        return tmp_path / "claims.yaml"

    return write


class TestLedger:
    def test_every_paper_has_statements_open_questions_defects_and_parity(self):
        groups = {name: set(verdicts) for name, verdicts in claims.GROUPS.items()}
        assert {(c["paper"], g) for c in LEDGER for g, verdicts in groups.items()
                if c["verdict"] in verdicts} == {(p, g) for p in claims.PAPERS for g in groups}
        assert len(LEDGER) >= 133

    @pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim["id"])
    def test_every_link_leads_somewhere(self, claim):
        assert [problem for link in claim["links"] if (problem := claims.dead(link, ROOT))] == []

    @pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim["id"])
    def test_a_claim_is_a_sentence_and_a_question_is_not_specified(self, claim):
        text = claim["claim"].strip()
        assert re.match(r"[`\dA-Z]", text)
        assert text[-1] in ".?"
        assert not re.match("(Whether|How|Which|What|In which|To which) ",
                            text) or text.endswith("?")
        assert not text.endswith("?") or claim["verdict"] == "not specified"

    @pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim["id"])
    def test_what_was_done_is_what_the_links_show(self, claim):
        kinds = {claims.split_link(link)[0] for link in claim["links"]}
        if claim["done"] == "run on simulated data":
            assert {"page", "run"} <= kinds
        if claim["done"] in ("parity test", "ran the released behaviour"):
            assert "test" in kinds

    def test_the_committed_page_is_what_the_data_files_give(self):
        assert (ROOT
                / claims.PAGE).read_text() == claims.page(LEDGER), "run python -m depnb.book.claims"

    def test_numbers_that_rows_take_from_logs_stand_there(self):
        log = pd.read_csv(ROOT / "book/data/aafn_logs/epochs.csv").query("split == 'test'")
        accuracy = log[log["model"]
                       == "audio visual text, sub-attention"].set_index("epoch")["accuracy_percent"]
        best = accuracy.idxmax()
        assert (accuracy[best], log["accuracy_percent"].max()) == (82.65, 82.65)
        assert accuracy[best] - accuracy[[best - 1, best + 1]].max() > 9
        assert accuracy[best] - accuracy.iloc[-1] > 11
        assert accuracy.drop(best).mean() < 72.65 == round(100 * 356 / 490, 2)
        medians = log.groupby("model")["accuracy_percent"].median()
        plain = ("concatenation", "maximum", "mean", "median", "product", "sum")
        assert (medians["audio visual text, sub-attention"]
                < min(medians[f"audio visual text, {how}"] for how in plain))
        face = log[log["model"] == "visual only"]["accuracy_percent"]
        assert round(face.max(), 1) == 79.6
        assert not ((face - 72.3).abs() < 0.05).any()
        for file in (ROOT / "book/data/sta_drn_rerun").glob("*.csv"):
            errors = pd.to_numeric(pd.read_csv(file, header=None)[1], errors="coerce").dropna()
            assert len(errors) == 200
            assert (errors >= 10.30).sum() > 100
            assert errors.min() < 10.30


class TestNobodyIsDeniedWhatTheyReleased:
    @pytest.mark.parametrize("file", PROSE, ids=lambda file: str(file.relative_to(ROOT)))
    def test_no_sentence_says_that_weights_are_not_released(self, file):
        text = re.sub(r"\s+", " ",
                      file.read_text(encoding="utf-8").replace('\\n",', " ").replace('"', " "))
        assert [match[0] for match in DENIED.finditer(text)] == []

    @pytest.mark.parametrize("sentence", [
        "Neither a log nor weights of the authors are released.",
        "one file of weights, which is not released", "and no weights are released",
        "The authors' weights are not distributed.", "the unreleased weights",
        "No checkpoint is available.", "weights that were never made public"])
    def test_such_a_sentence_would_be_seen(self, sentence):
        assert DENIED.search(sentence)


class TestPage:
    def test_counts_add_up(self):
        page = claims.page(LEDGER)
        bodies = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
        assert [re.search(r'rowgroup"[^>]*>([^<]+)<', body)[1]
                for body in bodies] == list(claims.table())
        total = 0
        for body in bodies:
            rows = re.findall(r'<tr><th scope="row"( class="part")?>([^<]+)</th>(.*?)</tr>', body)
            numbers = [[int(n) for n in re.findall(r">(\d+)<", cells)]
                       for part, _, cells in rows if not part]
            *lines, all_of_them = numbers if len(numbers) > 1 else 2 * numbers
            assert [sum(column) for column in zip(*lines, strict=True)] == all_of_them
            assert sum(all_of_them[:-1]) == all_of_them[-1]
            total += all_of_them[-1]
        assert total == len(LEDGER) == page.count("{container} claim ")

    def test_the_first_pages_tally_counts_every_row_once_and_as_the_page_does(self):
        tally = pd.DataFrame(claims.tally(LEDGER))
        rows = pd.Series([row["paper"] for row in LEDGER])
        assert tally.sum().to_dict() == rows.value_counts().to_dict()
        of_page = claims.counts(LEDGER)
        for (part, words), numbers in tally.iterrows():
            line = next(text for text in of_page.split(f"{part}</th>")[1].splitlines()
                        if f">{words}</th>" in text)
            assert [int(n) for n in re.findall(r">(\d+)<", line)[:4]] == numbers.tolist()

    def test_a_number_leads_to_as_many_rows(self):
        classes = re.findall(r"\{container\} (claim .*)", claims.page(LEDGER))
        for query, number in re.findall(r'href="\?([^"]+)#filter">(\d+)<', claims.page(LEDGER)):
            wanted = {pair.replace("=", "-") for pair in query.split("&amp;")}
            assert sum(wanted <= set(row.split()) for row in classes) == int(number), query

    def test_it_is_told_in_whose_code_a_defect_is(self):
        row = {"said_by": "nobody", "verdict": "defect found", "where": "a.py", "as_of": STA_DRN}
        assert claims.speaker(row) == "In the authors' code: a.py"
        assert (claims.speaker(row | {"as_of": "sam4-21-blip/STA-DRN 26346a4"})
                == "In the code of a fork: a.py")
        assert claims.speaker(row | {"inherited_from": "Jiaxin-Ye/DepMamba 6e96fd2"}) == (
            "In code that the authors took over: a.py")
        defects = {c["id"]: claims.code(c) for c in LEDGER if c["verdict"] == "defect found"}
        assert [name for name, whose in defects.items() if whose == "others"] == [
            "sta-drn-rerun-validation", "sta-drn-rerun-best-of-two"]
        assert sum(whose == "inherited"
                   for name, whose in defects.items() if name.startswith("dynmultidep")) == 7

    @pytest.mark.parametrize(("said_by", "where", "sentence"), [
        ("README", "README, Training", "Said by the README, Training"),
        ("README", "README given to us", "Said by the README given to us"),
        ("copy", 'README, "new"', 'Said by the README of a copy, "new"'),
        ("re-run", "x/y, notes", "Said by others: x/y, notes"),
        ("re-run", "a user in issue 1", "Said by a user in issue 1"),
        ("issue", "the first author in issue 5", "Said by the first author in issue 5"),
        ("name or default", "`train.py`", "Implied by a name or a default: `train.py`"),
        ("paper", "abstract", "Said by the paper: abstract")])
    def test_nobody_is_named_twice(self, said_by, where, sentence):
        assert claims.speaker({"said_by": said_by, "where": where}) == sentence

    def test_what_has_no_commit_is_not_stamped_with_one(self):
        readme = "README of CFRAFN that was given to us"
        assert claims.read_in({"as_of": readme}) == f"Read: {readme}"
        assert claims.read_in({"as_of": [readme, STA_DRN]}) == (
            f"Read: {readme}; compared with divertingPan/STA-DRN "
            "[75c502e](https://github.com/divertingPan/STA-DRN/tree/75c502e)")
        for c in LEDGER:
            for words, text in (("README given to us", readme), ("one given to us", readme),
                                ("mdpi.com", "mdpi.com"), ("tomesphere.com", "tomesphere.com"),
                                ("the first author in issue", "issues of")):
                assert (words not in c["where"]
                        or any(text in place for place in claims.places(c["as_of"]))), c["id"]

    def test_every_term_is_in_the_glossary_and_linked_once_a_section(self):
        glossary = (ROOT / "book/reference/glossary.md").read_text().splitlines()
        assert [term for term in claims.TERMS if term not in glossary] == []
        for section in re.split(r"^#### ", claims.page(LEDGER), flags=re.M):
            linked = re.findall(r"\{term\}`([^`]+)`", section)
            assert len(linked) == len(set(linked))
        seen = set()
        assert claims.with_terms('An MAE, not "MAE" nor `MAE`, F1-score or MAE.', seen) == (
            'An {term}`MAE`, not "MAE" nor `MAE`, F1-score or MAE.')

    def test_rows_and_filter_have_one_parent_so_that_it_stays_in_sight(self):
        _, rows = claims.page(LEDGER).split("## Row by row")
        assert rows.count("{container} claim ") == len(LEDGER)
        assert "claim-filter" in rows
        assert not re.search(r"^##? ", rows, re.M)

    def test_every_kind_of_evidence_and_every_verdict_is_explained(self):
        page = claims.page(LEDGER)
        for word in (*claims.DONE, *claims.VERDICTS):
            assert f"- **{word.capitalize()}**: " in page

    def test_a_row_has_its_verdict_who_said_it_where_and_when_links_and_commands(self, row):
        row |= {"paper": "AAFN", "inherited_from": "YimianDai/open-aff 07cc0a8"}
        row["links"] += ["book/_executed/aafn#fig-aafn-log", "book/_executed/aafn#eq-aafn-fuse",
                         "book/guide/quickstart", "book/data/aafn_logs/epochs.csv",
                         "tests/book/test_claims.py::TestPage::test_counts_add_up",
                         "runs/aafn/mean", "runs/aafn/sum"]
        assert claims.block(row) == """\
(claim-a-claim)=
:::::{container} claim paper-aafn verdict-contradicted verdict-statements said-readme \
said-authors code-inherited
**It works.** <a class="claim-link" href="#claim-a-claim" aria-label="Link to this row" \
title="Link to this row">#</a>

<span class="claim-verdict">Contradicted</span> Said by the README, "works". \
Read at divertingPan/STA-DRN \
[75c502e](https://github.com/divertingPan/STA-DRN/tree/75c502e). Inherited from YimianDai/open-aff \
[07cc0a8](https://github.com/YimianDai/open-aff/tree/07cc0a8).

*Read.* It does not.

See {ref}`sec-parity`, {doc}`/book/guide/quickstart`; AAFN {numref}`fig-aafn-log`, \
equation {eq}`eq-aafn-fuse`; \
{download}`epochs.csv </book/data/aafn_logs/epochs.csv>`.

::::{dropdown} Run what it rests on
```bash
.venv/bin/pytest \\
    tests/book/test_claims.py::TestPage::test_counts_add_up
.venv/bin/snakemake -c2 runs/aafn/{mean,sum}/metrics.json
```
::::
:::::"""

    def test_every_repository_and_commit_that_was_read_is_in_the_table(self):
        page = claims.page(LEDGER)
        used = {place for c in LEDGER for field in ("as_of", "inherited_from")
                for place in claims.places(c.get(field, []))}
        assert used <= claims.known_places() | set(claims.texts())
        assert {place.split()[0]
                for place in used & claims.known_places()} == set(claims.repositories())
        for name, entry in claims.repositories().items():
            assert f"[{name}](https://github.com/{name})\n: " in page
            assert entry["lacks"] in page
            assert all(commit["date"] and commit["read"] for commit in entry["commits"])
        assert all(claims.place_link(name) in page for name in claims.texts())
        assert "date not noted" in page
        assert "(not noted)" not in page

    def test_the_command_writes_the_page(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(claims, "PAGE", tmp_path / "claims.md")
        claims.main()
        assert (tmp_path / "claims.md").read_text() == claims.page(LEDGER)
        assert f"{len(LEDGER)} rows" in capsys.readouterr().out

    def test_the_command_refuses_a_dead_link_and_keeps_the_page(self, tmp_path, monkeypatch, row):
        page = tmp_path / "claims.md"
        page.write_text("old")
        monkeypatch.setattr(claims, "PAGE", page)
        monkeypatch.setattr(claims, "load",
                            lambda: [row | {"paper": "AAFN", "links": ["runs/aafn/none"]}])
        with pytest.raises(SystemExit,
                           match=r"runs/aafn/none: params/aafn/ablations.yaml lists no such run"):
            claims.main()
        assert page.read_text() == "old"


class TestBadRows:
    @pytest.mark.parametrize(("change", "sentence"), [
        ({"links": []}, "row 2 (a-claim): links is missing"), ({"claim": ""}, "claim is missing"),
        ({"where": None}, "where is missing"), ({"as_of": ""}, "as_of is missing"),
        ({"said_by": None}, "said_by is missing"),
        ({"id": None}, "row 2 (None): id is missing"),
        ({"verdict": "true"},
         "verdict 'true' is unknown; choose one of reproduced, confirmed, contradicted, cannot"),
        ({"done": "guessed"}, "done 'guessed' is unknown; choose one of read, measured, ran the"),
        ({"said_by": "people"},
         "said_by 'people' is unknown; choose one of paper, README, comment"),
        ({"links": "runs/aafn/mean"}, "links is no list"),
        ({"links": [7]}, "links is no list of texts"),
        ({"note": "x"}, "unknown field 'note'"),
        ({"id": "A claim"}, "the id is not lower-case words"),
        ({"as_of": "divertingPan/STA-DRN"},
         "is no repository and commit of book/data/sources.yaml"),
        ({"as_of": [STA_DRN, "divertingPan/STA-DRN 0000000"]},
         "'divertingPan/STA-DRN 0000000' is no repository and commit"),
        ({"inherited_from": "somebody"}, "'somebody' is no repository and commit"),
        ({"said_by": "nobody"}, "nobody said it, so it cannot be 'contradicted'"),
        ({"said_by": "nobody", "verdict": "confirmed"},
         "nobody said it, so it cannot be 'confirmed'"),
        ({"verdict": "defect found"}, "'defect found' is for what nobody said; README did"),
        ({"verdict": "matches their code"},
         "'matches their code' is for what nobody said; README did"),
        ({"verdict": "reproduced"}, "'reproduced' takes more than 'read'"),
        ({"claim": "Say --save."},
         "claim holds 'Say --save.', which the page would change; put it in backticks"),
        ({"where": "exp_*/*.log"}, "where holds 'exp_*/*.log', which"),
        ({"detail": "<name>_<label>"}, "detail holds '<name>_<"),
        ({"detail": "costs $5"}, "detail holds"), ({"detail": "_x_"}, "detail holds")])
    def test_each_is_told_in_one_sentence(self, row, saved, change, sentence):
        with pytest.raises(ValueError, match=re.escape(sentence)) as told:
            claims.read(saved([row | {"id": "first"}, row | change]), "AAFN")
        assert "claims.yaml, row 2" in str(told.value)
        assert "\n" not in str(told.value)

    def test_an_id_that_is_taken_is_told(self, row):
        with pytest.raises(ValueError, match="the id 'a-claim' is taken twice"):
            claims.refuse_repeated([row, row | {"paper": "CFRAFN"}])

    @pytest.mark.parametrize("content", [None, {"id": "a"}, ["a"]])
    def test_what_is_no_list_of_rows_is_refused(self, saved, content):
        with pytest.raises(ValueError,
                           match="expected a list of rows, each with the fields id, claim"):
            claims.read(saved(content), "AAFN")

    @pytest.mark.parametrize(("link", "sentence"), [
        ("tests/book/test_claims.py::test_none", "tests/book/test_claims.py has no such test"),
        ("tests/book/test_claims.py::row", "has no such test"),
        ("tests/book/test_claims.py::TestPage::test_none", "has no such test"),
        ("tests/test_none.py::test_a", "there is no file tests/test_none.py"),
        ("runs/aafn/none", "params/aafn/ablations.yaml lists no such run"),
        ("runs/none/quick", "lists no such run"),
        ("runs/aafn", "lists no such run"), ("book/none", "there is no book/none.md"),
        ("book/_executed/none#fig-a", "there is no notebooks/none.ipynb"),
        ("book/_executed/aafn#fig-none", "notebooks/aafn.ipynb has no label fig-none"),
        ("book/reference/parity#sec-none", "book/reference/parity.md has no label sec-none"),
        ("benchmarks/results/none.csv", "there is no file benchmarks/results/none.csv")])
    def test_a_dead_link_is_named(self, link, sentence):
        assert sentence in claims.dead(link, ROOT)


class TestCommandsForLicenceHolders:
    def test_every_paper_has_some(self):
        used = {shlex.split(command)[1] for command in COMMANDS}
        assert used == {f"notebooks/{file}.ipynb" for file in claims.PAPERS.values()}

    @pytest.mark.parametrize("command", COMMANDS)
    def test_names_a_notebook_a_parameter_file_and_parameters_that_exist(self, command):
        words = shlex.split(command)
        assert words[2:4] == ["out.ipynb", "-f"]
        notebook, table = ROOT / words[1], ROOT / words[4]
        declared = papermill.inspect_notebook(str(notebook))
        assert set(yaml.safe_load(table.read_text())) <= set(declared)
        assert words[5::3] == ["-p"] * len(words[5::3])
        chosen = dict(zip(words[6::3], words[7::3], strict=True))
        assert "data_root" in chosen
        for name, value in chosen.items():
            assert name in declared, name
            kind = declared[name]["inferred_type_name"]
            assert kind == "str" or type(
                ast.literal_eval(value)).__name__ in kind.split(" or "), name
            if name in ("corpus", "protocol", "variant", "model", "fusion", "gate",
                        "fusion_gate", "alignment"):
                assert re.search(rf"\b{value}\b",
                                 declared[name]["help"] + declared[name]["default"]), (name, value)
