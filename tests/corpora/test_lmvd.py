"""LMVD: what is read, who is left out and why; OpenFace tables to landmark rows, as the authors
make them.
"""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from depnb import corpora
from depnb.corpora import lmvd, vlogs
from depnb.corpora.lmvd import __main__
from depnb.corpora.privacy import MARKER
from depnb.features import vlog
from tests.paths import ROOT
from tests.trees import problem_of, vouched

IDS = ["001", "002", "003", "0602", "0603", "0604"]


@pytest.fixture
def root(tmp_path):
    """Six vlogs, the first three depressed, one each in every part of the split; marked as
    simulated.
    """
    tree = tmp_path / "lmvd"
    for folder in ("audio", "visual"):
        (tree / folder).mkdir(parents=True)
    for i, name in enumerate(IDS):
        rng = np.random.default_rng(i)
        np.save(tree / f"audio/{name}.npy", rng.normal(size=(9, 128)))
        np.save(tree / f"visual/{name}_visual.npy", rng.normal(size=(10, 136)))
    folds = ("train", "valid", "test") * 2
    rows = [f"{name},{int(i < 3)},{fold}"
            for i, (name, fold) in enumerate(zip(IDS, folds, strict=True))]
    (tree / "labels.csv").write_text("\n".join(["index,label,fold", *rows]))
    people = [f"{name},s{name},{'mf'[i % 2]}" for i, name in enumerate(IDS)]
    (tree / "speakers.csv").write_text("\n".join(["index,speaker,gender", *people]))
    (tree / MARKER).write_text("{}")
    return tree


def opened(root):
    return corpora.open("lmvd", vouched(root))


