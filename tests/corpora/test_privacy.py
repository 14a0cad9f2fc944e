"""Who counts as simulated, what people are called, what sentences and tables keep to themselves."""

import hashlib
import hmac
import itertools
import json
import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from depnb import corpora
from depnb.corpora import privacy
from depnb.corpora.corpus import CLASS, PHQ8, Corpus
from depnb.simulation.layouts import simulate
from tests.paths import ROOT
from tests.trees import vouched


@pytest.fixture
def copy(voices, tmp_path):
    return shutil.copytree(voices, tmp_path / "voices")


def opened(root, cache=None):
    return corpora.open("speech_folder", root, cache)


def remark(root, cache=None):
    corpus = opened(root, cache)
    assert corpus.restricted
    assert corpus.truth is None
    assert corpus.sessions["session"].str.fullmatch(r"S-[0-9a-f]{10}").all()
    return corpus.problems.loc[corpus.problems["session"] == "all", "problem"].item()


class TestMarker:
    """SIMULATED.json vouches for the files that it lists, by content, and for no other."""

    def test_it_vouches_for_what_was_written(self, voices, copy):
        for root in (voices, copy):             # wherever the tree lies
            assert not opened(root).restricted
            assert len(opened(root).problems) == 0

    @pytest.mark.parametrize("content", ["{}", "", "[]", "null", '"x"', "{", "[" * 100_000,
                                         '{"files": {}}', '{"generator": "mine"}'])
    def test_an_empty_or_foreign_one_does_not(self, copy, content):
        (copy / privacy.MARKER).write_text(content)
        assert remark(copy).startswith("SIMULATED.json is none that depnb's simulator writes today")

    def test_one_without_the_list_or_with_another_list_does_not(self, copy):
        told = json.loads((copy / privacy.MARKER).read_text())
        for files in (None, {}, [], "all"):
            (copy / privacy.MARKER).write_text(json.dumps(told | {"files": files}))
            assert "lists the files it vouches for" in remark(copy)

    @pytest.mark.parametrize("arguments",
                             ["x", {"a": [1]}, {"participants": 12, "effect": 1.0},
                              {"participants": [1], "effect": 1.0, "seed": 0},
                              {"participants": 12, "effect": "1", "seed": 0},
                              {"participants": 12, "effect": 1.0, "seed": True}, [], 3, None])
    def test_one_whose_arguments_are_no_numbers_does_not(self, copy, arguments):
        told = json.loads((copy / privacy.MARKER).read_text())
        (copy / privacy.MARKER).write_text(json.dumps(told | {"arguments": arguments}))
        assert "its arguments participants, effect and seed as numbers" in remark(copy)

    def test_one_of_another_tree_does_not(self, copy, vlogs):
        shutil.copy(vlogs / privacy.MARKER, copy / privacy.MARKER)
        assert re.match(r"SIMULATED.json does not vouch for (\d+) of \1 files", remark(copy))

    def test_a_file_more_makes_the_tree_licensed(self, copy, tmp_path):
        recording = next((copy / "voices_0").iterdir())
        shutil.copy(recording, copy / "voices_0/anna_1.wav")
        assert re.match(r"SIMULATED.json does not vouch for fewer than five of \d+ files",
                        remark(copy, tmp_path / "cache"))

    @pytest.mark.parametrize("name", [".DS_Store", "deep/er/notes.txt", "participants.csv"])
    def test_whatever_it_is_and_wherever(self, copy, name):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        with (copy / name).open("a") as file:
            file.write("\n")
        assert "does not vouch for" in remark(copy)

    def test_a_link_is_not_vouched_for(self, copy, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (copy / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
        assert "does not vouch for" in remark(copy)

    def test_a_changed_file_with_its_old_time_makes_the_tree_licensed(self, copy, tmp_path):
        """As copies that keep times (cp -p, rsync -t, tar) leave it."""
        assert not opened(copy, tmp_path / "cache").restricted
        recording = next((copy / "voices_0").iterdir())
        times, content = recording.stat(), bytearray(recording.read_bytes())
        content[-1] ^= 1
        recording.write_bytes(content)
        os.utime(recording, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert "does not vouch for" in remark(copy, tmp_path / "cache")

    def test_a_linked_marker_does_not_vouch(self, copy, voices):
        (copy / privacy.MARKER).unlink()
        (copy / privacy.MARKER).symlink_to(voices / privacy.MARKER)
        assert "is none that depnb's simulator writes today" in remark(copy)

    def test_files_outside_of_the_folder_are_not_vouched_for(self, tmp_path):
        for name in ("tree/inside_1", "outside_1"):
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "1.jpg").write_bytes(b"x")
        (tmp_path / "tree/label.csv").write_text("path,label\ninside_1,3\n../outside_1,5\n")
        (tmp_path / "tree" / privacy.MARKER).write_text("{}")
        corpus = corpora.open("frame_folder", vouched(tmp_path / "tree"))
        assert corpus.restricted
        assert corpus.problems["problem"].str.contains("cannot vouch for files outside of this "
                                                       "folder").any()

    def test_a_file_less_does_not(self, copy):
        next((copy / "voices_0").iterdir()).unlink()
        assert not opened(copy).restricted

    def test_an_old_tree_is_kept_aside_and_written_anew(self, copy, capsys):
        told = json.loads((copy / privacy.MARKER).read_text())
        del told["files"]
        (copy / privacy.MARKER).write_text(json.dumps(told))
        (copy / "mine.txt").write_text("kept")
        simulate("speech_folder", copy, participants=16, seconds=5, workers=1)
        assert ("voices was written before SIMULATED.json vouched for every "
                "file" in capsys.readouterr().out)
        assert (copy.with_name("voices.replaced-1") / "mine.txt").read_text() == "kept"
        assert not opened(copy).restricted


class TestKey:
    def test_it_is_random_made_once_and_the_owners(self, tmp_path):
        first, again, other = (privacy.machine_key(tmp_path / cache) for cache in ("a", "a", "b"))
        assert first == again != other
        assert len(first) == 32
        key = tmp_path / "a" / privacy.KEY
        key.chmod(0o644)
        assert privacy.machine_key(tmp_path / "a") == first
        assert {path.stat().st_mode & 0o777
                for path in (key, tmp_path / "b" / privacy.KEY)} == {0o600}

    def test_two_processes_make_one(self, tmp_path):
        script = ("from depnb.corpora import privacy; "
                  f"print(privacy.machine_key({str(tmp_path)!r}).hex())")
        both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                                 cwd=ROOT) for _ in range(2)]
        assert {process.communicate()[0]
                for process in both} == {f"{privacy.machine_key(tmp_path).hex()}\n"}

    def test_a_damaged_one_is_named(self, tmp_path):
        (tmp_path / privacy.KEY).write_text("0" * 63)
        with pytest.raises(ValueError, match=r"pseudonyms\.key: holds no key; expected 64 hexa"):
            privacy.machine_key(tmp_path)

    def test_pseudonyms_differ_by_key_corpus_and_kind(self):
        different = list(itertools.product(("AVEC 2013", "AVEC 2014"), "SP", "12", (b"a", b"b")))
        assert len({privacy.pseudonym(*each)[2:] for each in different}) == len(different)

    def test_without_a_cache_they_are_of_the_process(self, copy):
        (copy / privacy.MARKER).unlink()
        assert opened(copy).sessions.equals(opened(copy).sessions)
        script = ("from depnb import corpora; print(corpora.open('speech_folder', "
                  f"{str(copy)!r}).sessions['session'].tolist())")
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True,
                               cwd=ROOT, check=True).stdout
        assert not set(opened(copy).sessions["session"]) & set(re.findall(r"S-[0-9a-f]{10}", other))

    def test_no_table_of_labels_gives_them_away(self, copy, tmp_path):
        """What the key was once made of: everything that a licence holder, or a reader of a
        public table, knows.
        """
        (copy / privacy.MARKER).unlink()
        corpus = opened(copy, tmp_path / "cache")
        labels = corpus._labels
        for key in (labels, hashlib.sha256(labels).digest(),
                    hashlib.sha256(b"pseudonym" + labels).digest(), b"", b"depnb"):
            for text in ("{s}", "S {s}", "speech folder S {s}"):
                guesses = {hmac.new(key, text.format(s=path.stem).encode(),
                                    "sha256").hexdigest()[:10] for path in copy.rglob("*.wav")}
                assert not {f"S-{g}" for g in guesses} & set(corpus.sessions["session"])


