"""AVEC as distributed, and each fault a download can have."""

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from depnb import corpora
from depnb.corpora.corpus import Leak, audit
from depnb.corpora.privacy import MARKER
from depnb.simulation.layouts import simulate
from tests.trees import problem_of, text_of, vouched


@pytest.fixture
def copy(tree, tmp_path):
    """A copy of the simulated tree that may be broken; licensed(copy) takes its marker away."""
    return shutil.copytree(tree, tmp_path / "AVEC2014")


def licensed(root):
    (root / MARKER).unlink()
    return corpora.open("avec2014", vouched(root))


def label_of(root, session):
    return next(root.rglob(f"{session}_Depression.csv"))


def test_a_simulated_tree_is_read_as_written(tree):
    corpus = corpora.open("avec2014", tree)
    truth = json.loads((tree / MARKER).read_text())["sessions"]
    assert not corpus.restricted
    assert len(corpus.problems) == 0
    table = corpus.sessions.set_index("session")
    assert list(table.columns) == ["participant", "gender", "split", "score", "label"]
    assert {s: (table.loc[s, "score"], table.loc[s, "split"], table.loc[s, "participant"])
            for s in table.index} == {
                s: (t["bdi2"], t["split"], str(t["participant"])) for s, t in truth.items()}
    assert (table["label"] == (table["score"] >= 14)).all()
    session = corpus[table.index[0]]
    assert session.parts == ["freeform", "northwind"]
    frames = list(session.frames("northwind", step=3))
    assert len(frames) == 20
    assert frames[0].shape == (160, 160, 3)
    assert len(corpus.recordings()) == len(corpus.files()) == 24


def test_avec2013_is_read(tmp_path):
    root = simulate("avec2013", tmp_path / "avec2013", participants=3, seconds=0.5, size=96)
    corpus = corpora.open("avec2013", vouched(root))
    assert list(corpus.recordings()["part"]) == ["interview"] * 3
    assert sorted(corpus.sessions["split"]) == ["test", "train", "validation"]


def test_archives_may_be_unpacked_side_by_side(tree, tmp_path):
    for path in tree.rglob("*.mp4"):
        target = tmp_path / "zip" / ("Training" if "Training" in path.parts
                                     else path.parts[-3]) / path.parts[-2]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    for path in tree.rglob("*.csv"):
        (tmp_path / "labels").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / "labels")
    corpus = corpora.open("avec2014", tmp_path)
    assert sorted(corpus.sessions["score"]) == sorted(corpora.open("avec2014",
                                                                   tree).sessions["score"])


def unlink(root, pattern):
    for path in list(root.rglob(pattern)):
        path.unlink()


def twice(root, text):
    """Another label of session 203_1."""
    (root / "more").mkdir()
    (root / "more/203_1_Depression.csv").write_text(text)


def unsplit(root):
    for video in list(root.rglob("203_1_*.mp4")):
        video.rename(root / video.name)


def in_two_splits(root):
    video = next(root.rglob("203_1_Northwind_video.mp4"))
    other = "Testing" if "Testing" not in video.parts else "Training"
    shutil.copy(video, next(root.glob(f"*/Video/{other}/Northwind")))


