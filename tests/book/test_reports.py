"""What was reported by others, and the authors' options beside ours: whole rows with sources,
whole in their tables.
"""

import re

import papermill
import pytest
import yaml
from bs4 import BeautifulSoup

from depnb.book import claims, eaten, options, reports
from tests.paths import ROOT

ROWS = [pytest.param(entry, row, id=f"{entry['corpus']}-{number}")
        for entry in reports.corpora() for number, row in enumerate(entry["rows"])]
OPTIONS = [pytest.param(paper, row, id=f"{paper}-{number}")
           for paper in claims.PAPERS.values() for number, row in enumerate(options.load(paper))]


@pytest.fixture
def row():
    return {"who": "somebody", "modality": "audio", "numbers": {"MAE": "5"}, "protocol": "official",
            "known": "own", "source": "abstract"}


class TestReports:
    @pytest.mark.parametrize(("entry", "row"), ROWS)
    def test_a_number_has_a_source_and_a_protocol(self, entry, row):
        assert reports.fault(row, entry["numbers"]) is None
        assert "?" not in row["protocol"]
        assert all(isinstance(value, str) and value for value in row["numbers"].values())

    def test_every_corpus_with_results_has_a_constant_or_says_why_not(self):
        for entry in reports.corpora():
            trivial = [row for row in entry["rows"] if row["modality"] == "none"]
            assert trivial or "no constant" in entry["about"], entry["corpus"]
            assert not trivial or entry["rows"][0] is trivial[0], entry["corpus"]
            assert all(row["who"].startswith("*") for row in trivial)

    def test_the_papers_of_this_book_are_all_reported_with_and_without_numbers(self):
        for paper in claims.PAPERS.values():
            table = reports.of_paper(paper).data
            assert "constant" in table
            assert "no run of ours is in this table" in table
        assert "10.44 (9.14 to 11.84)" in reports.of_paper("sta_drn").data
        assert "were not at hand" in reports.of_paper("dynmultidep").data

    def test_protocol_and_source_stand_below_the_name_and_a_single_corpus_in_the_caption(self):
        table = BeautifulSoup(reports.of_paper("aafn").data, "html.parser")
        assert [cell.text for cell in table.thead("th")] == ["who", "accuracy", "precision", "F1",
                                                             "MAE", "RMSE"]
        log = next(row for row in table.tbody("tr") if "attention, cross-entropy" in row.text)
        assert [line.text for line in log("small")] == [
            "audio, video; by window, epoch 16 of 200, best accuracy on the test windows",
            "their files: training logs, models/*/exp_*, c8c402f"]
        assert [cell.text for cell in log("td")] == [".820", "–", ".589", "4.9163", "–"]
        assert "DAIC-WOZ, test part" in table.caption.text
        assert not table.select("[scope=rowgroup]")
        several = BeautifulSoup(reports.of_paper("dynmultidep").data, "html.parser")
        assert [group.text for group in several.select("[scope=rowgroup]")] == ["D-Vlog", "LMVD"]

    def test_numbers_of_sta_drn_by_others_lie_around_the_constant(self):
        rows = next(e for e in reports.corpora() if e["corpus"] == "avec2014")["rows"]
        others = [row for row in rows if row.get("paper") == "sta_drn"
                  and re.search("anew|scored|runs|fork", row["who"])]
        # not one in brackets, which is an interval's end
        number = r"(?<![\d.(])\d+\.\d+(?![^()]*\))"
        errors = [float(value) for row in others
                  for value in re.findall(number, row["numbers"]["MAE"])]
        assert len(errors) >= 7
        assert sorted(errors)[0] == 8.5
        assert sorted(errors)[-2] == 10.44
        assert sorted(errors)[-1] == 13.49            # a further run, of 110 epochs

    def test_the_committed_page_is_what_the_data_file_gives(self):
        assert (ROOT
                / reports.PAGE).read_text() == reports.page(), "run python -m depnb.book.reports"

    def test_the_command_writes_the_page(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(reports, "PAGE", tmp_path / "field.md")
        reports.main()
        assert (tmp_path / "field.md").read_text() == reports.page()
        assert "corpora" in capsys.readouterr().out

    @pytest.mark.parametrize(("change", "sentence"), [
        ({"known": "heard"}, "known 'heard'; choose one of own, files, quoted, counted"),
        ({"note": 1}, "unknown field 'note'"), ({"source": ""}, "it has no source"),
        ({"known": "quoted"}, "it has no source"),
        ({"protocol": "with --x"}, "protocol holds 'with --x', which the page"),
        ({"numbers": {"AUC": "1"}}, "the corpus lists no 'AUC'")])
    def test_a_faulty_row_is_told(self, row, change, sentence):
        assert sentence in reports.fault(row | change, ["MAE", "RMSE"])

    def test_markdown_becomes_html(self):
        assert reports.to_html("**a** *b* `c` [d](https://e/f)") == (
            '<b>a</b> <i>b</i> <code>c</code> <a href="https://e/f">d</a>')

    @pytest.mark.parametrize("code", ["<name>_<label>", "models/*/exp_*",
                                      "results/<data>_<model>_0.txt", "--save", "a & b"])
    def test_code_is_shown_as_it_is_written(self, code):
        page = BeautifulSoup(reports.to_html(f"in `{code}` and *here*, 1 < 2"), "html.parser")
        assert page.code.text == code
        assert page.text == f"in {code} and here, 1 < 2"

    @pytest.mark.parametrize(("text", "part"),
                             [("a <b> c", "<b"), ("say --x", "--"), ("exp_*/*.log", "*"),
                              ("5 $", "$"), (r"a\_b", r"\_"), ("an _x_ b", "_"), ("[a](b)", "](")])
    def test_what_a_page_would_eat_is_found_unless_it_is_code(self, text, part):
        assert part in eaten(text)
        assert eaten(f"so `{text}` stays") is None
        assert eaten("a_b < 2, 3 – 4: fine - is it?") is None


class TestOptions:
    @pytest.mark.parametrize(("paper", "row"), OPTIONS)
    def test_ours_is_there(self, paper, row):
        declared = papermill.inspect_notebook(str(ROOT / f"notebooks/{paper}.ipynb"))
        for name in re.findall(r"`([^`]+)`", row["ours"]):
            known = (name.split()[0] in declared or (ROOT / name.split()[0]).exists()
                     or name.startswith(("python -m depnb", "papermill ", "make ", "snakemake ",
                                         "depnb.", "-p ", "-f ")))
            assert (
                known), f"{paper}: {row['theirs']}: ours {name!r} is no parameter, command or file"

    def test_what_the_readmes_name_is_answered(self):
        named = {"cfrafn": ("--data_path", "--save_path", "--model_save_name"),
                 "aafn": ("--config_file", "--gpu", "--save"),
                 "sta_drn": ("path,label", "face_detect.py", "--sigma"),
                 "dynmultidep": ("--train False", "mamba_config", "mm_output_sizes")}
        for paper, names in named.items():
            theirs = " ".join(row["theirs"] for row in options.load(paper))
            assert [name for name in names if name not in theirs] == [], paper

    def test_the_table_shows_them(self):
        assert "<code>data_root</code>" in options.of_paper("cfrafn").data

    @pytest.mark.parametrize("paper", claims.PAPERS.values())
    def test_nothing_of_a_row_is_lost_in_the_table(self, paper):
        table = " ".join(BeautifulSoup(options.of_paper(paper).data,
                                       "html.parser").get_text(" ").split())
        for text in (row[field] for row in options.load(paper) for field in options.FIELDS):
            for part in re.split("`", text):
                assert " ".join(part.split()) in table, text

    @pytest.mark.parametrize(("change", "sentence"), [
        ({"ours": ""}, "may not be empty"),
        ({"ours": "none", "note": ""}, "say in note why there is none"),
        ({"note": "as --y"}, "note holds 'as --y', which the page would change"),
        ({"more": 1}, "expected the fields theirs, where, ours, note")])
    def test_a_faulty_row_is_told(self, tmp_path, monkeypatch, change, sentence):
        row = {"theirs": "`--x`", "where": "main.py", "ours": "`seed`", "note": ""} | change
        (tmp_path / "params/toy").mkdir(parents=True)
        (tmp_path / "params/toy/commands.yaml").write_text(yaml.safe_dump([row]))
        monkeypatch.setattr(options, "located", lambda name: tmp_path / name)
        with pytest.raises(ValueError, match=re.escape(sentence)):
            options.load("toy")
