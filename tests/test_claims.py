"""The claims ledger: whole rows, live links, a page that is what the data file gives; commands that can run."""

import ast
import re
import shlex

import pandas as pd
import papermill
import pytest
import yaml

from depnb import claims
from tests.conftest import ROOT

LEDGER = claims.load(ROOT / claims.DATA)
COMMANDS = re.findall(r"^papermill .*$", (ROOT / "book/evidence/cannot_know.md").read_text().replace("\\\n", ""), re.M)


@pytest.fixture
def row():
    return {"id": "a-claim", "paper": "AAFN", "claim": "It works.", "source": "README", "done": "read",
            "detail": "It does not.", "verdict": "contradicted", "links": ["book/reference/parity#sec-parity"]}


@pytest.fixture
def saved(tmp_path):
    def write(rows):
        (tmp_path / "claims.yaml").write_text(yaml.safe_dump(rows))
        return tmp_path / "claims.yaml"

    return write


class TestLedger:
    def test_every_paper_has_claims_of_every_verdict_and_there_are_at_least_seventy(self):
        assert len(LEDGER) >= 70
        assert {(c["paper"], c["verdict"]) for c in LEDGER} == {(p, v) for p in claims.PAPERS for v in claims.VERDICTS}

    @pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim["id"])
    def test_every_link_leads_somewhere(self, claim):
        assert [problem for link in claim["links"] if (problem := claims.dead(link, ROOT))] == []

    @pytest.mark.parametrize("claim", LEDGER, ids=lambda claim: claim["id"])
    def test_what_was_done_is_what_the_links_show(self, claim):
        kinds = {claims.shown(link)[0] for link in claim["links"]}
        if claim["done"] == "run on simulated data":
            assert {"page", "run"} <= kinds
        if claim["done"] in ("parity test", "ran the released behaviour"):
            assert "test" in kinds
        if claim["verdict"] == "reproduced":                   # never by reading, and never by what simulated people gave
            assert claim["done"] in ("parity test", "ran the released behaviour", "measured")

    def test_the_committed_page_is_what_the_data_file_gives(self):
        assert (ROOT / claims.PAGE).read_text() == claims.page(LEDGER), "run python -m depnb.claims"

    def test_numbers_that_rows_take_from_logs_and_benchmarks_stand_there(self):
        log = pd.read_csv(ROOT / "book/data/aafn_logs/epochs.csv").query("split == 'test'")
        accuracy = log[log["model"] == "audio visual text, sub-attention"].set_index("epoch")["accuracy_percent"]
        best = accuracy.idxmax()
        assert (accuracy[best], log["accuracy_percent"].max()) == (82.65, 82.65)
        assert accuracy[best] - accuracy[[best - 1, best + 1]].max() > 9
        assert accuracy[best] - accuracy.iloc[-1] > 11
        assert accuracy.drop(best).mean() < 72.65 == round(100 * 356 / 490, 2)
        medians = log.groupby("model")["accuracy_percent"].median()
        plain = ("concatenation", "maximum", "mean", "median", "product", "sum")
        assert medians["audio visual text, sub-attention"] < min(medians[f"audio visual text, {how}"] for how in plain)
        face = log[log["model"] == "visual only"]["accuracy_percent"]
        assert round(face.max(), 1) == 79.6
        assert not ((face - 72.3).abs() < 0.05).any()
        for file in (ROOT / "book/data/sta_drn_rerun").glob("*.csv"):
            errors = pd.to_numeric(pd.read_csv(file, header=None)[1], errors="coerce").dropna()
            assert len(errors) == 200
            assert (errors >= 10.30).sum() > 100
            assert errors.min() < 10.30
        by_length = pd.read_csv(ROOT / "benchmarks/results/selective_scan_length.csv")["microseconds a frame"]
        assert by_length.max() < 2 * by_length.min()