class TestFaults:
    """One sentence that names the file, what was expected and what to do; the others go on."""

    def test_missing_root(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"data_root .*nowhere: no such folder. Expected the avec2014 corpus"):
            corpora.open("avec2014", tmp_path / "nowhere")

    def test_root_without_videos(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"no AVEC2014 video found in it or below \(names like 203_1_Northwind"):
            corpora.open("avec2014", tmp_path)

    def test_unknown_corpus(self, tmp_path):
        with pytest.raises(ValueError,
                           match="corpus 'avec2019': depnb reads avec2013, avec2014, frame_folder"):
            corpora.open("avec2019", tmp_path)

    @pytest.mark.parametrize(("spoil", "sentence"), [
        (lambda root: unlink(root, "203_1_Depression.csv"),
         "a video but no label; expected 203_1_Depression.csv"),
        (lambda root: unlink(root, "203_1_*.mp4"), "203_1_Depression.csv has no video"),
        (lambda root: twice(root, "63"),
         "exists 2 times with different scores. Keep the right one."),
        (unsplit, "lies in no Training, Development or Testing folder"),
        (in_two_splits, "lie in different splits")])
    def test_a_faulty_session_is_left_out(self, copy, spoil, sentence):
        spoil(copy)
        corpus = corpora.open("avec2014", vouched(copy))
        assert sentence in problem_of(corpus, "203_1")
        assert len(corpus) == 11

    @pytest.mark.parametrize(("text", "sentence"), [
        ("severe", "'severe'; expected a number from 0 to 63"), ("", "''; expected"),
        ("64", "is 64; a BDI-II total lies between 0 and 63"), ("-1", "is -1;"),
        ("nan", "'nan'; expected")])
    def test_label_that_is_no_score(self, copy, text, sentence):
        label_of(copy, "203_1").write_text(text)
        problem = problem_of(corpora.open("avec2014", vouched(copy)), "203_1")
        assert re.match(f"203_1_Depression.csv.*{re.escape(sentence)}.*Correct the file.", problem)

    def test_two_labels_that_agree_are_noted_and_read_once(self, copy):
        twice(copy, label_of(copy, "203_1").read_text())
        corpus = corpora.open("avec2014", vouched(copy))
        assert len(corpus) == 12
        assert "exists 2 times with one score; read once" in problem_of(corpus, "203_1")

    def test_no_usable_session(self, copy):
        unlink(copy, "*_Depression.csv")
        with pytest.raises(ValueError,
                           match=r"no usable session \(12 left out\)\. The first: session 2\d\d_"):
            corpora.open("avec2014", vouched(copy))

    def test_unknown_session(self, tree):
        with pytest.raises(KeyError, match="no session '999_1'; it has 12 sessions"):
            corpora.open("avec2014", tree)["999_1"]

    def test_excluded_recordings_leave_the_session_while_another_is_left(self, copy):
        corpus = corpora.open("avec2014", vouched(copy))
        corpus.exclude({"203_1/northwind": "truncated."})
        assert "203_1" in set(corpus.sessions["session"])
        assert "203_1/northwind" not in corpus.files()
        corpus.exclude({"203_1/freeform": "empty."})
        assert "203_1" not in set(corpus.sessions["session"])
        assert len(corpus.problems) == 2
        assert "203_1_Northwind_video.mp4: truncated." in corpus.problems["problem"].iloc[0]


class TestForeign:
    """What other programs and systems leave beside the corpus's own files."""

    def test_drawn_over_copies_are_not_read(self, copy):
        """OpenFace writes <video>.avi and <video>.csv, beside it or to the folder processed."""
        first = licensed(copy).files()
        for i, path in enumerate(sorted(copy.rglob("*.mp4"))):
            target = path if i % 2 else copy / "processed" / path.name
            target.parent.mkdir(exist_ok=True)
            for suffix in (".avi", ".csv"):
                target.with_suffix(suffix).write_bytes(b"x")
        corpus = corpora.open("avec2014", copy)
        assert corpus.files() == first
        assert corpus.listing().data.to_numpy().tolist() == [
            ["all", "24 files have a video's name and are none (.csv); not read."],
            ["12", "… lies beside the corpus's own MP4 and is not read: OpenFace, for one, draws "
                   "its points over such copies."]]

    def test_a_copy_alone_is_read_and_listed(self, copy):
        (video,) = copy.rglob("203_1_Northwind_video.mp4")
        video.rename(video.with_suffix(".avi"))
        corpus = corpora.open("avec2014", vouched(copy))
        assert corpus.files()["203_1/northwind"].suffix == ".avi"
        assert problem_of(corpus, "203_1") == (
            "203_1_Northwind_video.avi is read, but is no MP4 as the corpus has them. "
            "Make sure that nobody drew points over it.")

    def test_companions_of_a_mac_do_not_exist(self, copy):
        first = licensed(copy).files()
        for path in [*copy.rglob("*.mp4"), *copy.rglob("*.csv")]:
            path.with_name(f"._{path.name}").write_bytes(b"\0\5\x16\7")
        corpus = corpora.open("avec2014", copy)
        assert corpus.files() == first
        assert len(corpus.problems) == 0

    def test_the_other_corpus_is_named(self, tree):
        with pytest.raises(FileNotFoundError, match=r"no AVEC2013 video .* It holds videos of "
                                                    "avec2014: give that name"):
            corpora.open("avec2013", tree)


