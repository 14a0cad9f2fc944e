"""DAIC-WOZ as distributed, what is known to be wrong in it, and each fault a download can have."""

import json
import re
import shutil

import numpy as np
import pytest
import soundfile

from depnb import corpora
from depnb.corpora import daic_woz
from depnb.corpora.corpus import PHQ8
from depnb.corpora.daic_woz import ITEMS
from depnb.corpora.privacy import MARKER
from depnb.features import interview
from tests.trees import text_of, vouched

HEADER = ("Participant_ID,PHQ8_Binary,PHQ8_Score,Gender,PHQ8_NoInterest,PHQ8_Depressed,"
          "PHQ8_Sleep,PHQ8_Tired,PHQ8_Appetite,PHQ8_Failure,PHQ8_Concentrating,PHQ8_Moving")
TRANSCRIPT = ("start_time\tstop_time\tspeaker\tvalue\n0\t1\tEllie\thow are "
              "you\n1\t2\tParticipant\tfine\n")


def a_folder(root, number, parts=tuple(daic_woz.PARTS)):
    """Files of one participant; only the transcript can be read."""
    folder = root / f"{number}_P"
    folder.mkdir(parents=True)
    for part in parts:
        (folder / f"{number}_{part}").write_text(TRANSCRIPT if part == "TRANSCRIPT.csv" else "x")