SENTENCES = [
    ("203_1_Depression.csv: the score is 'severe'; expected a number from 0 to 63. "
     "Correct the file.", ("203_1",),
     "…_Depression.csv: the score is …; expected a number from 0 to 63. Correct the file."),
    ("the item scores sum to 11, the total is 12. Correct the table.", ("300",),
     "the item scores sum to …, the total is …. Correct the table."),
    ("the PHQ-8 total is 27; it is a whole number.", ("300",),
     "the PHQ-8 total is …; it is a whole number."),
    ("anna smith has the same content as a recording of its class.", ("anna smith",),
     "… has the same content as a recording of its class."),
    ("its gender is \"o'neill\"; its fold is 'dev'.", ("5",), "its gender is …; its fold is …."),
    ("Error opening /data/DAIC/anna/a.wav: no sound.", ("x",), "Error opening … no sound."),
    ("the table's first, and the corpus's second: kept.", ("x",),
     "the table's first, and the corpus's second: kept."),
    ("anna: a tale of annabel, x5", ("anna",), "…: a tale of annabel, …"),
    ("frame_anna.jpg is not a readable image.", ("b",), "… is not a readable image."),
    ("'anna.mp3' is no WAV, FLAC, MP3 or OGG in UTF-8; expected PHQ-8, not x5 or MP34.", ("x",),
     "… is no WAV, FLAC, MP3 or OGG in UTF-8; expected PHQ-8, not … or …."),
    ("there is no audio/anna.npy and no visual/anna_visual.npy.", ("anna",),
     "there is no audio/….npy and no visual/…_visual.npy."),
    ("train_split_Depression_AVEC2017.csv lists 305, and 305_split_AVEC2017.csv.", ("305",),
     "train_split_Depression_AVEC2017.csv lists …, and …….csv."),
    ("a_1 lies in no folder whose name ends in _0 or _1, the label; 305_1.", ("b",),
     "… lies in no folder whose name ends in _0 or _1, the label; …."),
    ("there is no anna/anna_acoustic.npy, or ….npy/bob.npy.", ("anna",),
     "there is no …, or …."),
    (r"C:\\data\\anna.wav and anna/b.wav are odd.", ("x",), "… and … are odd.")]


