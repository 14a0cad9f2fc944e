"""What a licence holder runs first: counts and faults, without a name."""

import re
import shutil

import numpy as np
import pytest

from depnb import corpora
from depnb.corpora import check
from depnb.corpora.privacy import MARKER


@pytest.fixture
def looked(tmp_path, capsys):
    """looked(name, root) -> status and lines of the command, its cache in tmp_path."""
    def run(name, root, *options):
        status = check.main([name, str(root), "--cache", str(tmp_path / "cache"), *options])
        return status, capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def licensed(tmp_path):
    """licensed(tree) -> a copy without its marker."""
    def copied(tree):
        root = shutil.copytree(tree, tmp_path / "corpus")
        (root / MARKER).unlink()
        return root

    return copied


@pytest.mark.parametrize(("name", "fixture", "parts"), [
    ("avec2014", "tree", ("northwind", "freeform")), ("speech_folder", "voices", ("recording",)),
    ("daic_woz", "interviews", ("visual", "audio", "text")),
    ("dvlog", "vlogs", ("acoustic", "visual")), ("lmvd", "vlogs_lmvd", ("acoustic", "visual"))])
def test_an_intact_corpus(name, fixture, parts, looked, request):
    root = request.getfixturevalue(fixture)
    status, lines = looked(name, root)
    corpus = corpora.open(name, root)
    count, people = len(corpus), corpus.sessions["participant"].nunique()
    assert status == 0
    assert lines[0] == (f"{corpus.name}, simulated: {count} sessions of {people} participants "
                        "can be used, left out: 0")
    assert [line for line in lines if line.endswith(" sessions")] == [
        f"{part}: {count} of {count} sessions" for part in parts]
    assert lines[-1] == "nothing is missing, moved, unreadable or odd" or name == "daic_woz"