def a_row(number, total, items=None, binary=None, gender=0):
    items = [total // 8 + (i < total % 8) for i in range(8)] if items is None else items
    return ",".join(map(str, [number, int(total >= 10) if binary is None else binary, total,
                              gender, *items]))


@pytest.fixture
def root(tmp_path):
    """Six participants, two a split; marked as simulated."""
    for number in range(300, 306):
        a_folder(tmp_path, number)
    (tmp_path / "train_split_Depression_AVEC2017.csv").write_text(
        f"{HEADER}\n{a_row(300, 3)}\n{a_row(301, 12, gender=1)}\n")
    (tmp_path / "dev_split_Depression_AVEC2017.csv").write_text(
        f"{HEADER}\n{a_row(302, 0)}\n{a_row(303, 24)}\n")
    (tmp_path
     / "test_split_Depression_AVEC2017.csv").write_text("participant_ID,Gender\n304,1\n305,0\n")
    (tmp_path / "full_test_split.csv").write_text(
        "Participant_ID,PHQ_Binary,PHQ_Score,Gender\n304,0,9,1\n,,,\n305,1,10,0\n,,,\n")
    (tmp_path / MARKER).write_text("{}")
    return tmp_path


def licensed(root):
    (root / MARKER).unlink()
    return corpora.open("daic_woz", vouched(root))


def rewrite(root, table, rows, header=HEADER):
    (root / f"{table}_split_Depression_AVEC2017.csv").write_text("\n".join([header, *rows]))


def problems_of(corpus, session="300"):
    return corpus.problems.loc[corpus.problems["session"] == session, "problem"].tolist()


def test_a_simulated_tree_is_read_as_written(interviews):
    corpus, truth = (corpora.open("daic_woz", interviews),
                     json.loads((interviews / MARKER).read_text())["sessions"])
    assert not corpus.restricted
    assert corpus.scale == PHQ8
    table = corpus.sessions.set_index("session")
    assert list(table.columns) == ["participant", "gender", "split", "score", "label", *ITEMS]
    assert set(table.index) == set(truth)
    for session, row in table.iterrows():
        told = truth[session]
        assert (row["split"], row["score"], row["gender"]) == (told["split"], told["phq8_total"],
                                                               told["gender"])
        assert row["label"] == (told["phq8_total"] >= 10)
        if row["split"] == "test":
            assert row[ITEMS].isna().all()
        else:
            assert row[ITEMS].tolist() == [told[item] for item in ITEMS]
    assert len(corpus.problems) == 1
    assert "have a total but no item scores" in problems_of(corpus, "all")[0]
    session = corpus[table.index[0]]
    assert session.timing == {"shift": 0.0, "skip": []}
    turns = session.transcript()
    assert list(turns.columns) == ["start", "stop", "speaker", "value"]
    assert set(turns["speaker"]) == {"Ellie", "Participant"}
    frames = truth[session.name]["frames"]
    assert session.landmarks().shape == (frames, 68, 3)
    assert session.gaze().shape == (frames, 4, 3)
    failed = sum(b - a + 1 for a, b in truth[session.name]["tracking_failed"])
    assert np.isnan(session.gaze()[:, 0, 0]).sum() == failed
    samples, rate = session.waveform("audio")
    assert rate == 16000
    assert len(samples) / rate == pytest.approx(truth[session.name]["seconds"], abs=0.01)


class TestLayout:
    """Where files lie and what columns are called."""

    def test_sessions_and_parts(self, root):
        corpus = corpora.open("daic_woz", vouched(root))
        table = corpus.sessions.set_index("session")
        assert table["split"].tolist() == ["train", "train", "validation", "validation",
                                           "test", "test"]
        assert table["gender"].tolist() == ["female", "male", "female", "female", "male", "female"]
        assert table["label"].tolist() == [0, 1, 0, 1, 0, 1]
        assert corpus["300"].parts == sorted(["audio", "transcript", "keypoints", "keypoints_2d",
                                              "gaze", "pose", "action_units"])
        assert corpus.modalities().all().all()
        assert set(corpus.split(-1)) == {"train", "validation", "test"}
        assert daic_woz.interviews(corpus)["300"] == {
            part: root / f"300_P/300_{name}" for name, part in daic_woz.PARTS.items()
            if part in ("audio", "transcript", "keypoints", "gaze")} | {"shift": 0.0, "skip": []}

    def test_folders_and_tables_may_lie_deeper(self, root, tmp_path_factory):
        deep = tmp_path_factory.mktemp("deep")
        (deep / "labels").mkdir()
        for path in root.iterdir():
            shutil.move(path, deep / "labels" if path.suffix == ".csv"
                        else deep / "a" / "b" / path.name if path.is_dir() else deep)
        assert len(corpora.open("daic_woz", vouched(deep))) == 6

    def test_columns_are_found_whatever_their_spelling(self, root):
        first = corpora.open("daic_woz", vouched(root)).sessions
        for name, change in (("train", str.upper),
                             ("dev", lambda text: text.replace("PHQ8", "PHQ").replace(",", ", "))):
            path = root / f"{name}_split_Depression_AVEC2017.csv"
            path.write_text(change(path.read_text()) + ",,,,,,,,,,,\n \n")
        table = root / "full_test_split.csv"
        table.write_bytes(b"\xef\xbb\xbf" + table.read_text().replace("304,0", "304.0,0").encode())
        assert corpora.open("daic_woz", vouched(root)).sessions.equals(first)

    def test_the_official_test_list_alone_gives_no_scores(self, root):
        (root / "full_test_split.csv").unlink()
        corpus = corpora.open("daic_woz", vouched(root))
        assert len(corpus) == 4
        assert problems_of(corpus, "304") == ["no table gives a PHQ-8 total. "
                                              "Add full_test_split.csv, or complete the row."]

    def test_missing_things(self, root, tmp_path_factory):
        with pytest.raises(FileNotFoundError,
                           match=r"no session found in it or below \(folders like 300_P\)"):
            corpora.open("daic_woz", tmp_path_factory.mktemp("empty"))
        for path in root.glob("*.csv"):
            path.unlink()
        with pytest.raises(FileNotFoundError,
                           match=r"no split table found in it or below\. Expected full_test_split"):
            corpora.open("daic_woz", vouched(root))

    @pytest.mark.parametrize(("text", "sentence"), [
        ("", "is empty; expected a table"),
        ("ID,PHQ8_Score\n300,3", "lacks Participant_ID or Gender; expected")])
    def test_tables_that_cannot_be_used(self, root, text, sentence):
        (root / "train_split_Depression_AVEC2017.csv").write_text(text)
        with pytest.raises(ValueError, match=rf"train_split_Depression_AVEC2017\.csv: {sentence}"):
            corpora.open("daic_woz", vouched(root))


class TestLinks:
    def test_linked_folders_are_entered_and_a_cycle_ends(self, root, tmp_path_factory):
        first, elsewhere = licensed(root).sessions, tmp_path_factory.mktemp("disk")
        for folder in sorted(root.glob("*_P")):
            shutil.move(folder, elsewhere / folder.name)
            (root / folder.name).symlink_to(elsewhere / folder.name)
        (elsewhere / "300_P/back").symlink_to(root)
        corpus = corpora.open("daic_woz", root)
        assert corpus.sessions.equals(first)
        assert len(corpus.files()) == 6 * len(daic_woz.PARTS)

    def test_a_table_that_is_a_link_to_nowhere(self, root):
        table = root / "dev_split_Depression_AVEC2017.csv"
        table.unlink()
        table.symlink_to(root / "nowhere.csv")
        corpus = licensed(root)
        assert len(corpus) == 4
        assert corpus.problems["problem"].str.contains("each a link that leads nowhere").sum() == 1

    def test_tables_that_are_all_links_to_nowhere(self, root, tmp_path_factory):
        (root / MARKER).unlink()
        for table in root.glob("*.csv"):
            table.unlink()
            table.symlink_to(root / "gone" / table.name)
        cache = tmp_path_factory.mktemp("cache")
        with pytest.raises(FileNotFoundError, match=r"no split table found.*Passed over: fewer "
                                                    r"than five, the first is a link that leads"):
            corpora.open("daic_woz", root, cache)
        assert "train_split_Depression_AVEC2017.csv\ta link" in (cache / "private.log").read_text()

    def test_sound_that_is_a_link_to_nowhere(self, root, tmp_path):
        sound = root / "300_P/300_AUDIO.wav"
        sound.unlink()
        sound.symlink_to(root / "nowhere.wav")
        corpus = licensed(root)
        assert len(corpus) == 6
        assert corpus.modalities()["audio"].sum() == 5
        corpus.write_private_log(tmp_path)
        assert f"all\t{sound}\t1 files passed over" in (tmp_path / "private.log").read_text()

    def test_tables_that_an_editor_keeps_do_not_count(self, root):
        first = licensed(root).sessions
        (root / ".ipynb_checkpoints").mkdir()
        (root / ".ipynb_checkpoints/train_split_Depression_AVEC2017-checkpoint.csv").write_text(
            f"{HEADER}\n{a_row(300, 24)}\n")
        assert corpora.open("daic_woz", root).sessions.equals(first)


class TestExtended:
    """E-DAIC has like folders and tables, and other files."""

    def extend(self, root, number):
        for name in ("Transcript.csv", "AUDIO.wav", "features/OpenFace2.1.0_Pose_gaze_AUs.csv",
                     "features/BoAW_openSMILE_2.3.0_MFCC.csv", "features/vgg16.csv"):
            place, _, last = name.rpartition("/")
            path = root / f"{number}_P" / place / f"{number}_{last}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")

    @pytest.mark.parametrize("marked", [True, False])
    def test_it_is_refused_by_name(self, root, marked):
        for number in range(300, 306):
            shutil.rmtree(root / f"{number}_P")
            self.extend(root, number)
        if not marked:
            (root / MARKER).unlink()
        with pytest.raises(ValueError, match=r": holds E-DAIC, the extended corpus of AVEC 2019 "
                                             r"\(.*\), which depnb does not read\. Give the "
                                             r"folder of DAIC-WOZ\.$"):
            corpora.open("daic_woz", vouched(root))

    def test_its_folders_beside_daic_woz_are_left_out(self, root):
        self.extend(root, 600)
        corpus = licensed(root)
        assert len(corpus) == 6
        assert corpus.problems["problem"].str.contains("has no row in a split table").sum() == 1