class TestSentences:
    @pytest.mark.parametrize(("sentence", "names", "public"), SENTENCES)
    def test_names_quotations_and_numbers_give_way(self, sentence, names, public):
        assert privacy.masked(sentence, *names) == public

    @pytest.mark.parametrize(("sentence", "public"), [
        ("2 participants have recordings in both classes.",
         "fewer than five participants have recordings in both classes."),
        ("4 of 189 participants have a total.",
         "fewer than five of 189 participants have a total."),
        ("12 of 189 participants have a total.", "12 of 189 participants have a total.")])
    def test_few_people_are_not_counted(self, sentence, public):
        assert privacy.rounded_up(sentence) == public


def corpus_of(tmp_path, restricted, problems=(), people=12):
    rows = []
    for i in range(people):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(bytes([i]))
        rows.append({"session": f"s{i}", "participant": f"p{i}", "score": i % 2, "label": i % 2,
                     "split": "test" if i < 4 else "train", "files": {"recording": path}})
    terms = privacy.terms(tmp_path) if restricted else privacy.Terms({"arguments": {"effect": 1}},
                                                                     "", b"", None)
    return Corpus("mine", tmp_path, CLASS, rows, problems, terms=terms)


class TestListing:
    def test_of_a_licensed_corpus_sentences_are_counted_and_nobody_is_called_anything(self,
                                                                                      tmp_path):
        told = [(f"s{i}", tmp_path / f"{i}.wav", f"s{i} is {i} seconds long. Remove it.")
                for i in range(6)]
        told += [("s8", tmp_path / "8.wav", "its label is 'x'. Correct it."),
                 ("", tmp_path, "3 participants stand twice.")]
        corpus = corpus_of(tmp_path, True, told)
        assert corpus.listing().data.to_numpy().tolist() == [
            ["all", "fewer than five participants stand twice."],
            ["fewer than five", "its label is …. Correct it."],
            ["6", "… is … seconds long. Remove it."]]
        assert not re.search(r"S-[0-9a-f]{10}", corpus.listing().to_html())
        corpus.write_private_log(tmp_path)
        log = (tmp_path / "private.log").read_text()
        assert "s5 is 5 seconds long" in log
        assert (tmp_path / "private.log").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("restricted", [False, True])
    def test_text_of_a_corpus_cannot_be_markup(self, tmp_path, restricted):
        evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
        corpus = corpus_of(tmp_path, restricted,
                           [("s1", tmp_path / "1.wav", f"{evil} is odd."), ("", tmp_path, evil)])
        page = corpus.listing().to_html()
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page

    def test_what_was_left_out_of_the_page_is_said(self, tmp_path):
        corpus = corpus_of(tmp_path, False,
                           [(f"s{i}", tmp_path / f"{i}.wav", f"fault {i}.") for i in range(6)])
        assert "2 of 6 entries" in corpus.listing(2).to_html()

    def test_a_line_break_in_a_name_does_not_split_a_row(self, tmp_path):
        path = tmp_path / "an\nna\t.wav"
        corpus = corpus_of(tmp_path, True, [("s1", path, "is\nempty.")])
        corpus.write_private_log(tmp_path)
        (row,) = (tmp_path / "private.log").read_text().splitlines()
        assert row.split("\t")[1:] == [f"{tmp_path}/an\\x0ana\\x09.wav", "is empty."]
        privacy.report({"an\nna": "is empty."}, tmp_path, tmp_path / "private.log")
        assert (tmp_path / "private.log").read_text() == "an\\x0ana\tis empty.\n"