class TestFaults:
    """What is printed of a licensed corpus may be passed on."""

    def test_files_that_cannot_be_read_are_counted_and_named_in_the_log(self, interviews, licensed,
                                                                        looked, tmp_path):
        root = licensed(interviews)
        folders = sorted(root.glob("*_P"))
        for folder in folders[:6]:
            number = folder.name.removesuffix("_P")
            (folder / f"{number}_AUDIO.wav").write_bytes(b"")
            (folder / f"{number}_CLNF_gaze.txt").write_text("frame, x\n1, 2\n")
        (folders[6] / f"{folders[6].name.removesuffix('_P')}_TRANSCRIPT.csv").unlink()
        status, lines = looked("daic_woz", root)
        text = "\n".join(lines)
        assert status == 1
        assert lines[0] == ("DAIC-WOZ, licensed: 13 sessions of 13 participants can be used, "
                            "left out: fewer than five")
        assert "  6: audio: the file is empty. Copy it again from the corpus." in lines
        assert ("  6: gaze: its first line lacks one of frame, timestamp, confidence, success. "
                "Copy it again from the corpus.") in lines
        assert "  fewer than five: there is no …_TRANSCRIPT.csv in …. Copy it again" in text
        assert not re.search(r"3\d\d|[SP]-[0-9a-f]{10}", text.replace(str(tmp_path), ""))
        log = (tmp_path / "cache/private.log").read_text()
        assert f"{folders[0]}/{folders[0].name.removesuffix('_P')}_AUDIO.wav" in log
        assert lines[-1] == (f"Which these are stands in {tmp_path}/cache/private.log, "
                             "which is for your eyes: it names them.")

    def test_videos_and_sound_that_are_none(self, tree, voices, looked, tmp_path):
        for name, source, pattern, sentence in (
                ("avec2014", tree, "*.mp4", "not a readable video"),
                ("speech_folder", voices, "*.wav", "recording: not a readable recording")):
            root = shutil.copytree(source, tmp_path / name)
            (root / MARKER).unlink()
            for path in sorted(root.rglob(pattern))[::2][:5]:
                path.write_bytes(f"no such thing {path}".encode() * 50)
            status, lines = looked(name, root)
            assert status == 1
            assert sum(sentence in line for line in lines) in (1, 2), lines     # a line a part

    def test_arrays_that_do_not_go_together(self, vlogs, licensed, looked):
        root = licensed(vlogs)
        for array in sorted(root.rglob("*_visual.npy"))[:6]:
            np.save(array, np.load(array)[:20])
        status, lines = looked("dvlog", root)
        assert status == 1
        assert sum("  6: visual: … rows of sound and … of picture" in line for line in lines) == 1

    def test_files_that_are_cut(self, interviews, licensed, looked):
        root = licensed(interviews)
        for folder in sorted(root.glob("*_P"))[:6]:
            for name in ("AUDIO.wav", "CLNF_gaze.txt"):
                path = folder / f"{folder.name.removesuffix('_P')}_{name}"
                raw = path.read_bytes()[:path.stat().st_size * 2 // 3]
                path.write_bytes(raw if name == "AUDIO.wav" else raw.rpartition(b",")[0])
        status, lines = looked("daic_woz", root)
        assert status == 1
        assert "  6: gaze: its last row is cut short, or of another length. Copy it again." in lines
        assert ("  6: audio: truncated: the file breaks off. Copy it again from the corpus."
                in lines)

    def test_a_header_that_tells_half_of_the_sound_and_two_files_in_one(self, voices, licensed,
                                                                        looked):
        root = licensed(voices)
        paths = sorted(root.rglob("*.wav"))
        for path in paths[:6]:
            content = bytearray(path.read_bytes())
            half = int.from_bytes(content[40:44], "little") // 4 * 2
            content[40:44] = half.to_bytes(4, "little")
            path.write_bytes(content)
        for path in paths[-6:]:
            path.write_bytes(2 * path.read_bytes())
        status, lines = looked("speech_folder", root)
        assert status == 1
        assert ("  6: recording: its header tells …% of the sound that the file holds; all is "
                "used. Check that it is one recording.") in lines
        assert ("  6: recording: a second file begins within it; expected one recording. Split it, "
                "or export it again.") in lines

    def test_a_task_that_is_missing(self, tree, licensed, looked):
        root = licensed(tree)
        for video in root.rglob("*_Freeform_video.mp4"):
            video.unlink()
        status, lines = looked("avec2014", root)
        assert status == 1
        assert "freeform: 0 of 12 sessions" in lines

    def test_folders_with_the_name_of_a_file_are_none(self, interviews, vlogs, tree, looked,
                                                      tmp_path):
        for name, source, pattern, sentence in (
                ("daic_woz", interviews, "*_AUDIO.wav", "the audio modality is missing."),
                ("dvlog", vlogs, "*_visual.npy", "there is no …/…_visual.npy."),
                ("avec2014", tree, "*Freeform*.mp4", "files have a video's name and are none (.")):
            root = shutil.copytree(source, tmp_path / name)
            (root / MARKER).unlink()
            for path in sorted(root.rglob(pattern))[:6]:
                path.unlink()
                path.mkdir()
            _, lines = looked(name, root)
            assert sum(sentence in line for line in lines) == 1, lines

    def test_counts_from_which_fewer_than_five_follow_are_not_told(self, interviews, licensed,
                                                                   looked):
        _, lines = looked("daic_woz", licensed(interviews))
        assert "official split: fewer than five sessions in one, so none is told" in lines

    def test_nothing_is_extracted_and_nothing_changes(self, vlogs, licensed, looked, tmp_path):
        root = licensed(vlogs)
        before = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
        assert looked("dvlog", root)[0] == 0
        assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == before
        assert {p.name for p in (tmp_path / "cache").iterdir()} <= {"pseudonyms.key",
                                                                    "pseudonyms.lock"}

    def test_links_to_nowhere(self, vlogs, licensed, looked):
        root = licensed(vlogs)
        (root / "notes.npy").symlink_to("/nowhere")
        status, lines = looked("dvlog", root)
        assert status == 1
        assert any(line.startswith("  all: fewer than five files passed over, each a link that "
                                   "leads nowhere.") for line in lines)

    def test_what_the_owners_call_faulty_is_no_fault_of_a_copy(self, interviews, licensed, looked):
        root = licensed(interviews)
        old = sorted(root.glob("*_P"))[-1].name.removesuffix("_P")
        for path in sorted(root.rglob(f"{old}_*"), key=lambda p: -len(p.parts)):
            path.rename(path.with_name(path.name.replace(old, "342")))
        for table in root.glob("*.csv"):
            table.write_text(re.sub(rf"(?m)^{old},", "342,", table.read_text()))
        status, lines = looked("daic_woz", root)
        assert any("known to be faulty" in line for line in lines)
        assert status == 0


class TestRefusals:
    """One sentence each, status 1."""

    @pytest.mark.parametrize(("arguments", "sentence"), [
        (("daicwoz", "ROOT"), "corpus 'daicwoz': depnb reads avec2013, avec2014, frame_folder, "
                              "speech_folder, daic_woz, dvlog, lmvd."),
        (("lmvd", "ROOT/nowhere"), "ROOT/nowhere: no such folder. Give the one that holds the lmvd "
                                   "corpus as distributed."),
        (("lmvd", "ROOT"), "ROOT: no labels.csv or lmvd_labels.csv found in it or below."),
        (("lmvd", "ROOT", "--pattern", "x"), "--pattern is of speech_folder alone. Leave it out."),
        (("lmvd", "ROOT", "--cache", "ROOT/cache"), "cache ROOT/cache: lies in the corpus, which "
                                                    "is only read.")])
    def test_what_cannot_be_checked(self, tmp_path, arguments, sentence):
        root = tmp_path / "corpus"
        root.mkdir()
        arguments = [argument.replace("ROOT", str(root)) for argument in arguments]
        if "--cache" not in arguments:
            arguments += ["--cache", str(tmp_path / "cache")]
        with pytest.raises(SystemExit) as caught:
            check.main(arguments)
        assert str(caught.value).startswith(sentence.replace("ROOT", str(root)))

    def test_a_cache_that_is_a_file(self, vlogs, licensed, tmp_path):
        (tmp_path / "cache").write_text("mine")
        with pytest.raises(SystemExit, match=r"cache \S+: cannot be written \(File exists\)\."):
            check.main(["dvlog", str(licensed(vlogs)), "--cache", str(tmp_path / "cache")])

    def test_nothing_usable_tells_the_reasons(self, vlogs, licensed, tmp_path):
        root = licensed(vlogs)
        for array in root.rglob("*_visual.npy"):
            array.write_bytes(b"")
        with pytest.raises(SystemExit, match=r"D-Vlog: no usable session is left\..*visual: the "
                                             r"file is empty.*private\.log"):
            check.main(["dvlog", str(root), "--cache", str(tmp_path / "cache")])