class TestNotations:
    """Tables and names as other programs and systems write them."""

    @pytest.mark.parametrize("change", [
        lambda text: text.replace(",", ";").encode(), lambda text: text.encode("utf-16"),
        lambda text: ("\ufeffsep=,\n" + text).encode(),
        lambda text: text.replace(",", "\t").encode("utf-16"),
        lambda text: re.sub(r"(?m)(?<=\d)(?=,|$)", ".0", text).encode()])
    def test_tables_may_be_saved_otherwise(self, root, change):
        before = corpora.open("daic_woz", vouched(root)).sessions
        for table in root.glob("*.csv"):
            table.write_bytes(change(table.read_text()))
        assert corpora.open("daic_woz", vouched(root)).sessions.equals(before)

    @pytest.mark.parametrize(("written", "gender"), [("0.0", "female"), ("1,0", "male"),
                                                     ("F", "female"), ("male", "male")])
    def test_genders(self, root, written, gender):
        row = a_row(300, 3).replace(",", ";").split(";")
        row[3] = written
        table = root / "train_split_Depression_AVEC2017.csv"
        table.write_text(HEADER.replace(",", ";") + "\n" + ";".join(row))
        corpus = corpora.open("daic_woz", vouched(root))
        assert corpus.sessions.set_index("session").loc["300", "gender"] == gender
        assert not problems_of(corpus, "300")

    def test_ids_with_a_suffix_and_rows_that_are_no_participant(self, root):
        rewrite(root, "train", [a_row("300_P", 3), a_row("0301", 12), "Total,,15,,,,,,,,,",
                                "mean,,7.5,,,,,,,,,"])
        corpus = corpora.open("daic_woz", vouched(root))
        assert len(corpus) == 6
        assert ("train_split_Depression_AVEC2017.csv: 2 rows whose Participant_ID is no number "
                "are not read") in problems_of(corpus, "all")[0]

    def test_genders_of_one_participant_may_be_written_in_two_ways(self, root):
        table = root / "test_split_Depression_AVEC2017.csv"
        table.write_text(table.read_text().replace("304,1", "304,male").replace("305,0", "305,F"))
        assert len(corpora.open("daic_woz", vouched(root))) == 6

    def test_tables_without_a_participant(self, root):
        for table in root.glob("*.csv"):
            table.write_text(f"{HEADER}\nTotal,,15,,,,,,,,,\n")
        with pytest.raises(ValueError, match=r"_AVEC2017\.csv: has no row whose Participant_ID is"):
            corpora.open("daic_woz", vouched(root))

    def test_capitals_in_names_of_folders_and_files_do_not_count(self, root):
        (root / "300_P/300_AUDIO.wav").rename(root / "300_P/300_audio.WAV")
        (root / "301_P").rename(root / "301_p")
        corpus = corpora.open("daic_woz", vouched(root))
        assert len(corpus) == 6
        assert corpus.modalities().all().all()