class TestFewerThanFive:
    @pytest.mark.parametrize(("count", "restricted", "told"), [
        (53, False, "53 of 54 files used"), (53, True, "all but fewer than five of 54 files used"),
        (49, True, "49 of 54 files used"), (54, True, "54 of 54 files used"),
        (4, True, "fewer than five of 54 files used"), (0, True, "0 of 54 files used")])
    def test_how_many_are_used(self, count, restricted, told):
        assert privacy.used(count, 54, "files", restricted) == told

    def test_parts_of_a_split_are_told_in_words(self, tmp_path):
        corpus = corpus_of(tmp_path, True)
        assert (corpus.parts(corpus.sessions.set_index("session")["split"])
                == "train 8, test fewer than five")

    def test_counts_and_what_is_said_of_so_few_people(self, tmp_path):
        table = pd.DataFrame({"participants": [3, 5, 0], "depressed": [1, 4, 0],
                              "mean": [20.0, 9.5, 0.0]})
        assert corpus_of(tmp_path, False).printable(table) is table
        assert (corpus_of(tmp_path, True).printable(table).to_numpy().tolist()
                == [["fewer than five", "–", "–"], ["5", "fewer than five", 9.5], ["0", "0", 0.0]])

    def test_shared_participants(self, tmp_path):
        assert corpus_of(tmp_path,
                         True).shared_participants()["participants"].tolist() == ["0",
                                                                                  "fewer than five",
                                                                                  "fewer than five"]
        assert corpus_of(tmp_path,
                         False).shared_participants()["participants"].tolist() == [0, 4, 4]

    def test_a_part_or_a_tested_class_of_four_people_is_refused(self, tmp_path):
        corpus = corpus_of(tmp_path, True)
        split = corpus.sessions.set_index("session")["split"]
        with pytest.raises(ValueError,
                           match="mine: the part test and class 0 of the test part and class 1 of "
                                 "the test part would have fewer than five people"):
            corpus.check_groups(split)
        corpus.check_groups(split.replace({"train": "test"}))
        ill = corpus.sessions.loc[corpus.sessions["label"] == 1, "session"]
        with pytest.raises(ValueError, match="mine: class 1 of the test part would have"):
            corpus.check_groups(split.replace({"train": "test"}).drop(ill[:2]))

    def test_classes_count_where_something_is_told_of_them(self, tmp_path):
        corpus = corpus_of(tmp_path, True)
        split = pd.Series("test",
                          index=corpus.sessions.loc[corpus.sessions["label"] == 1, "session"])
        with pytest.raises(ValueError, match="class 1"):
            corpus.check_groups(split.iloc[:4])
        with pytest.raises(ValueError, match="the part test"):
            corpus.check_groups(split.iloc[:4], classes=False)
        corpus.check_groups(split.iloc[:5], classes=False)

    def test_sessions_left_out_since_do_not_count(self, tmp_path):
        corpus = corpus_of(tmp_path, True)
        split = pd.Series("test", index=corpus.sessions["session"])
        corpus.check_groups(split)
        corpus.exclude({f"{session}/recording": "empty."
                        for session in corpus.sessions["session"][:4]})
        with pytest.raises(ValueError, match="of the test part would have fewer than five people"):
            corpus.check_groups(split)
        simulated = corpus_of(tmp_path, False)
        simulated.check_groups(simulated.sessions.set_index("session")["split"])