class TestCorpus:
    def test_every_column_and_array(self, root):
        corpus = opened(root)
        assert len(corpus.problems) == 0
        assert list(corpus.sessions["session"]) == IDS
        assert list(corpus.sessions["label"]) == [1, 1, 1, 0, 0, 0]
        assert list(corpus.sessions["split"]) == ["train", "validation", "test"] * 2
        assert list(corpus.sessions["gender"]) == ["male", "female"] * 3
        assert list(corpus.sessions["participant"]) == [f"s{name}" for name in IDS]
        assert corpus["0602"].features("acoustic").shape == (9, 128)
        arrays, problems = vlog.load(corpus.files(), "lmvd")
        assert not problems
        assert {a["visual"].shape for a in arrays.values()} == {(9, 136)}

    def test_the_owners_names_of_folders(self, root):
        first = opened(root).sessions
        (root / "audio").rename(root / "Audio_feature")
        (root / "visual").rename(root / "Video_feature")
        assert opened(root).sessions.equals(first)

    def test_lost_noughts_and_capitals(self, root):
        """A spreadsheet drops the noughts of 001; a disk writes all in capitals."""
        first = opened(root).sessions
        for name in ("labels.csv", "speakers.csv"):
            table = root / name
            table.write_text(re.sub(r"(?m)^0+(?=\d)", "", table.read_text()))
            table.rename(root / name.upper())
        for path in list(root.rglob("*.npy")):
            path.rename(path.with_name(path.name.upper()))
        (root / "audio").rename(root / "AUDIO")
        corpus = opened(root)
        assert corpus.sessions.equals(first)
        assert corpus.problems["problem"].str.contains("6 vlogs are listed without the noughts"
                                                       ).tolist() == [True, True]

    def test_two_ids_that_differ_in_noughts_alone_are_not_mixed_up(self, root):
        for part, width in (("audio/{}.npy", 128), ("visual/{}_visual.npy", 136)):
            np.save(root / part.format("0001"), np.random.default_rng(9).normal(size=(9, width)))
        table = root / "labels.csv"
        table.write_text(table.read_text().replace("\n001,", "\n1,"))
        corpus = opened(root)
        assert len(corpus) == 5
        assert "1" in set(corpus.problems["session"])

    def test_tables_of_openface_in_capitals(self, tmp_path):
        (tmp_path / "A.CSV").write_text("frame\n")
        (tmp_path / "folder.csv").mkdir()
        assert lmvd.tables_below(tmp_path) == [tmp_path / "A.CSV"]

    def test_reasons_keep_what_an_array_is_called(self, root, tmp_path):
        (root / MARKER).unlink()
        (root / "audio").rename(root / "sound")
        with pytest.raises(ValueError, match=r"lists it, but there is no audio/….npy. Finish"):
            corpora.open("lmvd", root)

    @pytest.mark.parametrize("separator", [";", "\t", ", "])
    def test_other_separators(self, root, separator):
        first = opened(root).sessions
        for name in ("labels.csv", "speakers.csv"):
            (root / name).write_text((root / name).read_text().replace(",", separator))
        assert opened(root).sessions.equals(first)

    def test_the_authors_name_of_the_table_and_arrays_in_sub_folders(self, root):
        first = opened(root).sessions
        (root / "labels.csv").rename(root / "lmvd_labels.csv")
        for folder in ("visual/depressed", "audio/part 1"):
            (root / folder).mkdir()
        (root / "visual/001_visual.npy").rename(root / "visual/depressed/001_visual.npy")
        (root / "audio/001.npy").rename(root / "audio/part 1/001.npy")
        corpus = opened(root)
        assert len(corpus.problems) == 0
        assert corpus.sessions.equals(first)

    def test_gender_is_unknown_unless_speakers_tell(self, root):
        (root / "speakers.csv").unlink()
        corpus = opened(root)
        assert set(corpus.sessions["gender"]) == {"unknown"}
        assert len(corpus.problems) == 1

    @pytest.mark.parametrize("label", ["2", "depression", ""])
    def test_labels_that_are_neither_0_nor_1(self, root, label):
        text = (root / "labels.csv").read_text()
        (root / "labels.csv").write_text(text.replace("001,1,", f"001,{label},"))
        corpus = opened(root)
        assert len(corpus) == 5
        assert problem_of(corpus,
                          "001") == f"its label is {label!r}; expected 0 or 1. Correct labels.csv."

    def test_missing_files_and_files_without_row(self, root):
        (root / "visual/001_visual.npy").unlink()
        (root / "audio/002.npy").unlink()
        np.save(root / "audio/0777.npy", np.ones((3, 128)))
        corpus = opened(root)
        assert list(corpus.sessions["session"]) == ["003", "0602", "0603", "0604"]
        assert ("no visual/001_visual.npy (python -m depnb.corpora.lmvd extract makes "
                "it" in problem_of(corpus, "001"))
        assert "there is no audio/002.npy. Finish the download" in problem_of(corpus, "002")
        assert "labels.csv has no row for it" in problem_of(corpus, "0777")

    def test_a_table_without_the_fold(self, root):
        (root / "labels.csv").write_text("index,label\n001,1\n")
        with pytest.raises(ValueError, match="lacks the column fold; expected index,label,fold"):
            opened(root)


@pytest.fixture
def openface(tmp_path, golden):
    """A folder with the golden table in a sub-folder: (folder, its text)."""
    text = str(golden("lmvd_extract_a")[0]["input/csv"])
    (tmp_path / "openface/depressed").mkdir(parents=True)
    (tmp_path / "openface/depressed/001.csv").write_text(text)
    return tmp_path / "openface", text


def edited(text, **columns):
    """The table again with other columns; None drops one."""
    table = pd.read_csv(pd.io.common.StringIO(text), skipinitialspace=True)
    for name, values in columns.items():
        table = (table.drop(columns=name) if values is None
                 else table.assign(**{name: values(table)}))
    return ", ".join(table) + "\n" + table.to_csv(index=False, header=False)


def points_of(text, frame):
    """The standardised landmarks of a frame of a table."""
    table = pd.read_csv(pd.io.common.StringIO(text), skipinitialspace=True)
    return vlogs.standardised(table.loc[table["frame"] == frame, lmvd.POINTS].to_numpy())[0]