class TestScores:
    """Totals, items, and what contradicts."""

    def test_the_total_counts_against_the_binary_label(self, root):
        rewrite(root, "train", [a_row(300, 10, binary=0), a_row(301, 9, binary=1)])
        corpus = corpora.open("daic_woz", vouched(root))
        assert corpus.sessions["label"].tolist()[:2] == [1, 0]
        assert problems_of(corpus) == ["the table calls the participant not depressed, but the "
                                       "total of 10 says otherwise (cut-off 10). The total counts."]

    def test_one_missing_item_follows_from_the_total(self, root):
        rewrite(root, "train", [a_row(300, 8, [1, 1, "", 1, 1, 1, 1, 1]),
                                a_row(301, 5, [1, 1, "", 1, 1, 1, "", 0])])
        corpus = corpora.open("daic_woz", vouched(root))
        table = corpus.sessions.set_index("session")
        assert table.loc["300", ITEMS].tolist() == [1] * 8
        assert table.loc["301", ITEMS].isna().all()
        assert "one item score is missing in the table; it follows" in problems_of(corpus)[0]
        assert problems_of(corpus, "301") == ["2 item scores are missing; none is used."]

    @pytest.mark.parametrize(("row", "sentence"), [
        (a_row(300, 9, [1] * 8), "the item scores sum to 8, the total is 9."),
        (a_row(300, 11, [4, 1, 1, 1, 1, 1, 1, 1]), "an item score is not 0, 1, 2 or 3"),
        (a_row(300, 20, [1, 1, "", 1, 1, 1, 1, 1]), "the total leaves a missing one no such value"),
        (a_row(300, 25, [3] * 8), "the PHQ-8 total is 25; it is a whole number from 0 to 24"),
        (f"{a_row(300, 3)}\n{a_row(300, 4)}", "has rows that differ in phq8_"),
        ("300,,,0,,,,,,,,", "no table gives a PHQ-8 total")])
    def test_scores_that_cannot_be(self, root, row, sentence):
        rewrite(root, "train", [row, a_row(301, 3)])
        corpus = corpora.open("daic_woz", vouched(root))
        assert "300" not in set(corpus.sessions["session"])
        assert sentence in problems_of(corpus)[0]
        assert len(corpus) == 5

    def test_a_participant_in_two_splits(self, root):
        rewrite(root, "dev", [a_row(300, 3), a_row(303, 24)])
        corpus = corpora.open("daic_woz", vouched(root))
        assert ("listed in dev_split_Depression_AVEC2017.csv and "
                "train_split_" in problems_of(corpus)[0])

    def test_a_gender_that_is_none(self, root):
        rewrite(root, "train", [a_row(300, 3, gender=2), a_row(301, 3)])
        corpus = corpora.open("daic_woz", vouched(root))
        assert corpus.sessions["gender"].iloc[0] == "unknown"
        assert "gives no gender of 0 (female) or 1 (male)" in problems_of(corpus)[0]