class TestLinks:
    def test_linked_folders_are_entered(self, copy, tmp_path):
        first = licensed(copy).sessions
        for i, folder in enumerate(sorted(copy.rglob("Northwind"))):
            folder.rename(tmp_path / f"disk{i}")
            folder.symlink_to(tmp_path / f"disk{i}")
        corpus = corpora.open("avec2014", copy)
        assert corpus.sessions.equals(first)
        assert len(corpus.files()) == 24

    def test_links_to_nowhere_are_listed_and_the_rest_goes_on(self, copy):
        for name in ("203_1_Northwind_video.mp4", "205_1_Depression.csv"):
            (path,) = copy.rglob(name)
            path.unlink()
            path.symlink_to("/nowhere")
        corpus = licensed(copy)
        assert len(corpus) == 11
        assert len(corpus.files()) == 21
        assert (corpus.problems["problem"].str.contains("fewer than five files passed over, each "
                                                        "a link that leads nowhere").sum() == 1)


class TestPrivacy:
    """A tree without the marker is licensed: pseudonyms everywhere, real names only in
    private.log.
    """

    def test_no_real_name_is_shown(self, copy):
        label_of(copy, "203_1").write_text("severe")
        corpus = licensed(copy)
        corpus.exclude({next(iter(corpus.files())): "truncated."})
        text = text_of(corpus)
        assert corpus.restricted
        assert not re.search(r"\b2\d\d(_\d)?\b|severe", text), text
        assert "is …; expected a number" in text

    def test_only_the_private_log_names_files(self, copy, tmp_path):
        label_of(copy, "203_1").write_text("severe")
        corpus = licensed(copy)
        corpus.write_private_log(tmp_path)
        log = (tmp_path / "private.log").read_text()
        assert str(label_of(copy, "203_1")) in log
        assert corpus.problems["session"].item() in log

    def test_the_log_is_written_before_an_error(self, copy, tmp_path):
        (copy / MARKER).unlink()
        corpus = corpora.open("avec2014", copy, tmp_path / "cache")
        with pytest.raises(ValueError, match="no usable session is left") as error:
            corpus.exclude(dict.fromkeys(corpus.files(), "truncated."))
        assert str(error.value).endswith(f"In full, with the names: {tmp_path}/cache/private.log, "
                                         "which is for your eyes.")
        assert "203_1_Northwind_video.mp4" in (tmp_path / "cache/private.log").read_text()

    def test_fatal_errors_name_no_session(self, copy):
        unlink(copy, "*_Depression.csv")
        with pytest.raises(ValueError, match="no usable session") as caught:
            licensed(copy)
        assert "_1" not in str(caught.value).replace(str(copy), "")
        assert "The first: session … has a video but no label" in str(caught.value)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """48 participants, six of whom come back; their videos are half a second long."""
    root = simulate("avec2014", tmp_path_factory.mktemp("corpora") / "many", participants=48,
                    seconds=0.5, size=64)
    return corpora.open("avec2014", vouched(root))


