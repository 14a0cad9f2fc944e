"""Who counts as simulated, what people are called, what sentences and tables keep to themselves."""

import json
import os
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from depnb import corpora, privacy, runs
from depnb.corpora.corpus import CLASS, PHQ8, Corpus
from tests.conftest import ROOT
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

    @pytest.mark.parametrize("content", ["{}", "", "[]", "null", '"x"', "{", '{"files": {}}', '{"generator": "mine"}'])
    def test_an_empty_or_foreign_one_does_not(self, copy, content):
        (copy / privacy.MARKER).write_text(content)
        assert remark(copy).startswith("SIMULATED.json is none that depnb's simulator writes today")

    def test_one_without_the_list_or_with_another_list_does_not(self, copy):
        told = json.loads((copy / privacy.MARKER).read_text())
        for files in (None, {}, [], "all"):
            (copy / privacy.MARKER).write_text(json.dumps(told | {"files": files}))
            assert "lists the files it vouches for" in remark(copy)

    def test_one_of_another_tree_does_not(self, copy, vlogs):
        shutil.copy(vlogs / privacy.MARKER, copy / privacy.MARKER)
        assert re.match(r"SIMULATED.json does not vouch for (\d+) of \1 files", remark(copy))

    def test_a_file_more_makes_the_tree_licensed(self, copy, tmp_path):
        recording = next((copy / "voices_0").iterdir())
        shutil.copy(recording, copy / "voices_0/anna_1.wav")
        assert re.match(r"SIMULATED.json does not vouch for fewer than five of \d+ files", remark(copy, tmp_path / "cache"))

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

    def test_a_changed_file_of_equal_size_makes_the_tree_licensed(self, copy, tmp_path):
        assert not opened(copy, tmp_path / "cache").restricted
        recording = next((copy / "voices_0").iterdir())
        content = bytearray(recording.read_bytes())
        content[-1] ^= 1
        recording.write_bytes(content)
        assert "does not vouch for" in remark(copy, tmp_path / "cache")

    def test_a_file_less_does_not(self, copy):
        next((copy / "voices_0").iterdir()).unlink()
        assert not opened(copy).restricted

    def test_an_old_tree_is_kept_aside_and_written_anew(self, copy, capsys):
        from depnb.simulation.layouts import simulate

        told = json.loads((copy / privacy.MARKER).read_text())
        del told["files"]
        (copy / privacy.MARKER).write_text(json.dumps(told))
        (copy / "mine.txt").write_text("kept")
        simulate("speech_folder", copy, participants=16, seconds=4, workers=1)
        assert "voices was written before SIMULATED.json vouched for every file" in capsys.readouterr().out
        assert (copy.with_name("voices.replaced-1") / "mine.txt").read_text() == "kept"
        assert not opened(copy).restricted


class TestKey:
    def test_it_is_random_made_once_and_the_owners(self, tmp_path):
        first, again, other = (privacy.machine_key(tmp_path / cache) for cache in ("a", "a", "b"))
        assert first == again != other
        assert len(first) == 32
        assert (tmp_path / "a" / privacy.KEY).stat().st_mode & 0o777 == 0o600

    def test_a_key_that_others_can_read_is_closed(self, tmp_path):
        key = privacy.machine_key(tmp_path)
        (tmp_path / privacy.KEY).chmod(0o644)
        assert privacy.machine_key(tmp_path) == key
        assert (tmp_path / privacy.KEY).stat().st_mode & 0o777 == 0o600

    def test_two_processes_make_one(self, tmp_path):
        script = f"from depnb import privacy; print(privacy.machine_key({str(tmp_path / 'cache')!r}).hex())"
        both = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
        assert len({process.communicate()[0] for process in both}) == 1

    def test_a_damaged_one_is_named(self, tmp_path):
        (tmp_path / privacy.KEY).write_text("0" * 63)
        with pytest.raises(ValueError, match=r"pseudonyms\.key: holds no key; expected 64 hexa"):
            privacy.machine_key(tmp_path)

    def test_pseudonyms_differ_by_key_corpus_and_kind(self):
        given = [(corpus, kind, value, key) for corpus in ("AVEC 2013", "AVEC 2014") for kind in "SP" for value in ("1", "2")
                 for key in (b"a", b"b")]
        assert len({privacy.pseudonym(*g)[2:] for g in given}) == len(given)

    def test_without_a_cache_they_are_of_the_process(self, copy):
        (copy / privacy.MARKER).unlink()
        assert opened(copy).sessions.equals(opened(copy).sessions)
        script = (f"from depnb import corpora; "
                  f"print(corpora.open('speech_folder', {str(copy)!r}).sessions['session'].tolist())")
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True).stdout
        assert not set(opened(copy).sessions["session"]) & set(re.findall(r"S-[0-9a-f]{10}", other))

    def test_no_table_of_labels_gives_them_away(self, copy, tmp_path):
        """What the key was once made of: everything that a licence holder, or a reader of a public table, knows."""
        import hashlib
        import hmac

        (copy / privacy.MARKER).unlink()
        corpus = opened(copy, tmp_path / "cache")
        for key in (corpus._labels, hashlib.sha256(corpus._labels).digest(), hashlib.sha256(b"pseudonym" + corpus._labels
                                                                                           ).digest(), b"", b"depnb"):
            for text in ("{s}", "S {s}", "speech folder S {s}"):
                guesses = {hmac.new(key, text.format(s=path.stem).encode(), "sha256").hexdigest()[:10]
                           for path in copy.rglob("*.wav")}
                assert not {f"S-{g}" for g in guesses} & set(corpus.sessions["session"])