class TestFiles:
    """A session goes without transcript; it stays without another modality."""

    def test_folder_without_row_and_row_without_folder(self, root):
        rewrite(root, "train", [a_row(301, 3), a_row(399, 4)])
        corpus = corpora.open("daic_woz", vouched(root))
        assert len(corpus) == 5
        assert problems_of(corpus) == ["the folder 300_P has no row in a split table, "
                                       "so its score is unknown. "
                                       "Add the table that lists it, or remove the folder."]
        assert problems_of(corpus, "399") == ["train_split_Depression_AVEC2017.csv lists 399, "
                                              "but there is no folder 399_P. Finish the download."]

    def test_missing_transcript(self, root):
        (root / "300_P/300_TRANSCRIPT.csv").unlink()
        corpus = corpora.open("daic_woz", vouched(root))
        assert len(corpus) == 5
        assert problems_of(corpus) == ["there is no 300_TRANSCRIPT.csv in 300_P. "
                                       "Copy it again from the corpus."]

    def test_missing_modalities(self, root):
        (root / "300_P/300_AUDIO.wav").unlink()
        (root / "301_P/301_CLNF_gaze.txt").unlink()
        corpus = corpora.open("daic_woz", vouched(root))
        assert corpus.modalities().loc[["300", "301"]].to_numpy().tolist() == [[True, False, True],
                                                                               [False, True, True]]
        assert problems_of(corpus) == ["there is no 300_AUDIO.wav; the audio modality is missing."]
        assert problems_of(corpus, "301") == ["there is no 301_CLNF_gaze.txt; "
                                              "the visual modality is missing."]
        assert daic_woz.interviews(corpus)["300"]["audio"] is None

    def test_files_found_faulty_later(self, root):
        corpus = corpora.open("daic_woz", vouched(root))
        corpus.exclude({"300/audio": "silent.", "301/transcript": "empty."})
        assert "301" not in set(corpus.sessions["session"])
        assert not corpus.modalities().loc["300", "audio"]
        assert "301" not in corpus.modalities().index


class TestOwnCases:
    """Further inputs of the kinds that people sent."""

    def test_files_outside_of_their_session_are_counted(self, root):
        (root / "300_P/300_AUDIO.wav").rename(root / "300_AUDIO.wav")
        (root / "301_P/301_CLNF_gaze.txt").rename(root / "300_P/301_CLNF_gaze.txt")
        corpus = corpora.open("daic_woz", vouched(root))
        assert problems_of(corpus, "all")[0] == (
            "2 files lie in no folder of their session, as …_AUDIO.wav outside of …_P, and are "
            "not read. Move or remove them.")
        assert "the audio modality is missing" in problems_of(corpus)[0]

    def test_a_session_twice_is_told(self, root, tmp_path_factory):
        """As after a second download; what the first folder lacks comes from the other one."""
        (root / "again").mkdir()
        shutil.copytree(root / "300_P", root / "again/300_P")
        told = problems_of(corpora.open("daic_woz", vouched(root)))
        assert len(told) == len(daic_woz.PARTS)
        assert "its audio exists 2 times; the first is read. Keep the right one." in told

    def test_sound_of_another_session_is_told(self, root):
        (root / MARKER).unlink()
        for number in range(300, 306):
            for part in daic_woz.PARTS:
                path = root / f"{number}_P/{number}_{part}"
                path.write_text(f"{path.read_text()}{number}{part}\n")
        shutil.copy(root / "300_P/300_AUDIO.wav", root / "304_P/304_AUDIO.wav")
        told = corpora.open("daic_woz", root).problems["problem"]
        assert told.str.startswith("its audio has the same content").sum() == 2