def film(tmp_path, times, frames=None, **columns):
    """An OpenFace table of frames at these times; its x_0 tells the time."""
    rng = np.random.default_rng(0)
    face = pd.DataFrame(np.tile(rng.normal(300, 50, 136), (len(times), 1)), columns=lmvd.POINTS)
    frames = np.arange(len(times)) + 1 if frames is None else frames
    table = pd.concat([pd.DataFrame({"frame": frames, "face_id": 0, "timestamp": times,
                                     "success": 1}), face.assign(x_0=times)], axis=1)
    table.assign(**columns).to_csv(tmp_path / "film.csv", index=False)
    return tmp_path / "film.csv"


def seconds_of(rows):
    """The times that the rows of `film` tell, NaN for zeros."""
    face = np.random.default_rng(0).normal(300, 50, 136)
    with np.errstate(all="ignore"):
        scale = (face[2] - face[1]) / (rows[:, 2] - rows[:, 1])
        return (rows[:, 0] - rows[:, 1]) * scale + face[1] + 0 / rows.any(axis=1)


EVEN = np.arange(40 * 30) / 30                                      # 40 s


class TestTimes:
    """The row of a second is of the first frame at its time stamp or later."""

    @pytest.mark.parametrize("rate", [29, 28.6, 31.4, 29.97, 24, 60, 240])
    def test_a_constant_rate(self, tmp_path, rate):
        rows, remarks = lmvd.placed(film(tmp_path, np.round(np.arange(round(90 * rate)) / rate, 3)))
        off = seconds_of(rows) - np.arange(90)
        assert off.min() > -1e-3
        assert off.max() < 1 / rate + 1e-3
        assert [r.partition(",")[0] for r in remarks] == [f"{rate} frames a second"] * (
            rate in (24, 60, 240))

    def test_a_varying_rate(self, tmp_path):
        times = np.r_[np.arange(900) / 30, 30 + np.arange(450) / 15]
        rows, remarks = lmvd.placed(film(tmp_path, times))
        np.testing.assert_allclose(seconds_of(rows), np.arange(60), atol=1e-6)
        assert remarks == ["its frames come at varying rates; each row is the first frame of its "
                           "second."]

    def test_missing_seconds_of_frames_numbered_anew(self, tmp_path):
        rows, remarks = lmvd.placed(film(tmp_path, np.r_[EVEN, 45 + EVEN]))
        told = seconds_of(rows)
        assert np.flatnonzero(np.isnan(told)).tolist() == [40, 41, 42, 43, 44]
        np.testing.assert_allclose(told[45:], np.arange(45, 85), atol=1e-6)
        assert [r[:26] for r in remarks] == ["5 of 85 rows are zeros: Op"]

    @pytest.mark.parametrize("place", [0, 5, 700, 1199])
    @pytest.mark.parametrize("stamp", [1200.0, -7.0, np.nan])
    def test_one_wrong_stamp_is_passed_over_and_told(self, tmp_path, place, stamp):
        rows, remarks = lmvd.placed(film(tmp_path, EVEN, timestamp=np.where(
            np.arange(1200) == place, stamp, EVEN)))
        np.testing.assert_allclose(seconds_of(rows), np.arange(40), atol=0.034)
        assert remarks == ["1 of 1200 rows have no time stamp, or one far from those around it, "
                           "and are passed over."]

    def test_stamps_that_begin_anew_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="its time stamps go backwards after frame 600; expec"):
            lmvd.placed(film(tmp_path, np.r_[EVEN[:600], EVEN[:600]]))

    def test_stamps_that_begin_late_are_taken_as_they_are(self, tmp_path):
        rows, remarks = lmvd.placed(film(tmp_path, 15 + EVEN))
        np.testing.assert_allclose(seconds_of(rows)[15:], np.arange(15, 55), atol=1e-6)
        assert not rows[:15].any()
        assert remarks[0] == "its frames begin at 15 s; the rows before are zeros."
        assert remarks[1].startswith("15 of 55 rows are zeros")

    @pytest.mark.parametrize(("stamps", "told"), [(EVEN * 1000, 1), (0.0, 0), (np.nan, 0)])
    @pytest.mark.parametrize("begin", [0, 1])
    def test_without_seconds_the_frame_number_tells(self, tmp_path, stamps, told, begin):
        rows, remarks = lmvd.placed(film(tmp_path, EVEN, np.arange(1200) + begin,
                                         timestamp=stamps))
        np.testing.assert_allclose(seconds_of(rows), np.arange(40), atol=1e-6)
        assert len(remarks) == told
        assert all("are no seconds; its frames count as 30 a second" in r for r in remarks)

    @pytest.mark.parametrize("stamps", [EVEN[1::2], 0.0])
    def test_every_second_frame_only(self, tmp_path, stamps):
        rows, remarks = lmvd.placed(film(tmp_path, EVEN[1::2], np.arange(2, 1201, 2),
                                         timestamp=stamps))
        np.testing.assert_allclose(seconds_of(rows), np.arange(40) + 1 / 30, atol=1e-6)
        assert not remarks

    def test_the_first_frame_with_success_and_how_often_it_is_a_later_one(self, tmp_path):
        success = np.where((np.arange(1200) % 30 == 0) & (EVEN < 10), 0, 1)
        success[600:630] = 0
        rows, remarks = lmvd.placed(film(tmp_path, EVEN, success=success))
        np.testing.assert_allclose(seconds_of(rows), [*np.arange(10) + 1 / 30, *range(10, 20),
                                                      np.nan, *range(21, 40)], atol=1e-6)
        assert remarks[0] == ("10 of 40 rows are of a later frame of their second, as the first "
                              "has no face or no row.")
        assert remarks[1].startswith("1 of 40 rows are zeros")

    def test_a_face_that_changes_its_id(self, tmp_path):
        rows, remarks = lmvd.placed(film(tmp_path, EVEN, face_id=np.where(EVEN < 25.5, 0, 1)))
        np.testing.assert_allclose(seconds_of(rows), np.arange(40), atol=1e-6)
        assert remarks == ["435 of 1200 rows are of 1 other faces than the one with the most rows; "
                           "they are used in 14 of 40 seconds, which lack it."]