SENTENCES = [
    ("203_1_Depression.csv: the score is 'severe'; expected a number from 0 to 63. Correct the file.", ("203_1",),
     "…_Depression.csv: the score is …; expected a number from … to …. Correct the file."),
    ("the item scores sum to 11, the total is 12. Correct the table.", ("300",),
     "the item scores sum to …, the total is …. Correct the table."),
    ("the PHQ-8 total is 27; it is a whole number.", ("300",), "the PHQ-8 total is …; it is a whole number."),
    ("anna smith has the same content as a recording of its class.", ("anna smith",),
     "… has the same content as a recording of its class."),
    ("its gender is \"o'neill\"; its fold is 'dev'.", ("5",), "its gender is …; its fold is …."),
    ("Error opening /data/DAIC/anna/a.wav: no sound.", ("x",), "Error opening … no sound."),
    ("the table's first, and the corpus's second: kept.", ("x",), "the table's first, and the corpus's second: kept."),
    ("anna: a tale of annabel, x5", ("anna",), "…: a tale of annabel, …")]


class TestSentences:
    @pytest.mark.parametrize(("sentence", "names", "shown"), SENTENCES)
    def test_names_quotations_and_numbers_give_way(self, sentence, names, shown):
        assert privacy.masked(sentence, *names) == shown

    @pytest.mark.parametrize(("sentence", "shown"), [
        ("2 participants have recordings in both classes.", "fewer than five participants have recordings in both classes."),
        ("4 of 189 participants have a total.", "fewer than five of 189 participants have a total."),
        ("12 of 189 participants have a total.", "12 of 189 participants have a total.")])
    def test_few_people_are_not_counted(self, sentence, shown):
        assert privacy.rounded_up(sentence) == shown


def corpus_of(tmp_path, restricted, problems=(), people=12):
    rows = []
    for i in range(people):
        path = tmp_path / f"{i}.wav"
        path.write_bytes(bytes([i]))
        rows.append({"session": f"s{i}", "participant": f"p{i}", "score": i % 2, "label": i % 2,
                     "split": "test" if i < 4 else "train", "files": {"recording": path}})
    terms = privacy.terms(tmp_path) if restricted else privacy.Terms({"arguments": {"effect": 1}}, "", b"", None)
    return Corpus("mine", tmp_path, CLASS, rows, problems, terms=terms)


class TestListing:
    def test_of_a_licensed_corpus_sentences_are_counted_and_nobody_is_called_anything(self, tmp_path):
        told = [(f"s{i}", tmp_path / f"{i}.wav", f"s{i} is {i} seconds long. Remove it.") for i in range(6)]
        told += [("s8", tmp_path / "8.wav", "its label is 'x'. Correct it."), ("", tmp_path, "3 participants stand twice.")]
        corpus = corpus_of(tmp_path, True, told)
        assert corpus.listing().data.to_numpy().tolist() == [
            ["all", "fewer than five participants stand twice."], ["fewer than five", "its label is …. Correct it."],
            ["6", "… is … seconds long. Remove it."]]
        assert not re.search(r"S-[0-9a-f]{10}", corpus.listing().to_html())
        corpus.write_private_log(tmp_path)
        log = (tmp_path / "private.log").read_text()
        assert "s5 is 5 seconds long" in log
        assert (tmp_path / "private.log").stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("restricted", [False, True])
    def test_text_of_a_corpus_cannot_be_markup(self, tmp_path, restricted):
        evil = "<img src=x onerror=alert(1)><script>alert(2)</script>"
        corpus = corpus_of(tmp_path, restricted, [("s1", tmp_path / "1.wav", f"{evil} is odd."), ("", tmp_path, evil)])
        page = corpus.listing().to_html()
        assert "<script>" not in page
        assert "<img" not in page
        assert "&lt;script&gt;" in page

    def test_what_was_left_out_of_the_page_is_said(self, tmp_path):
        corpus = corpus_of(tmp_path, False, [(f"s{i}", tmp_path / f"{i}.wav", f"fault {i}.") for i in range(6)])
        assert "2 of 6 entries" in corpus.listing(2).to_html()


class TestFewerThanFive:
    def test_counts_and_what_is_said_of_so_few_people(self, tmp_path):
        table = pd.DataFrame({"participants": [3, 5, 0], "depressed": [1, 4, 0], "mean": [20.0, 9.5, 0.0]})
        assert corpus_of(tmp_path, False).printable(table) is table
        shown = corpus_of(tmp_path, True).printable(table)
        assert shown.to_numpy().tolist() == [["fewer than five", "–", "–"], ["5", "fewer than five", 9.5], ["0", "0", 0.0]]

    def test_shared_participants(self, tmp_path):
        assert corpus_of(tmp_path, True).shared_participants()["participants"].tolist() == ["0", "fewer than five",
                                                                                           "fewer than five"]
        assert corpus_of(tmp_path, False).shared_participants()["participants"].tolist() == [0, 4, 4]

    def test_a_test_part_of_four_people_is_refused(self, tmp_path):
        corpus = corpus_of(tmp_path, True)
        split = corpus.sessions.set_index("session")["split"]
        with pytest.raises(ValueError, match="mine: test would have fewer than five people"):
            corpus.check_groups(split)
        corpus.check_groups(split.replace({"train": "test"}))
        simulated = corpus_of(tmp_path, False)
        simulated.check_groups(simulated.sessions.set_index("session")["split"])


def test_folds_follow_the_corpus_and_not_the_pseudonyms(tmp_path):
    def tree(keys):
        rows = [{"session": f"s{i:02d}", "participant": f"p{(7 * i) % 30:02d}", "score": (5 * i) % 24,
                 "files": {"recording": tmp_path}} for i in range(60)]
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


def test_runs_know_what_is_identifying():
    assert set(privacy.IDENTIFYING) >= {"predictions.csv", "attributions.csv", "weights.csv", "private.log"}
    assert runs.privacy is privacy
