"""A folder of recordings by class, and each fault it can have."""

import json
import re
import unicodedata

import numpy as np
import pandas as pd
import pytest
import soundfile

from depnb import corpora
from depnb.corpora.corpus import CLASS, PHQ8
from depnb.corpora.privacy import MARKER
from depnb.corpora.speech_folder import split_by_file
from depnb.simulation.layouts import simulate
from tests.features.test_media import encode
from tests.trees import problem_of, text_of, vouched

PATTERN = r"^(\d+)_"


def speak(path, seed, rate=8000, channels=1):
    """A short noise of its own content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).uniform(-0.5, 0.5, (400, channels)), rate)


@pytest.fixture
def root(tmp_path):
    """Twelve participants with two recordings each, half of them depressed, without a table;
    marked as simulated.
    """
    for i in range(24):
        speak(tmp_path / f"voice_{i // 12}/{301 + i // 2}_{i % 2 + 1}.wav", i)
    (tmp_path / MARKER).write_text("{}")
    return tmp_path


def write_table(root, **columns):
    """participants.csv for the recordings that are there; columns: other cells by file, as
    {file: value}.
    """
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*.wav"))
    table = pd.DataFrame({"file": files, "participant": [re.search(r"/(\d+)_", f)[1]
                                                         for f in files]}, dtype=object)
    for column, cells in columns.items():
        table[column] = table["file"].map(cells)
    table.to_csv(root / "participants.csv", index=False)
    return table


def opened(root, **options):
    return corpora.open("speech_folder", vouched(root), **options)


def test_a_simulated_tree_is_read_as_written(tmp_path):
    tree = simulate("speech_folder", tmp_path / "tree", participants=6, seconds=1, workers=1)
    corpus, truth = opened(tree), json.loads((tree / MARKER).read_text())
    assert not corpus.restricted
    assert len(corpus.problems) == 0
    assert corpus.scale == PHQ8
    table = corpus.sessions.set_index("session")
    assert set(table.index) == set(truth["sessions"])
    for session, row in table.iterrows():
        person = truth["participants"][row["participant"]]
        assert (row["score"], row["label"], row["gender"]) == (person["phq8_total"],
                                                               person["label"], person["gender"])
        assert corpus.files()[f"{session}/recording"] == tree / truth["sessions"][session]["file"]
    assert (table["split"] == "").all()
    samples, rate = corpus[table.index[0]].waveform()
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) / rate == pytest.approx(truth["sessions"][table.index[0]]["seconds"],
                                                abs=0.001)


class TestParticipants:
    """From the table, from the file names, or unknown."""

    def test_pattern(self, root):
        corpus = opened(root, pattern=PATTERN)
        assert list(corpus.sessions["participant"]) == [str(301 + i // 2) for i in range(24)]
        assert corpus.scale == CLASS
        assert (corpus.sessions["score"] == corpus.sessions["label"]).all()
        assert len(corpus.problems) == 0

    def test_table_with_paths_or_bare_names(self, root):
        table = write_table(root)
        first = opened(root).sessions
        table["file"] = table["file"].str.split("/").str[1]
        # as Excel saves it
        table.to_csv(root / "participants.csv", index=False, encoding="utf-8-sig")
        assert opened(root).sessions.equals(first)
        assert first["participant"].nunique() == 12

    def test_table_with_commas_at_the_ends(self, root):
        first, text = write_table(root), (root / "participants.csv").read_text()
        (root / "participants.csv").write_text(text.replace("wav,", "wav, ").replace("\n", ",\n"))
        assert list(opened(root).sessions["participant"]) == list(first["participant"])

    def test_pattern_goes_before_the_table(self, root):
        write_table(root, participant={})
        assert opened(root, pattern=PATTERN).sessions["participant"].nunique() == 12

    def test_without_either_one_warning(self, root):
        corpus = opened(root)
        assert corpus.sessions["participant"].nunique() == len(corpus) == 24
        assert len(corpus.problems) == 1
        assert ("every recording counts as its own participant, "
                "and leakage between" in problem_of(corpus, "all"))
        assert not corpus.people_known
        assert opened(root, pattern=PATTERN).people_known

    @pytest.mark.parametrize(("pattern", "sentence"),
                             [("(", "is no regular expression"), (r"\d+", "has no group")])
    def test_patterns_that_cannot_be_used(self, root, pattern, sentence):
        with pytest.raises(ValueError, match=sentence):
            opened(root, pattern=pattern)

    def test_names_that_do_not_fit_the_pattern(self, root):
        speak(root / "voice_0/pilot.wav", 99)
        corpus = opened(root, pattern=PATTERN)
        assert len(corpus) == 24
        assert problem_of(corpus, "pilot") == ("pilot does not fit the pattern; its participant is "
                                               "unknown. Rename it, or change the pattern.")


class TestForeign:
    """Companions of a Mac, links."""

    def test_what_begins_with_a_dot_does_not_exist(self, root):
        first = opened(root, pattern=PATTERN).sessions
        for name in ("voice_0/._301_1.wav", "voice_1/.DS_Store", "__MACOSX/voice_0/301_1.wav"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"\0\5\x16\7")
        corpus = opened(root, pattern=PATTERN)
        assert corpus.sessions.equals(first)
        assert len(corpus.problems) == 0

    def test_a_linked_class_folder_is_entered(self, root, tmp_path_factory):
        first, elsewhere = opened(root, pattern=PATTERN).sessions, tmp_path_factory.mktemp("disk")
        (root / "voice_1").rename(elsewhere / "voices")
        (root / "voice_1").symlink_to(elsewhere / "voices")
        (root / "voice_0/round").symlink_to(root)
        corpus = corpora.open("speech_folder", root, pattern=PATTERN)
        assert corpus.sessions["label"].tolist() == first["label"].tolist()

    def test_a_link_to_nowhere_is_listed_with_a_count(self, root):
        (root / MARKER).unlink()
        for i in range(6):
            (root / f"voice_0/40{i}_1.wav").symlink_to(root / "nowhere.wav")
        corpus = opened(root, pattern=PATTERN)
        assert len(corpus) == 24
        assert problem_of(corpus, "all") == ("6 files passed over, each a link that leads nowhere. "
                                             "Put there what it should lead to, or remove it.")

    def test_no_recording_tells_what_was_left_out(self, root, tmp_path):
        """As of the Androids corpus, whose folders are HC and PT."""
        (root / MARKER).unlink()
        (root / "voice_0").rename(root / "HC")
        (root / "voice_1").rename(root / "PT")
        with pytest.raises(FileNotFoundError, match=r"found \(24 files left out\)") as caught:
            corpora.open("speech_folder", root, tmp_path / "cache")
        assert "The first: … lies in no folder whose name ends in _0 or _1," in str(caught.value)
        assert "HC/301_1.wav lies in no" in (tmp_path / "cache/private.log").read_text()

    def test_one_class_alone_tells_what_was_left_out(self, root, tmp_path):
        (root / MARKER).unlink()
        write_table(root)
        for path in (root / "voice_1").glob("*.wav"):
            path.rename(path.with_suffix(".mpg"))
        with pytest.raises(ValueError, match="recording of class 1: none lies in") as caught:
            corpora.open("speech_folder", root, tmp_path / "cache")
        assert "is no WAV, FLAC, MP3, OGG or M4A file, nor another that is read" in str(
            caught.value)
        assert "(12 times)" in str(caught.value)
        assert not re.search(r"3\d\d_", str(caught.value).replace(str(root), ""))
        assert "voice_1/312_2.mpg" in (tmp_path / "cache/private.log").read_text()


class TestTable:
    """participants.csv that does not fit the recordings."""

    def test_row_without_recording_and_recording_without_row(self, root):
        write_table(root)
        (root / "voice_0/301_1.wav").rename(root / "voice_0/399_1.wav")
        corpus = opened(root)
        assert len(corpus) == 23
        assert ("is listed in participants.csv, "
                "but there is no such recording" in problem_of(corpus, "voice_0/301_1.wav"))
        assert "399_1 has no row in participants.csv" in problem_of(corpus, "399_1")

    @pytest.mark.parametrize(("column", "cell", "sentence"),
                             [("participant", "", "has a row without participant"),
                              ("phq8_total", "severe", "has the phq8_total 'severe'; exp"),
                              ("phq8_total", "", "has the phq8_total ''"),
                              ("phq8_total", "25", "'25'; expected a number from 0 to 24")])
    def test_cells_that_cannot_be_read(self, root, column, cell, sentence):
        scores = {f"voice_{i // 12}/{301 + i // 2}_{i % 2 + 1}.wav": 15 * (i // 12)
                  for i in range(24)}
        table = write_table(root, phq8_total=scores).astype(object)
        table.loc[0, column] = cell
        table.to_csv(root / "participants.csv", index=False)
        corpus = opened(root)
        assert len(corpus) == 23
        assert corpus.scale == PHQ8
        problem = problem_of(corpus, "301_1")
        assert sentence in problem
        assert problem.endswith("Correct participants.csv.")

    @pytest.mark.parametrize(("written", "gender"), [
        ("f", "female"), ("M", "male"), ("Female", "female"), ("w", "female"), ("male ", "male"),
        ("unknown", "unknown")])
    def test_genders_in_letters_and_words(self, root, written, gender):
        files = write_table(root)["file"]
        write_table(root, gender=dict.fromkeys(files, written))
        corpus = opened(root)
        assert set(corpus.sessions["gender"]) == {gender}
        assert not len(corpus.problems)

    @pytest.mark.parametrize("written", ["1", "", "x"])
    def test_a_gender_that_says_nothing_counts_as_unknown_and_is_told(self, root, written):
        files = write_table(root)["file"]
        write_table(root, gender=dict.fromkeys(files, "m") | {files[0]: written})
        corpus = opened(root)
        assert corpus.sessions.set_index("session").loc["301_1", "gender"] == "unknown"
        assert f"its gender is {written!r}; expected m or f. It counts as unknown." in problem_of(
            corpus, "301_1")

    def test_scores_with_decimal_commas_between_semicolons(self, root):
        files = write_table(root)["file"]
        table = write_table(root, phq8_total={f: "3,0" if "_0/" in f else "15,5" for f in files})
        table.to_csv(root / "participants.csv", index=False, sep=";")
        assert set(opened(root).sessions["score"]) == {3, 15.5}

    def test_files_are_found_as_their_names_are_meant(self, root):
        table = write_table(root)
        names = [unicodedata.normalize("NFD", "zoé.wav"), "302_1.WAV"]
        for old, new in zip(("301_1.wav", "302_1.wav"), names, strict=True):
            (root / "voice_0" / old).rename(root / "voice_0" / new)
        table["file"] = table["file"].str.replace("301_1", unicodedata.normalize("NFC", "zoé"))
        table["file"] = table["file"].str.replace("/", "\\")
        table.rename(columns=str.upper).to_csv(root / "participants.csv", index=False)
        corpus = opened(root)
        assert len(corpus) == 24
        assert not len(corpus.problems)

    def test_too_few_for_the_folds_says_what_is_missing(self, root):
        files = write_table(root)["file"]
        write_table(root, participant={f: "one" if "_1/" in f else f for f in files})
        with pytest.raises(ValueError, match=r"1 participants of class 1 cannot fill 4 folds; "
                           r"expected 4 at least of each class\. Add recordings of others\."):
            opened(root).split(0)

    def test_rows_twice(self, root):
        table = write_table(root)
        again = pd.concat([table, table.iloc[:1], table.iloc[2:3].assign(participant="999")])
        again.to_csv(root / "participants.csv", index=False)
        corpus = opened(root)
        assert len(corpus) == 23
        assert "301_1 has 2 equal rows in participants.csv; read once" in problem_of(corpus,
                                                                                     "301_1")
        assert "302_1 has 2 rows that differ; expected one" in problem_of(corpus, "302_1")

    def test_folder_and_score_that_disagree(self, root):
        write_table(root, phq8_total={f"voice_{i // 12}/{301 + i // 2}_{i % 2 + 1}.wav": 12
                                      for i in range(24)})
        corpus = opened(root)
        assert corpus.sessions["label"].sum() == 12
        assert ("12 recordings lie in the folder of one class and have the PHQ-8 "
                "total" in problem_of(corpus, "all"))

    def test_participant_in_both_classes(self, root):
        speak(root / "voice_1/301_3.wav", 99)
        assert ("1 participants have recordings in both "
                "classes" in problem_of(opened(root, pattern=PATTERN), "all"))

    @pytest.mark.parametrize(("text", "sentence"), [
        (b"", "is empty; expected a table"),
        (b"name,class\na,1", "lacks the column file or participant"),
        (b"file,participant\na,1\nb,2,3", "row 3 has 3 cells, the first has 2"),
        (b"file,File,participant\na,b,1", "has the column file more than once")])
    def test_tables_that_cannot_be_used(self, root, text, sentence):
        (root / "participants.csv").write_bytes(text)
        with pytest.raises(ValueError, match=rf"participants\.csv: {sentence}"):
            opened(root)


class TestFiles:
    """What lies in the folder."""

    @pytest.mark.parametrize("name", ["x.wav", "x.WAV", "x.flac", "x.ogg", "x.mp3", "x.aiff",
                                      "deeper/x.wav"])
    def test_formats_rates_and_channels(self, root, name):
        speak(root / "voice_1" / name, 99, rate=44_100, channels=2)
        corpus = opened(root)
        assert len(corpus) == 25
        samples, rate = corpus["x"].waveform()
        assert rate == 44_100
        assert samples.ndim == 1
        assert 300 < len(samples) < 4000            # MP3 has padding

    def test_stray_files_are_listed_and_not_read(self, root):
        strays = ["voice_0/301_1.txt", "voice_1/notes.txt"]
        for name in strays:
            (root / name).write_text("x")
        corpus = opened(root, pattern=PATTERN)
        assert len(corpus) == 24
        assert list(corpus.problems["session"]) == strays
        assert corpus.problems["problem"].str.contains(
            "is no WAV, FLAC, MP3, OGG or M4A file, nor another that is read").all()

    def test_a_videos_sound_is_read_unless_a_sound_file_of_its_name_lies_beside(self, root):
        speech = np.random.default_rng(98).uniform(-0.5, 0.5, 16000).astype(np.float32)
        soundfile.write(root / "voice_0/x.wav", speech, 16000)
        encode(root / "voice_0/x.mp4", speech, 16000)
        encode(root / "voice_1/y.mp4", speech, 16000)
        encode(root / "voice_1/z.m4a", speech[::-1], 16000)
        corpus = opened(root)
        assert {"x", "y", "z"} <= set(corpus.sessions["session"])
        assert corpus["y"].waveform()[1] == 16000
        assert "is passed over: a sound file of its name" in problem_of(corpus, "voice_0/x.mp4")

    def test_folders_without_a_label(self, root):
        for number, name in enumerate(["healthy/a.wav", "voice_2/b.wav", "c.wav"]):
            speak(root / name, 90 + number)
        (root / "docs").mkdir()
        (root / "docs/readme.txt").write_text("x")
        corpus = opened(root, pattern=PATTERN)
        assert len(corpus) == 24
        assert list(corpus.problems["session"]) == ["c.wav", "healthy/a.wav", "voice_2/b.wav"]
        assert corpus.problems["problem"].str.contains("lies in no folder whose name ends in _0 or "
                                                       "_1, the label").all()

    def test_two_files_of_one_name_are_kept_apart(self, root):
        speak(root / "voice_1/301_1.wav", 99)
        corpus = opened(root, pattern=PATTERN)
        assert len(corpus) == 25
        assert corpus.sessions["session"].is_unique
        names = ["voice_0:301_1.wav", "voice_1:301_1.wav"]
        assert set(names) < set(corpus.sessions["session"])
        waves = [corpus[name].waveform()[0] for name in names]
        assert not np.array_equal(*waves)
        assert all("shares its name with another recording; "
                   "they are kept apart" in problem_of(corpus, n) for n in names)
        table = write_table(root)
        assert len(opened(root)) == 25
        table.assign(file=table["file"].str.split("/").str[1]).to_csv(root / "participants.csv",
                                                                      index=False)
        assert "more than one such recording. Write it with its folder" in problem_of(opened(root),
                                                                                      "301_1.wav")

    def test_copies_are_read_once(self, root):
        for name in ("voice_0/copy.wav", "voice_0/another.wav"):
            (root / name).write_bytes((root / "voice_0/301_1.wav").read_bytes())
        corpus = opened(root)
        assert len(corpus) == 24
        assert list(corpus.problems["problem"].str.contains("has the same content as a recording "
                                                            "of its class")) == [False, True, True,
                                                                                 False]

    def test_a_copy_under_another_participant_is_nobodys(self, root):
        (root / "voice_0/302_1.wav").write_bytes((root / "voice_0/301_1.wav").read_bytes())
        corpus = opened(root, pattern=PATTERN)
        assert len(corpus) == 22
        assert "of another participant; neither is used" in problem_of(corpus, "voice_0/302_1.wav")

    def test_copies_in_both_classes_are_not_read(self, root):
        (root / "voice_1/copy.wav").write_bytes((root / "voice_0/301_1.wav").read_bytes())
        corpus = opened(root)
        assert len(corpus) == 23
        assert "301_1" not in set(corpus.sessions["session"])
        assert ("of the other class; neither is used. "
                "Keep the right one" in problem_of(corpus, "voice_1/copy.wav"))

    def test_empty_files_are_left_to_the_features(self, root):
        for name in ("voice_0/a.wav", "voice_1/b.wav"):
            (root / name).write_bytes(b"")
        assert len(opened(root)) == 26

    def test_empty_folder(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"no recording found \(0 files left out\)\. Expected folders named"):
            opened(tmp_path)

    def test_one_class_only(self, root):
        for path in (root / "voice_1").iterdir():
            path.unlink()
        with pytest.raises(ValueError, match="no usable recording of class 1: none lies in a "
                                             "folder whose name ends in _1, as voices_1"):
            opened(root)

    def test_a_table_that_leaves_out_a_class(self, root):
        write_table(root)
        table = root / "participants.csv"
        table.write_text("".join(line for line in table.read_text().splitlines(keepends=True)
                                 if not line.startswith("voice_1")))
        with pytest.raises(ValueError, match=r"no usable recording of class 1: all 12 in its "
                                             r"folder are left out\. The first: .* has no row"):
            opened(root)

    def test_one_class_left_after_faulty_recordings(self, root):
        corpus = opened(root, pattern=PATTERN)
        depressed = corpus.sessions.loc[corpus.sessions["label"] == 1, "session"]
        with pytest.raises(ValueError, match="only class 0 is left"):
            corpus.exclude({f"{session}/recording": "silent." for session in depressed})

    def test_no_usable_recording(self, root):
        write_table(root, participant={})
        with pytest.raises(ValueError, match=r"no usable session \(24 left out\)"):
            opened(root)


class TestOwnCases:
    """Further inputs of the kinds that people sent."""

    def test_the_table_in_capitals_and_folders_with_a_blank(self, root):
        write_table(root)
        first = opened(root).sessions
        (root / "participants.csv").rename(root / "Participants.CSV")
        (root / "voice_1").rename(root / "voice_1 ")
        table = (root / "Participants.CSV")
        table.write_text(table.read_text().replace("voice_1/", "voice_1 /"))
        assert opened(root).sessions.equals(first)

    @pytest.mark.parametrize("nobody", ["n/a", "None", "-", "unknown"])
    def test_a_word_for_nobody_names_nobody(self, root, nobody):
        write_table(root, participant={"voice_0/301_1.wav": nobody} | {
            f"voice_{i // 12}/{301 + i // 2}_{i % 2 + 1}.wav": i // 2 for i in range(1, 24)})
        corpus = opened(root)
        assert len(corpus) == 23
        assert "has a row without participant" in problem_of(corpus, "301_1")

    def test_one_participant_with_and_without_a_point(self, root):
        write_table(root, participant={
            f"voice_{i // 12}/{301 + i // 2}_{i % 2 + 1}.wav": f"{301 + i // 2}{'.0' * (i % 2)}"
            for i in range(24)})
        assert opened(root).sessions["participant"].nunique() == 12

    def test_a_misspelt_column_is_told(self, root):
        write_table(root, phq8_totl=dict.fromkeys(map(str, range(3)), "7"))
        assert problem_of(opened(root), "all") == (
            "participants.csv: 1 columns are not read. Those that are: file, "
            "participant, gender, phq8_total, age. Correct the names, if it is one.")

    def test_backslashes_in_names_of_files(self, root):
        """As archives of Windows are unpacked elsewhere."""
        write_table(root)
        (root / "voice_0/301_1.wav").rename(root / "voice_0/voice_0\\301_1.wav")
        corpus = opened(root)
        assert len(corpus) == 24
        assert corpus.sessions["participant"].nunique() == 12
        assert corpus.problems.empty

    def test_a_link_around_its_own_folder(self, root):
        write_table(root)
        first = opened(root).sessions["label"]
        (root / "voice_0/more").symlink_to(root / "voice_0")
        assert opened(root).sessions["label"].equals(first)


class TestSplits:
    @pytest.mark.parametrize("fold", range(4))
    def test_folds_keep_participants_whole_and_both_classes_everywhere(self, root, fold):
        corpus = opened(root, pattern=PATTERN)
        split = corpus.split(fold)
        table = corpus.sessions.set_index("session").loc[split.index]
        assert set(split) == {"train", "validation", "test"}
        assert split.groupby(table["participant"]).nunique().max() == 1
        assert (table["label"].groupby(split).nunique() == 2).all()
        assert split.equals(corpus.split(fold))

    def test_there_is_no_official_split(self, root):
        with pytest.raises(ValueError,
                           match=r"speech folder: has no official split. Choose fold 0 to 3"):
            opened(root).split(-1)

    def test_too_few_participants_of_a_class(self, root):
        for path in (root / "voice_1").iterdir():
            if path.name > "308":
                path.unlink()
        with pytest.raises(ValueError, match="1 participants of class 1 cannot fill 4 folds"):
            opened(root, pattern=PATTERN).split(0)

    def test_split_by_file_is_the_authors(self, root):
        corpus = opened(root, pattern=PATTERN)
        split = split_by_file(corpus)
        assert split.value_counts().to_dict() == {"train": 14, "validation": 5, "test": 5}
        # people leak
        assert split.groupby(
            corpus.sessions.set_index("session")["participant"]).nunique().max() > 1
        assert split.equals(split_by_file(corpus))

    def test_split_by_file_does_not_depend_on_pseudonyms(self, root):
        open_split = split_by_file(opened(root, pattern=PATTERN))
        (root / MARKER).unlink()
        corpus = opened(root, pattern=PATTERN)
        order = sorted(corpus.files(), key=corpus.files().get)
        assert (list(split_by_file(corpus)[[name.split("/")[0] for name in order]])
                == list(open_split))

    def test_split_by_file_needs_some_recordings(self, root):
        for path in sorted((root / "voice_1").iterdir())[4:]:
            path.unlink()
        with pytest.raises(ValueError, match="4 recordings of class 1; a split by file needs 5"):
            split_by_file(opened(root))


class TestPrivacy:
    """A folder without the marker is licensed."""

    def test_no_real_name_is_shown(self, root):
        speak(root / "voice_1/301_1.wav", 99)
        (root / "voice_0/313_notes.txt").write_text("x")
        table = write_table(root)
        table = pd.concat([table,
                           pd.DataFrame({"file": ["voice_0/314_1.wav"], "participant": ["314"]}),
                           table.iloc[4:5]])
        table.drop(index=6).to_csv(root / "participants.csv", index=False)
        (root / MARKER).unlink()
        corpus = opened(root)
        assert corpus.restricted
        assert len(corpus.problems) == 7
        assert not re.search(r"\b3\d\d(_\w+)?\b", text_of(corpus)), text_of(corpus)

    def test_only_the_private_log_names_files(self, root, tmp_path):
        (root / MARKER).unlink()
        corpus = opened(root, pattern=PATTERN)
        session = corpus.sessions["session"].iloc[0]
        corpus.note({f"{session}/recording": "clipped."})
        corpus.write_private_log(tmp_path)
        assert re.search(rf"{session}\t.*/3\d\d_\d\.wav\tclipped",
                         (tmp_path / "private.log").read_text())