class TestLandmarks:
    def test_they_are_the_authors(self, openface, golden):
        rows = lmvd.landmarks(openface[0] / "depressed/001.csv")
        arrays, config = golden("lmvd_extract_a")
        assert rows.dtype == np.float64
        own = [(frame - 1) // 30 for frame in config["kept_frames"]]
        np.testing.assert_allclose(rows[own], arrays["output/landmarks"],
                                   atol=5e-7)                                   # stored as float32
        # frame 31 has no row: theirs then comes a second early from there on; ours is of frame 32
        assert len(rows) == 7
        np.testing.assert_array_equal(rows[1], points_of(openface[1], 32))

    def test_rows_follow_the_value_of_the_frame_column(self, openface):
        folder, text = openface
        rows = lmvd.landmarks(folder / "depressed/001.csv")
        header, *lines = text.splitlines()
        own = [line for line in lines if int(line.split(",")[0]) in (1, 32, 61, 91, 121, 151, 181)]
        (folder / "few.csv").write_text("\n".join([header, *own]))
        np.testing.assert_array_equal(lmvd.landmarks(folder / "few.csv"), rows)

    def test_scaling_the_face_changes_nothing_and_moving_it_does(self, openface):
        folder, text = openface
        rows = lmvd.landmarks(folder / "depressed/001.csv")
        (folder / "large.csv").write_text(edited(text, **{p: lambda t,
                                                          p=p: t[p] * 2 for p in lmvd.POINTS}))
        (folder / "moved.csv").write_text(edited(text, **{p: lambda t, p=p: t[p] + 100
                                                          for p in lmvd.POINTS[:68]}))
        np.testing.assert_allclose(lmvd.landmarks(folder / "large.csv"), rows, atol=1e-12)
        assert np.abs(lmvd.landmarks(folder / "moved.csv") - rows).max() > 0.5

    def test_a_second_face_and_repeated_frames_are_passed_over_and_told(self, openface):
        folder, text = openface
        rows, zeros = lmvd.placed(folder / "depressed/001.csv")
        assert zeros == ["1 of 7 rows are zeros: OpenFace found no face there, "
                         "or the table has no such row."]
        table = pd.read_csv(pd.io.common.StringIO(text), skipinitialspace=True)
        other = table.iloc[60:120].assign(face_id=1, x_3=lambda t: t["x_3"] + 500)
        several = pd.concat([table, other, table.iloc[50:80].assign(y_5=9.0)])
        several.to_csv(folder / "several.csv", index=False)
        placed, remarks = lmvd.placed(folder / "several.csv")
        np.testing.assert_array_equal(placed, rows)
        assert remarks == ["60 of 273 rows are of 1 other faces than the one with the most rows; "
                           "they are used in 0 of 7 seconds, which lack it.",
                           "30 of 273 rows repeat a frame and are passed over.", *zeros]

    def test_rows_are_placed_in_their_own_seconds(self, openface):
        """Without 68 frames from 85 on, DepMamba's seventh second is its fourth."""
        folder, text = openface
        rows = lmvd.landmarks(folder / "depressed/001.csv")
        header, *lines = text.splitlines()
        remaining = [line for line in lines if not 85 <= int(line.split(",")[0]) < 153]
        (folder / "gap.csv").write_text("\n".join([header, *remaining]))
        placed, remarks = lmvd.placed(folder / "gap.csv")
        assert remarks == ["3 of 7 rows are zeros: OpenFace found no face there, "
                           "or the table has no such row."]
        assert not placed[[2, 3, 4]].any()
        np.testing.assert_array_equal(placed[[0, 1, 6]], rows[[0, 1, 6]])
        np.testing.assert_array_equal(placed[5], points_of(text, 153))

    def test_no_face_in_most_seconds_is_refused(self, openface):
        folder, text = openface
        (folder / "lost.csv").write_text(edited(
            text, success=lambda t: (t["frame"] < 65).astype(int)))
        with pytest.raises(ValueError, match=r"in only 3 of 7 seconds\. Check the reco"):
            lmvd.landmarks(folder / "lost.csv")
        (folder / "far.csv").write_text(edited(
            text, timestamp=None,
            frame=lambda t: t["frame"].where(t["frame"] < 185, 30 * 10**12 + 1)))
        with pytest.raises(ValueError, match="found a face in only 8 of 1000000000001 seconds"):
            lmvd.landmarks(folder / "far.csv")

    def test_success_0_is_no_face_whatever_stands_beside_it(self, openface):
        folder, text = openface
        rows = lmvd.landmarks(folder / "depressed/001.csv")
        lost = range(121, 151)
        for number in (5.0, "-nan(ind)"):
            (folder / "lost.csv").write_text(edited(
                text, success=lambda t: (~t["frame"].isin(lost)).astype(int),
                x_3=lambda t, n=number: t["x_3"].astype(object).where(~t["frame"].isin(lost), n)))
            placed = lmvd.landmarks(folder / "lost.csv")
            assert not placed[4].any()
            np.testing.assert_array_equal(placed[[0, 3, 5, 6]], rows[[0, 3, 5, 6]])

    @pytest.mark.parametrize(("rate", "frames"), [
        (25, [1, 26, 51, 76, 101, 126, 151, 176]), (15, [1, 16, 46, 61, 76, 91, 106, 121]),
        (29.97, [1, 61, 91, 121, 151, 181])])
    def test_another_rate_than_30_is_read_by_its_time_stamps(self, openface, rate, frames):
        folder, text = openface
        changed = edited(text, timestamp=lambda t: ((t["frame"] - 1) / rate).round(3),
                         success=lambda t: 1, x_3=lambda t: t["frame"].astype(float))
        (folder / "other.csv").write_text(changed)
        placed, remarks = lmvd.placed(folder / "other.csv")
        table = pd.read_csv(folder / "other.csv", skipinitialspace=True).set_index("frame")
        step = round(rate)
        for frame in frames:
            row, = vlogs.standardised(table.loc[[frame], lmvd.POINTS].to_numpy())
            np.testing.assert_allclose(placed[(frame - 1) // step], row, atol=1e-12)
        told = [s for s in remarks if "frames a second" in s]
        assert told == ([] if step == 30 else [
            f"{rate} frames a second, not 30; each row is the first frame of its second."])

    @pytest.mark.parametrize("joined", [",", ", ", " , "])
    def test_blanks_around_commas(self, openface, joined):
        folder, text = openface
        rows = lmvd.landmarks(folder / "depressed/001.csv")
        (folder / "other.csv").write_text(re.sub(" *, *", joined, text), encoding="utf-8-sig")
        np.testing.assert_array_equal(lmvd.landmarks(folder / "other.csv"), rows)

    @pytest.mark.parametrize(("spoil", "sentence"), [
        (lambda text: "", "is empty; expected an OpenFace table"),
        (lambda text: "\n\n", "is empty; expected"),
        (lambda text: text.splitlines()[0], "has 0 rows, none at a time of 0 s or l"),
        (lambda text: text.replace(", ", ";").replace(",", ";"),
         "its cells are separated by ';'; expected an OpenF"),
        (lambda text: text.replace(",", "\t"), r"its cells are separated by '\\t'; expected"),
        (lambda text: edited(text, y_67=None),
         "lacks 1 of 137 columns, the first is y_67; expected"),
        (lambda text: edited(text, **dict.fromkeys(lmvd.POINTS)),
         "lacks 136 of 137 columns, the first is x_0"),
        (lambda text: edited(text, frame=None), "lacks 1 of 137 columns, the first is frame"),
        (lambda text: edited(text, frame=lambda t: 30 * t["frame"]),
         "tell 900 frames a second: they contradict each other"),
        (lambda text: edited(text, frame=lambda t: -t["frame"], timestamp=None),
         "has 183 rows, none at a time of 0 s or later"),
        (lambda text: edited(text, x_3=lambda t: "a"),
         "row 1 has a frame number or landmark that is no finite number"),
        (lambda text: edited(text, x_3=lambda t: np.inf),
         "row 1 has a frame number or landmark that is no"),
        (lambda text: edited(text, frame=lambda t: "a"), "row 1 has a frame number"),
        (lambda text: text.rstrip() + ",1,2,3",
         "row 183 has 147 cells, the header 144 .cut short, or decimal commas"),
        (lambda text: text[:-200], "row 183 has 116 cells, the header 144")])
    def test_tables_that_cannot_be_used(self, openface, spoil, sentence):
        folder, text = openface
        (folder / "bad.csv").write_text(spoil(text))
        with pytest.raises(ValueError, match=sentence) as caught:
            lmvd.landmarks(folder / "bad.csv")
        assert re.search(r"(Export it again|leave it out)[^.]*\.$", str(caught.value))


class TestExtract:
    def test_sub_folders_are_kept_and_a_faulty_table_does_not_stop_the_others(self, openface,
                                                                              tmp_path, capsys):
        folder, text = openface
        (folder / "bad.csv").write_text(text.replace(",", ";"))
        (folder / "002.csv").write_text(text)
        made = tmp_path / "visual"
        assert __main__.main(["extract", str(folder), str(made), "--workers", "1"]) == 1
        assert sorted(str(p.relative_to(made)) for p in made.rglob("*") if p.is_file()) == [
            "002_visual.npy", "depressed/001_visual.npy", "private.log"]
        np.testing.assert_array_equal(np.load(made / "002_visual.npy"),
                                      lmvd.landmarks(folder / "002.csv"))
        zeros, cells, where, used = capsys.readouterr().out.splitlines()
        assert zeros == ("fewer than five: … of … rows are zeros: OpenFace found no face there, "
                         "or the table has no such row.")
        assert cells.startswith("fewer than five: its cells are separated by …;")
        assert (where == f"Which files these are stands in {made / 'private.log'}, "
                         "which is for your eyes: it names them.")
        assert used == f"all but fewer than five of 3 tables used; their arrays are in {made}."
        log = (made / "private.log").read_text()
        assert ("002.csv\t1 of 7 rows are zeros: OpenFace found no face there, "
                "or the table has no such row.\n") in log
        assert re.search(r"(?m)^bad\.csv\tits cells are separated by ';'", log)

    def test_arrays_that_exist_are_left_alone_unless_told(self, openface, tmp_path, capsys):
        folder, made = openface[0], tmp_path / "visual"
        (made / "depressed").mkdir(parents=True)
        (made / "depressed/001_visual.npy").write_bytes(b"mine")
        assert __main__.main(["extract", str(folder), str(made), "--workers", "1"]) == 0
        assert (made / "depressed/001_visual.npy").read_bytes() == b"mine"
        assert re.search("0 arrays written.*1 were there already, 0 failed",
                         capsys.readouterr().out)
        assert __main__.main(["extract", str(folder), str(made), "--workers", "1",
                              "--overwrite"]) == 0
        assert np.load(made / "depressed/001_visual.npy").shape == (7, 136)

    def test_a_failed_write_leaves_nothing_behind(self, openface, tmp_path, monkeypatch):
        def full(file, *_, **__):
            file.write(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(lmvd.np, "save", full)
        with pytest.raises(SystemExit,
                           match=r"cannot be written \(No space left on device\)\. Free space"):
            __main__.main(["extract", str(openface[0]), str(tmp_path / "visual"), "--workers", "1"])
        assert not [p for p in (tmp_path / "visual").rglob("*") if p.is_file()]

    def test_only_faulty_tables_and_a_target_that_is_not_there(self, tmp_path, capsys):
        (tmp_path / "tables").mkdir()
        for number in range(5):
            (tmp_path / f"tables/{number}.csv").write_text("x")
        target = tmp_path / "deep/visual"
        assert __main__.main(["extract", str(tmp_path / "tables"), str(target),
                              "--workers", "1"]) == 1
        assert capsys.readouterr().out.endswith(f"0 arrays written to {target}, "
                                                "0 were there already, 5 failed.\n")
        assert [p.name for p in target.iterdir()] == ["private.log"]

    def test_links_and_companions_of_a_mac(self, openface, tmp_path, capsys):
        folder, text = openface
        (tmp_path / "disk").mkdir()
        (tmp_path / "disk/0602.csv").write_text(text)
        (folder / "normal").symlink_to(tmp_path / "disk")
        (folder / "normal/._0602.csv").write_bytes(b"\0\5\x16\7")
        (folder / "lost.csv").symlink_to("/nowhere.csv")
        assert __main__.main(["extract", str(folder), str(tmp_path / "visual"),
                              "--workers", "1"]) == 1
        assert sorted(p.name for p in (tmp_path / "visual").rglob("*.npy")) == [
            "001_visual.npy", "0602_visual.npy"]
        assert "fewer than five: a link that leads nowhere." in capsys.readouterr().out
        assert "lost.csv\ta link that leads" in (tmp_path / "visual/private.log").read_text()

    def test_a_target_that_is_a_file(self, openface, tmp_path):
        (tmp_path / "visual").write_text("mine")
        with pytest.raises(
            SystemExit,
            match=r"visual: cannot be written \(File exists\)\. Free space or choose another"):
            __main__.main(["extract", str(openface[0]), str(tmp_path / "visual")])

    def test_a_folder_without_tables(self, tmp_path):
        with pytest.raises(SystemExit, match=r"no folder with OpenFace tables \(\*\.csv\)"):
            __main__.main(["extract", str(tmp_path), str(tmp_path / "visual")])

    def test_the_command_warns_of_nothing_and_several_processes_share_the_work(self,
                                                                               openface, tmp_path):
        folder, _ = openface
        (folder / "bad.csv").write_text("x")
        done = subprocess.run([sys.executable, "-W", "error", "-m", "depnb.corpora.lmvd", "extract",
                               str(folder), str(tmp_path / "visual"), "--workers", "2"],
                              capture_output=True, text=True, cwd=ROOT)
        assert done.returncode == 1
        assert done.stderr == ""
        assert done.stdout.endswith("all but fewer than five of 2 tables used; their arrays are in "
                                    f"{tmp_path / 'visual'}.\n")
        assert (tmp_path / "visual/depressed/001_visual.npy").exists()
