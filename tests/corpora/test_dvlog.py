"""D-Vlog: what is read, who is left out and why, speakers, genders, planted rows."""

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from depnb import corpora
from depnb.corpora.corpus import CLASS, by_gender
from depnb.corpora.privacy import MARKER
from depnb.features import vlog
from tests.trees import problem_of, text_of, vouched

HEADER = ["index", "label", "duration", "gender", "fold"]


def a_vlog(root, name, rows=8, acoustic=25, visual=136):
    folder = root / name
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(int(name))
    np.save(folder / f"{name}_acoustic.npy", rng.normal(size=(rows, acoustic)).astype(np.float32))
    np.save(folder / f"{name}_visual.npy", rng.normal(size=(rows, visual)).astype(np.float32))


def write(path, rows, separator=","):
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def listed(count=18):
    """Rows of a table: depressed every second one, women every third, folds in blocks."""
    return [[str(i), ("normal", "depression")[i % 2], "8.4", "mmf"[i % 3],
             ("train", "valid", "test")[i * 3 // count]] for i in range(count)]


@pytest.fixture
def root(tmp_path):
    """Eighteen vlogs of nine speakers, marked as simulated."""
    tree = tmp_path / "dvlog"
    tree.mkdir()
    for row in listed():
        a_vlog(tree, row[0])
    write(tree / "labels.csv", [HEADER, *listed()])
    write(tree / "speakers.csv",
          [["index", "speaker"], *([str(i), f"s{i // 2}"] for i in range(18))])
    (tree / MARKER).write_text("{}")
    return tree


def opened(root):
    return corpora.open("dvlog", vouched(root))


def change(root, vlog_id, **cells):
    rows = [row if row[0] != vlog_id
            else [cells.get(c, cell) for c, cell in zip(HEADER, row, strict=True)]
            for row in listed()]
    write(root / "labels.csv", [HEADER, *rows])


class TestWhatIsRead:
    def test_every_column_and_array(self, root):
        corpus = opened(root)
        assert len(corpus.problems) == 0
        assert corpus.scale == CLASS
        assert not corpus.restricted
        table = corpus.sessions.set_index("session")
        for i, label, _, gender, fold in listed():
            row = table.loc[i]
            assert row["label"] == row["score"] == (label == "depression")
            assert row["gender"] == {"m": "male", "f": "female"}[gender]
            assert row["split"] == {"train": "train", "valid": "validation", "test": "test"}[fold]
            assert row["participant"] == f"s{int(i) // 2}"
        assert corpus["5"].features("visual").shape == (8, 136)
        np.testing.assert_array_equal(corpus["5"].features("acoustic"),
                                      np.load(root / "5/5_acoustic.npy"))
        assert corpus.modalities().all(axis=None)
        assert len(corpus.files()) == 36

    def test_a_table_without_header_is_read_by_position_and_one_with_it_by_name(self, root):
        first = opened(root).sessions
        write(root / "labels.csv", listed())
        assert opened(root).sessions.equals(first)
        turned = [row[::-1] for row in listed()]
        write(root / "labels.csv", [[" Fold", "GENDER", "duration", "Label", "Index"], *turned])
        assert opened(root).sessions.equals(first)

    def test_byte_order_mark_quotes_blanks_and_empty_rows(self, root):
        first = opened(root).sessions
        lines = [",".join(f'"{cell}" ' for cell in row) + "," for row in [HEADER, *listed()]]
        (root / "labels.csv").write_text("\n\n".join(lines), encoding="utf-8-sig")
        assert opened(root).sessions.equals(first)

    def test_the_table_may_lie_below_the_root_and_hidden_files_are_no_vlogs(self, root):
        first = opened(root).sessions
        (root / "__MACOSX/5").mkdir(parents=True)
        (root / "__MACOSX/5/5_visual.npy").write_bytes(b"")
        (root / "5/._5_visual.npy").write_bytes(b"")
        corpus = opened(root)
        assert len(corpus.problems) == 0
        (root / MARKER).rename(root.parent / MARKER)
        assert opened(root.parent).sessions.equals(first)

    def test_other_words_for_the_classes_and_genders(self, root):
        rows = [[i, label.replace("normal", "Non-Depression").upper(), d,
                 {"m": "Male", "f": "female"}[g], f] for i, label, d, g, f in listed()]
        first = opened(root).sessions
        write(root / "labels.csv", [HEADER, *rows])
        assert opened(root).sessions.equals(first)


class TestFaults:
    """Each bars one vlog, in one sentence, and the others go on."""

    @pytest.mark.parametrize(("cells", "sentence"), [
        ({"label": "depressed"},
         r"its label is 'depressed'; expected depression or normal \(DepMamba's loader counts "
         r"anything else as normal, without a word\)\. Correct labels\.csv"),
        ({"label": ""}, "its label is ''"),
        ({"fold": "extra"},
         r"its fold is 'extra'; expected train, valid or test\. Correct labels\.csv")])
    def test_cells_that_mean_nothing(self, root, cells, sentence):
        change(root, "5", **cells)
        corpus = opened(root)
        assert len(corpus) == 17
        assert re.search(sentence, problem_of(corpus, "5"))

    def test_capitals_in_suffixes_do_not_count(self, root):
        (root / "5/5_visual.npy").rename(root / "5/5_Visual.npy")
        assert len(opened(root)) == 18

    def test_words_for_folds_and_genders(self, root):
        change(root, "5", gender="Female", fold="TRAIN")
        row = opened(root).sessions.set_index("session").loc["5"]
        assert (row["gender"], row["split"]) == ("female", "train")

    def test_an_unknown_gender_is_a_remark(self, root):
        change(root, "5", gender="x")
        corpus = opened(root)
        assert corpus.sessions.set_index("session").loc["5", "gender"] == "unknown"
        assert problem_of(corpus,
                          "5") == "its gender is 'x'; expected m or f. It counts as unknown."

    @pytest.mark.parametrize(("parts", "sentence"), [
        (("acoustic", "visual"), "there is no 5/5_acoustic.npy and no 5/5_visual.npy."),
        (("acoustic",), "there is no 5/5_acoustic.npy."),
        (("visual",), "there is no 5/5_visual.npy.")])
    def test_missing_arrays(self, root, parts, sentence):
        for part in parts:
            (root / f"5/5_{part}.npy").unlink()
        corpus = opened(root)
        assert len(corpus) == 17
        assert problem_of(corpus, "5") == (f"labels.csv lists it, but {sentence} "
                                           "Finish the download, or remove the row.")

    def test_linked_folders_are_read(self, root, tmp_path):
        first = opened(root).sessions
        for folder in [p for p in sorted(root.iterdir()) if p.is_dir()]:
            folder.rename(tmp_path / folder.name)
            (root / folder.name).symlink_to(tmp_path / folder.name)
        corpus = corpora.open("dvlog", root)
        assert len(corpus) == len(first)
        arrays, problems = vlog.load(corpus.files(), "dvlog")
        assert len(arrays) == 18
        assert not problems

    def test_a_link_to_nowhere_is_listed_and_the_rest_goes_on(self, root):
        (root / "5/5_visual.npy").unlink()
        (root / "5/5_visual.npy").symlink_to(root / "nowhere.npy")
        corpus = corpora.open("dvlog", root)
        assert len(corpus) == 17
        problems = corpus.problems["problem"]
        assert problems.str.startswith("fewer than five files passed over, each a link that leads "
                                       "nowhere. Put there what").sum() == 1
        assert problems.str.contains("there is no …/…_visual.npy. Finish").sum() == 1

    @pytest.mark.parametrize(("change", "reasons"), [
        (lambda text: text.replace("depression", "1").replace("normal", "0"),
         "its label is …; expected depression or normal (DepMamba's loader counts anything else as "
         "normal, without a word). Correct labels.csv (18 times)."),
        (lambda text: re.sub(r"(?m)^(\d+),", r"v\1,", text),
         "labels.csv has no row for it, so its label is unknown. Add the row, or remove the files "
         "(18 times). labels.csv lists it, but there is no …/…_acoustic.npy and no …/…_visual.npy. "
         "Finish the download, or remove the row (18 times).")])
    def test_the_reasons_are_told_where_nothing_can_be_used(self, root, tmp_path, change, reasons):
        """Of a licensed corpus too, without a name; those are in the private log."""
        (root / MARKER).unlink()
        (root / "labels.csv").write_text(change((root / "labels.csv").read_text()))
        with pytest.raises(ValueError, match="no usable session") as caught:
            corpora.open("dvlog", root, tmp_path / "cache")
        assert f" left out). The first: {reasons} See 'Your data'" in str(caught.value)
        rows = (tmp_path / "cache/private.log").read_text().splitlines()
        assert sum(str(root) in row for row in rows) >= 18

    def test_one_class_alone_tells_the_reasons(self, root, tmp_path):
        (root / MARKER).unlink()
        for i in range(1, 18, 2):
            (root / f"{i}/{i}_visual.npy").unlink()
        with pytest.raises(ValueError, match="of class 1: all 9 that labels") as caught:
            corpora.open("dvlog", root, tmp_path / "cache")
        assert ("The first: labels.csv lists it, but there is no …/…_visual.npy. Finish the "
                "download, or remove the row (9 times).") in str(caught.value)
        assert "17/17_visual.npy" in (tmp_path / "cache/private.log").read_text()

    def test_files_and_folders_without_row(self, root):
        a_vlog(root, "99")
        (root / "98").mkdir()
        corpus = opened(root)
        assert len(corpus) == 18
        for name in ("98", "99"):
            assert "labels.csv has no row for it, so its label is unknown" in problem_of(corpus,
                                                                                         name)

    def test_ids_listed_twice(self, root):
        rows = listed()
        write(root / "labels.csv", [HEADER, *rows, rows[5],
                                    [*rows[7][:-1], "train" if rows[7][-1] == "test" else "test"]])
        corpus = opened(root)
        assert "7" not in set(corpus.sessions["session"])
        assert problem_of(corpus, "7") == "has rows that differ in labels.csv. Keep the right one."
        assert len(corpus) == 17
        assert "several equal rows" in problem_of(corpus, "5")

    def test_an_array_that_lies_twice(self, root):
        (root / "more/5").mkdir(parents=True)
        (root / "more/5/5_visual.npy").write_bytes((root / "5/5_visual.npy").read_bytes())
        corpus = opened(root)
        assert len(corpus) == 17
        assert problem_of(corpus,
                          "5") == "there is more than one 5/5_visual.npy. Keep the right one."

    def test_a_row_without_index(self, root):
        write(root / "labels.csv", [HEADER, *listed(), ["", "normal", "1", "m", "train"]])
        assert "rows without index, which are not read" in problem_of(opened(root), "all")

    @pytest.mark.parametrize(("text", "sentence"), [
        ("", "is empty; expected index,label,duration,gender,fold"),
        ("index,label,duration,gender,fold\n", "holds a header and no row"),
        ("index,label,duration,fold\n1,normal,3,train\n",
         "lacks the column gender; expected index,label"),
        ("a,b\n1,2\n", "begins with no header; expected index,label,duration,gender,fold")])
    def test_tables_of_another_kind_stop_the_run(self, root, text, sentence):
        (root / "labels.csv").write_text(text)
        with pytest.raises(ValueError, match=rf"labels.csv: {sentence}"):
            opened(root)

    def test_a_table_that_is_no_text(self, root):
        (root / "labels.csv").write_bytes(b"\xff\xfe\x00\x81")
        with pytest.raises(ValueError, match="begins with no header; expected index"):
            opened(root)

    def test_no_table_and_one_class_only(self, root):
        write(root / "labels.csv", [HEADER, *(row for row in listed() if row[1] == "normal")])
        with pytest.raises(ValueError, match=r"no usable vlog of class 1: labels\.csv lists none"):
            opened(root)
        (root / "labels.csv").unlink()
        with pytest.raises(FileNotFoundError, match=r"no labels\.csv found in it or below"):
            opened(root)

    def test_faulty_arrays_are_left_out_after_reading(self, root):
        a_vlog(root, "5", visual=135)
        a_vlog(root, "6", acoustic=128)
        np.save(root / "7/7_visual.npy", np.ones((30, 136)))
        corpus = opened(root)
        arrays, problems = vlog.load(corpus.files(), "dvlog")
        assert sorted(problems) == ["5/visual", "6/acoustic", "7/visual"]
        corpus.exclude(problems)
        assert sorted(corpus.sessions["session"]) == sorted(arrays)
        assert len(corpus) == 15
        assert "8 rows of sound and 30 of picture" in problem_of(corpus, "7")


class TestOwnCases:
    """Further inputs of the kinds that people sent."""

    def test_names_of_tables_and_arrays_in_capitals(self, root):
        first = opened(root).sessions
        for path in [*root.rglob("*.npy"), root / "labels.csv", root / "speakers.csv"]:
            path.rename(path.with_name(path.name.upper()))
        corpus = opened(root)
        assert corpus.sessions.equals(first)
        assert corpus.problems.empty

    def test_ids_as_a_spreadsheet_writes_them_are_read_as_meant_and_counted(self, root):
        first = opened(root).sessions
        for name in ("labels.csv", "speakers.csv"):
            table = root / name
            table.write_text(re.sub(r"(?m)^(\d+),", r"\1.0,", table.read_text()))
        corpus = opened(root)
        assert corpus.sessions.equals(first)
        assert [sentence.partition(" vlogs")[0] for sentence in corpus.problems["problem"]] == [
            "labels.csv: 18", "speakers.csv: 18"]

    def test_speakers_with_and_without_a_point_are_one(self, root):
        write(root / "speakers.csv", [["index", "speaker"], *(
            [str(i), f"{i // 2}{'.0' * (i % 2)}"] for i in range(18))])
        assert opened(root).sessions["participant"].nunique() == 9

    @pytest.mark.parametrize("nobody", ["n/a", "NaN", "?", "unknown"])
    def test_a_word_for_nobody_names_nobody(self, root, nobody):
        table = root / "speakers.csv"
        table.write_text(table.read_text().replace("\n7,s3", f"\n7,{nobody}"))
        corpus = opened(root)
        assert len(corpus) == 17
        assert "name nobody, in speakers.csv" in problem_of(corpus, "7")

    def test_speakers_that_differ_in_capitals_alone_are_told(self, root):
        table = root / "speakers.csv"
        table.write_text(table.read_text().replace("\n7,s3", "\n7,S3"))
        assert problem_of(opened(root), "all").startswith(
            "1 participants are written in two ways that differ in capitals or accents alone")

    def test_arrays_that_are_no_vlogs_are_counted(self, root):
        for name in ("mean.npy", "7/7_text.npy"):
            np.save(root / name, np.zeros((3, 4)))
        assert problem_of(opened(root), "all") == (
            "2 files ending in .npy are no vlog's by their names or folders, and not read; "
            "expected <id>/<id>_acoustic.npy or <id>/<id>_visual.npy. Rename, move or remove them.")

    def test_a_second_label_table_is_told(self, root):
        (root / "old").mkdir()
        (root / "old/Labels.csv").write_text("index,label,duration,gender,fold\n")
        assert problem_of(opened(root), "all").startswith("1 more label tables lie there and are "
                                                          "not read; labels.csv that lies highest")

    def test_a_misspelt_column_of_speakers_is_told(self, root):
        table = root / "speakers.csv"
        table.write_text("\n".join([f"{line}{',gendre' if i == 0 else ',f'}" for i, line in
                                    enumerate(table.read_text().splitlines())]))
        assert problem_of(opened(root), "all").startswith(
            "speakers.csv: 1 columns are not read. Those that are: index, speaker, gender")

    def test_copies_of_a_licensed_corpus_are_told(self, root):
        """A file that was copied, or linked, in the place of another one."""
        (root / MARKER).unlink()
        (root / "3/3_visual.npy").unlink()
        (root / "3/3_visual.npy").symlink_to(root / "5/5_visual.npy")
        corpus = corpora.open("dvlog", root)
        assert list(corpus.problems["problem"]) == [
            "its visual has the same content as that of another recording, and both are read. "
            "Copy them again from the corpus, or remove one."] * 2

    def test_linked_in_a_circle(self, root):
        first = opened(root).sessions["label"]
        (root / "7/again").symlink_to(root)
        assert opened(root).sessions["label"].equals(first)

    def test_all_of_a_class_left_out_is_said_so(self, root):
        for name in range(0, 18, 2):
            (root / f"{name}/{name}_acoustic.npy").unlink()
        with pytest.raises(ValueError, match=r"no usable vlog of class 0: all 9 that labels\.csv "
                                             r"lists are left out\. The first: labels\.csv"):
            opened(root)


class TestSpeakers:
    def test_without_the_table_every_vlog_is_its_own_speaker_and_one_sentence_says_so(self, root):
        (root / "speakers.csv").unlink()
        corpus = opened(root)
        assert corpus.sessions["participant"].nunique() == 18
        assert ("every vlog counts as its own speaker, "
                "and leakage between splits cannot be excluded" in problem_of(corpus, "all"))
        assert not corpus.people_known
        assert set(corpus.shared_participants()["shared"]) == {"not known"}

    def test_a_vlog_without_speaker_counts_as_one_of_its_own(self, root):
        lines = (root / "speakers.csv").read_text().splitlines()
        (root / "speakers.csv").write_text("\n".join(line for line in lines
                                                     if not line.startswith("5,")))
        corpus = opened(root)
        assert "has no row in speakers.csv: it counts as a speaker of its own" in problem_of(corpus,
                                                                                             "5")
        assert corpus.sessions["participant"].nunique() == 10

    @pytest.mark.parametrize("row", ["5,somebody", "5,"])
    def test_rows_that_differ_or_name_nobody(self, root, row):
        text = (root / "speakers.csv").read_text()
        (root / "speakers.csv").write_text(text + row if row[-1] != ","
                                           else re.sub(r"(?m)^5,s2", "5,", text))
        corpus = opened(root)
        assert len(corpus) == 17
        assert "has rows that differ, or name nobody, in speakers.csv" in problem_of(corpus, "5")

    def test_another_table_of_that_name(self, root):
        write(root / "speakers.csv", [["vlog", "who"], ["1", "a"]])
        with pytest.raises(ValueError,
                           match=r"speakers\.csv: begins with no header; expected index,speaker"):
            opened(root)


class TestGenders:
    def test_training_and_testing_on_one_gender_each(self, root):
        corpus = opened(root)
        gender = corpus.sessions.set_index("session")["gender"]
        split = corpus.sessions.set_index("session")["split"]
        chosen = by_gender(split, corpus, "f", "male")
        assert set(gender[chosen.index[chosen == "test"]]) == {"male"}
        assert set(gender[chosen.index[chosen != "test"]]) == {"female"}
        assert set(chosen) == {"train", "validation", "test"}
        assert chosen.equals(by_gender(split, corpus, "Female", "m"))
        assert by_gender(split, corpus).equals(split)
        assert (by_gender(split, corpus, test="female") != "test").sum() == (split != "test").sum()

    @pytest.mark.parametrize("options", [{"train": "women"}, {"test": "women"}])
    def test_an_unknown_gender_names_those_there_are(self, root, options):
        corpus = opened(root)
        with pytest.raises(ValueError,
                           match=r"gender 'women': choose both, female \(f\) or male \(m\)"):
            by_gender(corpus.sessions.set_index("session")["split"], corpus, **options)

    def test_nothing_left_of_a_part(self, root):
        rows = [[i, label, d, "m" if fold == "valid" else g, fold]
                for i, label, d, g, fold in listed()]
        write(root / "labels.csv", [HEADER, *rows])
        corpus = opened(root)
        with pytest.raises(ValueError,
                           match=r"no session of gender female in validation\. Choose both"):
            by_gender(corpus.sessions.set_index("session")["split"], corpus, "female")

    def test_a_corpus_that_tells_no_genders(self, root):
        write(root / "labels.csv",
              [HEADER, *([i, label, d, "?", fold] for i, label, d, _, fold in listed())])
        corpus = opened(root)
        with pytest.raises(ValueError,
                           match="D-Vlog: tells no genders, so female cannot be chosen"):
            by_gender(corpus.sessions.set_index("session")["split"], corpus, test="female")


class TestTruth:
    def test_planted_rows_are_inclusive(self, root):
        spans = {"slow": {"acoustic": [[0, 2]], "visual": []},
                 "short": {"acoustic": [[1, 1], [6, 7]], "visual": [[3, 3]]}}
        (root / MARKER).write_text(json.dumps({"sessions": {"5": {"seconds": 8, **spans}}}))
        rows = opened(root).cue_rows("5")
        assert np.flatnonzero(rows["slow"]["acoustic"]).tolist() == [0, 1, 2]
        assert np.flatnonzero(rows["short"]["acoustic"]).tolist() == [1, 6, 7]
        assert rows["slow"]["visual"].shape == (8,)
        assert not rows["slow"]["visual"].any()

    def test_a_real_corpus_has_none(self, root):
        (root / MARKER).unlink()
        corpus = opened(root)
        assert corpus.cue_rows(corpus.sessions["session"][0]) == {}


class TestPrivacy:
    def test_no_id_speaker_or_path_is_shown(self, root, tmp_path):
        a_vlog(root, "731")
        change(root, "5", fold="extra")
        (root / "7/7_visual.npy").unlink()
        (root / MARKER).unlink()
        corpus = opened(root)
        arrays, problems = vlog.load(corpus.files(), "dvlog")
        assert not problems
        assert len(arrays) == len(corpus) == 16
        assert not re.search(r"731|\bs\d\b|7_visual|7/", text_of(corpus))
        assert len(corpus.problems) == 3
        corpus.write_private_log(tmp_path)
        assert re.search(r"S-\w{10}\t.*731/731_acoustic\.npy\t",
                         (tmp_path / "private.log").read_text())

    def test_pseudonyms_do_not_depend_on_where_the_corpus_lies(self, root, tmp_path):
        (root / MARKER).unlink()
        first = corpora.open("dvlog", root, tmp_path / "cache")
        assert len(first.fingerprint) == 16
        root.rename(root.with_name("elsewhere"))
        again = corpora.open("dvlog", root.with_name("elsewhere"), tmp_path / "cache")
        pd.testing.assert_frame_equal(first.sessions, again.sessions)
        assert first.fingerprint == again.fingerprint