class TestSplits:
    """Participants stay on one side."""

    @pytest.mark.parametrize("fold", [0, 1, 2, 3, -1])
    def test_no_participant_stands_in_two_parts(self, corpus, fold):
        split = corpus.split(fold)
        people = corpus.sessions.set_index("session").loc[split.index, "participant"]
        assert set(split) == {"train", "validation", "test"}
        assert split.groupby(people).nunique().max() == 1

    def test_folds_cover_every_session_once_and_balance_scores(self, corpus):
        folds = corpus.folds(4)
        assert len(folds) == len(corpus)
        means = corpus.sessions.set_index("session")["score"].groupby(folds).mean()
        assert means.max() - means.min() < 6
        tests = [set(corpus.split(f).pipe(lambda s: s.index[s == "test"])) for f in range(4)]
        assert set.union(*tests) == set(corpus.sessions["session"])
        assert sum(map(len, tests)) == len(corpus)

    def test_official_split_shares_participants_and_the_audit_counts_them(self, corpus):
        shared = corpus.shared_participants()
        assert shared["shared"].sum() == 6            # each came back into one other split
        official = corpus.sessions.set_index("session")
        with pytest.raises(Leak, match="6 participants stand in more than one split"):
            audit(official["participant"], official["split"])
        cleaned = corpus.split(-1)
        assert len(cleaned) == len(corpus) - 6
        assert (official["split"] == "test").sum() == (cleaned == "test").sum()

    def test_a_fold_that_does_not_exist_is_named(self, corpus):
        with pytest.raises(ValueError, match=r"fold: 4\. Choose 0 to 3, or -1"):
            corpus.split(4)

    def test_too_few_participants_for_the_folds(self, corpus):
        with pytest.raises(ValueError, match="48 participants cannot fill 60 folds"):
            corpus.folds(60)

    def test_cue_frames_come_from_the_planted_truth(self, corpus):
        recording = corpus.recordings()["recording"].iloc[0]
        cues = corpus.cue_frames(recording, [0, 1, 2])
        assert set(cues) == {"smile", "brow", "eyes", "gaze", "head"}
        assert cues["head"].all()


class TestNotations:
    """Labels and names as other programs and systems write them."""

    @pytest.mark.parametrize("text", [b"\xef\xbb\xbf14\r\n", "14\n".encode("utf-16"), b'"14"\n',
                                      b"14,0\n", b"14,\n", b"14;\n", b"14\r\n\r\n", b"14.0"])
    def test_a_score_is_one_number_however_it_was_saved(self, copy, text):
        label_of(copy, "203_1").write_bytes(text)
        corpus = corpora.open("avec2014", vouched(copy))
        assert corpus.sessions.set_index("session").loc["203_1", "score"] == 14
        assert not len(corpus.problems)

    @pytest.mark.parametrize("text", ["14\n# d\xe9j\xe0\n".encode("latin-1"), b"BDI\n14\n"])
    def test_a_note_beside_the_score_costs_the_session_alone(self, copy, text):
        label_of(copy, "203_1").write_bytes(text)
        corpus = corpora.open("avec2014", vouched(copy))
        assert len(corpus) == 11
        assert "203_1_Depression.csv: the score is" in problem_of(corpus, "203_1")

    def test_capitals_in_tasks_and_suffixes_do_not_count(self, copy):
        (video,) = copy.rglob("203_1_Northwind_video.mp4")
        video.rename(video.with_name("203_1_northwind_Video.MP4"))
        label = label_of(copy, "205_1")
        label.rename(label.with_name("205_1_depression.CSV"))
        corpus = corpora.open("avec2014", vouched(copy))
        assert len(corpus) == 12
        assert corpus["203_1"].parts == ["freeform", "northwind"]