class TestErrors:
    """What is raised while a licensed corpus is opened is shown in a notebook."""

    def test_a_table_without_its_header_does_not_show_its_first_row(self, copy, tmp_path):
        table = copy / "participants.csv"
        table.write_text("\n".join(table.read_text().splitlines()[1:]))
        (copy / privacy.MARKER).unlink()
        with pytest.raises(ValueError, match="lacks the column file or participant") as caught:
            opened(copy, tmp_path / "cache")
        assert str(caught.value).startswith(f"{table}: lacks")
        assert not re.search(r"\d_\d|voices_|female", str(caught.value).replace(str(copy), ""))
        assert f"In full, with the names: {tmp_path / 'cache/private.log'}" in str(caught.value)
        assert "Traceback" in (tmp_path / "cache/private.log").read_text()
        assert (tmp_path / "cache/private.log").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize(("error", "public"), [
        (ValueError("ROOT/anna_0/t.csv: lacks the column file. Add 1."),
         "ROOT/t.csv: lacks the column file. Add 1."),
        (ValueError("ROOT: all 3 are of class 1."), "ROOT: all 3 are of class 1."),
        (ValueError("pattern '(': is none."), "pattern '(': is none."),
        (ValueError("invalid literal for int() with base 10: 'anna'"),
         "ROOT: cannot be read (ValueError)."),
        (KeyError("anna"), "ROOT: cannot be read (KeyError)."),
        (IsADirectoryError(21, "Is a directory", "ROOT/205_1_Depression.csv"),
         "ROOT: cannot be read (IsADirectoryError)."),
        (UnicodeDecodeError("utf-8", b"anna", 0, 1, "invalid"),
         "ROOT: cannot be read (UnicodeDecodeError).")])
    def test_sentences_of_libraries_and_names_are_not_repeated(self, tmp_path, error, public):
        if isinstance(error, ValueError) and len(error.args) == 1:
            error = ValueError(str(error).replace("ROOT", str(tmp_path)))
        assert str(privacy.discreet(error, tmp_path)) == public.replace("ROOT", str(tmp_path))

    def test_the_original_is_not_chained(self, copy):
        (copy / privacy.MARKER).unlink()
        shutil.rmtree(copy / "voices_1")
        with pytest.raises(ValueError, match="no usable recording of class") as caught:
            opened(copy)
        assert caught.value.__suppress_context__