class TestPage:
    def test_counts_add_up(self):
        rows = re.findall(r"^\| ([^|]+) \| (.*) \|$", claims.page(LEDGER), re.M)
        counts = {name: list(map(int, numbers.split(" | "))) for name, numbers in rows if numbers[0].isdigit()}
        assert list(counts) == [*claims.VERDICTS, "all"]
        assert [sum(column) for column in zip(*(counts[v] for v in claims.VERDICTS), strict=True)] == counts["all"]
        assert counts["all"][-1] == len(LEDGER)

    def test_a_claim_has_its_verdict_source_links_and_commands(self, row):
        row["links"] += ["book/_executed/aafn#fig-aafn-log", "book/guide/quickstart", "book/data/aafn_logs/epochs.csv",
                         "tests/test_claims.py::TestPage::test_counts_add_up", "runs/aafn/mean", "runs/aafn/sum"]
        assert claims.block(row) == """\
(claim-a-claim)=

It works.
: **Contradicted.** Source: README.
: *Read.* It does not.
: See {ref}`sec-parity`, {doc}`/book/guide/quickstart`; AAFN {numref}`fig-aafn-log`; \
{download}`epochs.csv </book/data/aafn_logs/epochs.csv>`.
: ```bash
  .venv/bin/pytest \\
      tests/test_claims.py::TestPage::test_counts_add_up
  .venv/bin/snakemake -c2 runs/aafn/{mean,sum}/metrics.json
  ```"""

    def test_the_command_writes_the_page(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(claims, "PAGE", tmp_path / "claims.md")
        claims.main()
        assert (tmp_path / "claims.md").read_text() == claims.page(LEDGER)
        assert f"{len(LEDGER)} claims" in capsys.readouterr().out

    def test_the_command_refuses_a_dead_link_and_keeps_the_page(self, tmp_path, monkeypatch, row, saved):
        page = tmp_path / "claims.md"
        page.write_text("old")
        monkeypatch.setattr(claims, "PAGE", page)
        monkeypatch.setattr(claims, "DATA", saved([row | {"links": ["runs/aafn/none"]}]))
        with pytest.raises(SystemExit, match=r"runs/aafn/none: params/aafn/ablations.yaml lists no such run"):
            claims.main()
        assert page.read_text() == "old"


class TestBadRows:
    @pytest.mark.parametrize(("change", "said"), [
        ({"links": []}, "claim 2 (a-claim): links is missing"), ({"claim": ""}, "claim is missing"),
        ({"source": None}, "source is missing"), ({"id": None}, "claim 2 (None): id is missing"),
        ({"verdict": "true"}, "verdict 'true' is unknown; choose one of reproduced, contradicted, cannot"),
        ({"done": "guessed"}, "done 'guessed' is unknown; choose one of ran the released"),
        ({"paper": "BERT"}, "paper 'BERT' is unknown; choose one of STA-DRN, CFRAFN"), ({"paper": ["AAFN"]}, "is unknown"),
        ({"links": "runs/aafn/mean"}, "links is no list"), ({"links": [7]}, "a link is no text"),
        ({"note": "x"}, "unknown field 'note'"), ({"id": "A claim"}, "the id is not lower-case words"),
        ({"id": "first"}, "the id 'first' is taken")])
    def test_each_is_told_in_one_sentence(self, row, saved, change, said):
        with pytest.raises(ValueError, match=re.escape(said)) as told:
            claims.load(saved([row | {"id": "first"}, row | change]))
        assert "claims.yaml, claim 2" in str(told.value)
        assert "\n" not in str(told.value)

    @pytest.mark.parametrize("content", [None, {"id": "a"}, ["a"]])
    def test_what_is_no_list_of_claims_is_refused(self, saved, content):
        with pytest.raises(ValueError, match="expected a list of claims, each with the fields id, paper"):
            claims.load(saved(content))

    @pytest.mark.parametrize(("link", "said"), [
        ("tests/test_claims.py::test_none", "tests/test_claims.py has no such test"),
        ("tests/test_claims.py::row", "has no such test"), ("tests/test_claims.py::TestPage::test_none", "has no such test"),
        ("tests/test_none.py::test_a", "there is no file tests/test_none.py"),
        ("runs/aafn/none", "params/aafn/ablations.yaml lists no such run"), ("runs/none/quick", "lists no such run"),
        ("runs/aafn", "lists no such run"), ("book/none", "there is no book/none.md"),
        ("book/_executed/none#fig-a", "there is no notebooks/none.ipynb"),
        ("book/_executed/aafn#fig-none", "notebooks/aafn.ipynb has no label fig-none"),
        ("book/reference/parity#sec-none", "book/reference/parity.md has no label sec-none"),
        ("benchmarks/results/none.csv", "there is no file benchmarks/results/none.csv")])
    def test_a_dead_link_is_found(self, link, said):
        assert said in claims.dead(link, ROOT)


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
        given = dict(zip(words[6::3], words[7::3], strict=True))
        assert "data_root" in given
        for name, value in given.items():
            assert name in declared, name
            kind = declared[name]["inferred_type_name"]
            assert kind == "str" or type(ast.literal_eval(value)).__name__ == kind, name
            if name in ("corpus", "protocol", "variant", "model", "fusion", "gate", "fusion_gate", "alignment"):
                assert re.search(rf"\b{value}\b", declared[name]["help"] + declared[name]["default"]), (name, value)