class TestOwnCases:
    """Further inputs of the kinds that people sent."""

    def test_a_session_without_a_task_is_told(self, copy):
        unlink(copy, "203_1_Northwind*")
        corpus = corpora.open("avec2014", vouched(copy))
        assert problem_of(corpus, "203_1") == ("its Northwind video is missing; the other task "
                                               "alone is read. Copy it again from the corpus.")
        assert corpus.modalities().sum().tolist() == [11, 12]

    def test_a_corpus_without_a_task_is_told_once(self, copy):
        unlink(copy, "*_Freeform_video.mp4")
        assert problem_of(corpora.open("avec2014", vouched(copy)), "all") == (
            "there is no video of the task Freeform; the other one alone is read.")

    @pytest.mark.parametrize("name", ["203_1_Northwind_video (1).mp4", " 203_1_Northwind_video.MP4",
                                      "Northwind\\203_1_Northwind_video.mp4",
                                      "203_1_Northwind_vid\u0301eo.mp4"])
    def test_videos_under_other_names_are_counted(self, copy, name):
        video = next(copy.rglob("203_1_Northwind_video.mp4"))
        video.rename(video.with_name(name))
        corpus = corpora.open("avec2014", vouched(copy))
        assert problem_of(corpus, "all") == (
            "1 files, videos or labels, are named unlike 203_1_Northwind_video.mp4 or "
            "203_1_Depression.csv and not read. Rename or remove them.")
        assert "its Northwind video is missing" in problem_of(corpus, "203_1")

    def test_the_other_avec_beside_it_is_no_fault(self, copy):
        """Both corpora may be unpacked into one folder: nobody is told to remove the other one."""
        video = next(copy.rglob("203_1_Northwind_video.mp4"))
        shutil.copy(video, video.with_name("203_1_cut_combined.mp4"))
        corpus = corpora.open("avec2014", vouched(copy))
        assert not corpus.problems["problem"].str.contains("named unlike").any()

    def test_labels_under_other_names_are_counted(self, copy):
        label = label_of(copy, "203_1")
        label.rename(label.with_name("203_1_Depression.csv.txt"))
        corpus = corpora.open("avec2014", vouched(copy))
        assert problem_of(corpus, "all").startswith("1 files, videos or labels, are named unlike")
        assert "has a video but no label" in problem_of(corpus, "203_1")

    def test_what_was_expected_of_a_score_stands_in_a_licensed_corpus_too(self, copy):
        (copy / MARKER).unlink()
        label_of(copy, "203_1").write_text("score,12")
        label_of(copy, "204_1").write_text("64")
        assert sorted(corpora.open("avec2014", copy).problems["problem"]) == [
            "…_Depression.csv: the score is …; a BDI-II total lies between 0 and 63. "
            "Correct the file.",
            "…_Depression.csv: the score is …; expected a number from 0 to 63. Correct the file."]

    def test_a_video_in_the_place_of_another_is_told(self, copy):
        (copy / MARKER).unlink()
        one, other = sorted(copy.rglob("*_Freeform_video.mp4"))[:2]
        shutil.copy(one, other)
        told = corpora.open("avec2014", copy).problems["problem"]
        assert told.str.startswith("its freeform has the same content as").tolist() == [True, True]