class TestReleasedCorpus:
    """What is known to be wrong, in a tree without the marker; sentences name no participant."""

    @pytest.fixture
    def real(self, root):
        odd = map(int,
                  [*daic_woz.FAULTY, *daic_woz.SHIFTED, *daic_woz.INTERRUPTED, *daic_woz.NOTES])
        numbers = [300, 301, *odd]
        for number in numbers[2:]:
            a_folder(root, number)
        rewrite(root, "train", [a_row(number, 3 + i) for i, number in enumerate(numbers)])
        return root

    def test_known_faults(self, real):
        corpus = licensed(real)
        by_score = corpus.sessions[corpus.sessions["split"]
                                   == "train"].set_index("score")["session"]
        assert set(by_score.index) == {3, 4, *range(9, 19)}  # the four faulty ones had 5 to 8
        timing = [corpus[s].timing for s in by_score.sort_index()]
        assert [t["shift"] for t in timing] == [0, 0, 34.319917, 3.8379167, 6.1892, 16.8582, 0,
                                                0, 0, 0, 0, 0]
        assert [t["skip"] for t in timing] == [[]] * 6 + [[[395, 428]], [[286, 387]]] + [[]] * 4
        assert corpus.problems["problem"].str.contains("known to be faulty").sum() == 4
        assert corpus.problems["problem"].str.contains("lacks the interviewer's turns").sum() == 3
        assert corpus.problems["problem"].str.contains(
            "ends two minutes before the sound").sum() == 1

    @pytest.mark.parametrize(("seconds", "shift"), [(60, 34.319917), (20, 0)])
    def test_no_time_is_moved_beyond_the_recording(self, real, seconds, shift):
        soundfile.write(real / "318_P/318_AUDIO.wav", np.tile([0.1, -0.1], 4000 * seconds), 8000)
        corpus = licensed(real)
        train = corpus.sessions[corpus.sessions["split"] == "train"]
        (session,) = train.loc[train["score"] == 9, "session"]
        assert corpus[session].timing == {"shift": shift, "skip": []}
        assert any("beyond the end of its recording, so it is another one" in sentence
                   for sentence in problems_of(corpus, session)) == (not shift)

    def test_errata_are_of_the_release_whose_tables_are_named_so(self, real):
        for table in real.glob("*AVEC2017.csv"):
            table.rename(table.with_name(table.name.replace("_Depression_AVEC2017", "")))
        corpus = licensed(real)
        assert len(corpus) == 20
        assert all(corpus[s].timing == {"shift": 0.0, "skip": []}
                   for s in corpus.sessions["session"])
        assert any("14 sessions have numbers that are in the errata" in sentence
                   for sentence in problems_of(corpus, "all"))

    def test_a_simulated_tree_has_none_of_them(self, real):
        corpus = corpora.open("daic_woz", vouched(real))
        assert len(corpus) == 20
        assert all(corpus[s].timing == {"shift": 0.0, "skip": []}
                   for s in corpus.sessions["session"])

    def test_no_participant_is_named(self, real):
        (real / "300_P/300_TRANSCRIPT.csv").unlink()
        (real / "301_P/301_CLNF_gaze.txt").unlink()
        rewrite(real, "dev", [a_row(302, 9, [1] * 8), a_row(999, 1), a_row(303, 10, binary=0)])
        corpus = licensed(real)
        corpus.exclude({next(f for f in corpus.files() if f.endswith("/audio")): "silent."})
        corpus.note({next(f for f in corpus.files() if f.endswith("/gaze")):
                     "a face in 12% of the frames."})
        text = text_of(corpus)
        assert not re.search(r"(?<![\d.])[3-9]\d\d(?!\d)", text), text
        assert "_TRANSCRIPT.csv" in text


def test_what_extraction_finds_faulty_is_listed_under_pseudonyms(interviews, tmp_path):
    root = shutil.copytree(interviews, tmp_path / "copy")
    (root / "300_P/300_TRANSCRIPT.csv").write_text("start_time,stop_time\n0,1\n")
    audio = root / "301_P/301_AUDIO.wav"
    audio.write_bytes(audio.read_bytes()[:audio.stat().st_size // 2])
    corpus = licensed(root)
    assert corpus.restricted
    features, problems, remarks = interview.extract(daic_woz.interviews(corpus), tmp_path / "cache",
                                                    workers=1, step=6)
    corpus.exclude(problems)
    corpus.note(remarks)
    assert len(features) == len(corpus) == 13
    assert corpus.modalities()["audio"].sum() == 12
    listed = corpus.problems["problem"].str.cat(sep=" ")
    assert "is not separated by tabs" in listed
    assert "truncated" in listed
    assert not re.search(r"\b30\d\b|_P\b", listed)


def test_sessions_that_no_table_lists_can_be_predicted(root):
    for table in root.glob("*.csv"):
        table.unlink()
    folders = sorted(p for p in root.iterdir() if p.is_dir())
    sessions = daic_woz.unlisted(root)
    assert set(sessions) == {p.name[:-2] for p in folders}
    assert daic_woz.unlisted(folders[0]) == {"300": sessions["300"]}
    next(folders[0].glob("*TRANSCRIPT*")).unlink()
    assert not daic_woz.unlisted(folders[0])