def test_what_could_be_markup_is_replaced():
    for text in ("<b>x</b>", "$\\href{javascript:x}{y}$", "[a](http://b)", "`x`", "*x*",
                 "\x1b[31mred", "a|b", "&lt;"):
        assert not re.search(r"[<>$\\\[\]`*\x1b|&{}]", privacy.plain(text))
    assert privacy.plain("anna 3 (take 2).wav") == "anna 3 (take 2).wav"


def test_folds_follow_the_corpus_and_not_the_pseudonyms(tmp_path):
    def tree(keys):
        rows = [{"session": f"s{i:02d}", "participant": f"p{(7 * i) % 30:02d}",
                 "score": (5 * i) % 24, "files": {"recording": tmp_path}} for i in range(60)]
        return Corpus("mine", tmp_path, PHQ8, rows, terms=keys)

    plain = tree(privacy.Terms({"arguments": {}}, "", b"", None))
    for key in (b"a", b"b", b"c"):
        hidden = tree(privacy.Terms(None, "", key, None))
        assert not set(hidden.sessions["session"]) & set(plain.sessions["session"])
        assert hidden.sessions["score"].tolist() == plain.sessions["score"].tolist()
        assert hidden.recordings()["score"].tolist() == plain.recordings()["score"].tolist()
        for fold in range(4):
            assert hidden.split(fold).tolist() == plain.split(fold).tolist()


class TestRegistry:
    def test_what_stands_on_a_folder_is_remembered(self, copy, tmp_path):
        corpus = opened(copy, tmp_path / "cache")
        for run in ("a", "b", "a"):
            corpus.remember(tmp_path / run)
        (note,) = (tmp_path / "cache" / privacy.REGISTRY).glob("*.json")
        known = json.loads(note.read_text())
        assert known["root"] == str(copy)
        assert known["outputs"] == [str(tmp_path / "a"), str(tmp_path / "b")]
        assert len(known["contents"]) == len(corpus)
        assert note.stat().st_mode & 0o777 == 0o600


def test_the_fingerprint_follows_content(copy, tmp_path):
    first = opened(copy, tmp_path / "cache").fingerprint
    assert opened(copy).fingerprint == first
    recording = next((copy / "voices_0").iterdir())
    recording.write_bytes(recording.read_bytes()[:-2] + b"\x01\x02")            # of equal length
    assert opened(vouched(copy)).fingerprint != first
    assert os.path.exists(copy)


def test_what_has_rows_by_person_is_known_and_never_given_away():
    assert set(privacy.IDENTIFYING) >= {"predictions.csv", "attributions.csv", "weights.csv",
                                        "private.log"}
    assert not set(privacy.IDENTIFYING) & set(privacy.GIVEN)


def test_what_is_quoted_is_masked_whatever_stands_in_it():
    assert privacy.masked("its fold is 'cut-off 10 Miller'; expected 0 or 1.") == (
        "its fold is …; expected 0 or 1.")


def test_endings_of_files_that_are_asked_for_are_no_names():
    sentence = "passed over: no file ending in .wav, .mp3, .m4a, or a video ending in .mp4, .m4v."
    assert privacy.masked(sentence) == sentence
    assert privacy.masked("anna3.mp3 is silent") == "… is silent"