class TestFrameFolder:
    """What the STA-DRN authors' repository expects."""

    @pytest.fixture
    def root(self, tmp_path):
        rows = ["path,label"]
        for i in range(6):
            folder = tmp_path / f"image/{203 + i // 2}_{i % 2 + 1}_Northwind"
            folder.mkdir(parents=True)
            for number in (1, 2, 10):
                cv2.imwrite(str(folder / f"{number}.jpg"),
                            np.full((20, 20, 3), 10 * number, np.uint8))
            rows.append(f"image/{folder.name},{3 * i}")
        (tmp_path / "label.csv").write_text("\n".join(rows))
        return tmp_path

    def test_rows_are_thirds_and_participants_come_from_names(self, root):
        corpus = corpora.open("frame_folder", vouched(root))
        assert corpus.aligned
        assert corpus.restricted
        assert sorted(corpus.sessions["split"]) == sorted(["train", "validation", "test"] * 2)
        assert corpus.sessions["participant"].nunique() == 3
        assert sorted(corpus.sessions["score"]) == [0, 3, 6, 9, 12, 15]

    def test_frames_are_read_in_numeric_order(self, root):
        corpus = corpora.open("frame_folder", vouched(root))
        frames = list(corpus[corpus.sessions["session"].iloc[0]].frames("frames"))
        assert [round(f.mean(), -1) for f in frames] == [10, 20, 100]

    @pytest.mark.parametrize(("row", "sentence"), [
        ("image/999_1_Northwind,5", "but there is no such folder"),
        ("image/203_1_Northwind,7", "with different labels. Keep one."),
        ("image/203_1_Northwind,0", "label.csv: … equal rows for …; read once"),
        ("image/204_1_Northwind,", "with different labels")])
    def test_faulty_rows_are_listed(self, root, row, sentence):
        with (root / "label.csv").open("a") as table:
            table.write(f"\n{row}\n")
        corpus = corpora.open("frame_folder", vouched(root))
        assert sentence in corpus.problems["problem"].item()
        assert len(corpus) >= 5

    def test_companions_of_a_mac_do_not_exist(self, root):
        for name in ("image/.ipynb_checkpoints", "image/203_1_Northwind"):
            (root / name).mkdir(exist_ok=True)
            (root / name / "._1.jpg").write_bytes(b"\0\5\x16\7")
        corpus = corpora.open("frame_folder", vouched(root))
        assert len(corpus.problems) == 0
        assert [round(f.mean(), -1) for f in corpus[corpus.sessions["session"].iloc[0]]
                .frames("frames")] == [10, 20, 100]
    @pytest.mark.parametrize("change", [
        lambda text: text.replace("/", "\\"), lambda text: text.replace(",", ";"),
        lambda text: text.replace("path,label", "Path,Label"), lambda text: text.replace(",", ", "),
        lambda text: text.replace("image/", "./image/"), lambda text: text + "\n,\n,\n",
        lambda text: text.replace("Northwind,", "Northwind/,"), lambda text: "sep=,\n" + text,
        lambda text: text.replace("Northwind", "northwind")])
    def test_the_table_may_be_written_otherwise(self, root, change):
        before = corpora.open("frame_folder", vouched(root)).sessions
        (root / "label.csv").write_text(change((root / "label.csv").read_text()))
        corpus = corpora.open("frame_folder", vouched(root))
        assert corpus.sessions["score"].sum() == before["score"].sum()
        assert corpus.sessions["split"].value_counts().to_dict() == {"train": 2, "validation": 2,
                                                                     "test": 2}
        assert not len(corpus.problems)

    @pytest.mark.parametrize("words", [("train", "val", "test"), ("train", "dev", "test"),
                                       ("Training", "Development", "Testing"),
                                       ("train", "valid", "TEST")])
    def test_splits_go_by_several_words(self, root, words):
        head, *rows = (root / "label.csv").read_text().splitlines()
        rows = [f"{row},{words[i // 2]}" for i, row in enumerate(rows)]
        (root / "label.csv").write_text("\n".join([f"{head},split", *rows]))
        split = corpora.open("frame_folder", vouched(root)).split(-1)
        assert sorted(split) == sorted(["train", "validation", "test"] * 2)

    @pytest.mark.parametrize("word", ["", "extra"])
    def test_a_split_that_is_none_costs_its_session(self, root, word):
        head, *rows = (root / "label.csv").read_text().splitlines()
        rows = [f"{row},{('train', 'val', 'test')[i // 2] if i else word}"
                for i, row in enumerate(rows)]
        (root / "label.csv").write_text("\n".join([f"{head},split", *rows]))
        corpus = corpora.open("frame_folder", vouched(root))
        assert len(corpus) == 5
        assert "the split of … is …; expected train, validation or test" in (
            corpus.problems["problem"].item())

    def test_rows_without_a_path_are_counted(self, root):
        with (root / "label.csv").open("a") as table:
            table.write("\n,7\n")
        corpus = corpora.open("frame_folder", vouched(root))
        assert len(corpus) == 6
        assert "label.csv: 1 rows without a path are not read" in problem_of(corpus, "all")

    def test_two_tasks_of_one_name_stay_apart(self, root):
        head, *rows = (root / "label.csv").read_text().splitlines()
        (root / "image").rename(root / "Northwind")
        shutil.copytree(root / "Northwind", root / "Freeform")
        rows = [row.replace("image", task) for row in rows for task in ("Northwind", "Freeform")]
        (root / "label.csv").write_text("\n".join([head, *rows]))
        corpus = corpora.open("frame_folder", vouched(root))
        assert len(corpus) == len(set(corpus.files().values())) == 12
        assert corpus.sessions["participant"].nunique() == 3

    def test_folder_without_row_is_listed(self, root):
        (root / "image/300_1_Freeform").mkdir()
        assert "has no row in label.csv" in corpora.open("frame_folder",
                                                         vouched(root)).problems["problem"].item()

    def test_missing_table(self, tmp_path):
        with pytest.raises(FileNotFoundError,
                           match=r"no label.csv. Expected a table with the columns path,label"):
            corpora.open("frame_folder", tmp_path)

    def test_wrong_columns(self, root):
        (root / "label.csv").write_text("video,bdi\na,1")
        with pytest.raises(
            ValueError,
            match=r"lacks (path and label|label and path); expected the columns path,label"):
            corpora.open("frame_folder", vouched(root))
