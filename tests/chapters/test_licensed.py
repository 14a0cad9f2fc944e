"""A licensed corpus on two machines, each chapter: equal numbers, no name in common, and nothing a
label table could join.

A tree without its marker counts as licensed. Its people get numbers here that occur nowhere else,
so that a number of theirs can be told from any other.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from bs4 import BeautifulSoup

from depnb import runs
from depnb.corpora import privacy
from depnb.corpora.purge import purge
from depnb.files import content_hash
from depnb.runs import verify
from depnb.simulation import interview, severity
from depnb.simulation.layouts import simulate
from tests.book.test_licensed import page as report_of_real_data
from tests.chapters.test_sta_drn import faces, pictures
from tests.papermilled import execute
from tests.paths import ROOT

PSEUDONYM = re.compile(r"\b[PS]-[0-9a-f]{8,}\b")
FIRST = "90070"         # of every number of a session; a short one can be a number of megabytes
LAYOUTS = {"sta_drn": ("avec2014", {"participants": 24, "seconds": 1.2}),
           "cfrafn": ("speech_folder", {"participants": 48, "seconds": 4}),
           "aafn": ("daic_woz", {"participants": 24, "seconds": 16}),
           "dynmultidep": ("dvlog", {"participants": 24, "seconds": 90})}


@dataclass
class Tree:
    """A corpus, what its label table says (one row a session), files with faults, and sentences
    about these.
    """

    root: Path
    table: pd.DataFrame
    broken: list
    sentences: tuple


@dataclass
class Machine:
    folder: Path
    executed: object
    figures: list

    @property
    def run(self):
        return self.folder / "run"


def renamed(root):
    """Put FIRST before the number of every session, in names of files and folders and in tables.
    """
    for path in sorted(root.rglob("*"), key=lambda p: -len(p.parts)):
        if re.match(r"\d+(_|$|\.)", path.name):
            path.rename(path.with_name(f"{FIRST}{path.name}"))
    for table in root.glob("*.csv"):
        text = re.sub(r"(?m)^(\d+)(?=,)", rf"{FIRST}\1", table.read_text())
        table.write_text(re.sub(r"/(\d+)(_\d+\.wav),(\d+)", rf"/{FIRST}\1\2,{FIRST}\3", text))


def label_table(told):
    """What a licence holder knows: session, participant, score, items, gender, split, seconds."""
    rows = []
    for name, session in told["sessions"].items():
        person = session.get("participant", session.get("speaker"))
        facts = told.get("participants", {}).get(str(person), {}) | session
        items = {k: v for k, v in facts.items() if k.startswith("phq8_") and k != "phq8_total"}
        score = next(facts[k] for k in ("bdi2", "phq8_total", "label") if k in facts)
        seconds = facts.get("seconds", facts.get("frames", 0) / 30)
        rows.append({"session": f"{FIRST}{name}", "participant": f"{FIRST}{person}", "score": score,
                     "seconds": seconds, **items, "split": facts.get("split", ""),
                     "gender": facts.get("gender", ""), "label":
                     int(score >= (14 if "bdi2" in facts else 10 if "phq8_total" in facts else 1))})
    return pd.DataFrame(rows)


def balanced(root, told):
    """Other scores and splits for a simulated DAIC-WOZ: ten people to test on, five of them
    depressed.
    """
    rows = []
    for number, (name, facts) in enumerate(told["sessions"].items()):
        total = (3, 12, 6, 17, 9, 21)[number % 6]
        items = {f"phq8_{item}": total // 8 + (i < total % 8)
                 for i, item in enumerate(severity.PHQ8_ITEMS)}
        facts |= items | {"phq8_total": total, "split": "train" if number < 9
                          else "validation" if number < 14 else "test"}
        rows.append({"participant": int(name),
                     **{k: facts[k] for k in ("gender", "phq8_total", "split", *items)}})
    interview._write_labels(root, pd.DataFrame(rows))


def break_some(paper, root):
    """Faults as downloads have them -> files, what must be said of them."""
    if paper == "sta_drn":
        video = sorted(root.rglob("*.mp4"))[3]
        video.write_bytes(video.read_bytes()[:500])
        return [video], ("all but fewer than five of 54 recordings used",
                         "withheld: restricted corpus")
    if paper == "cfrafn":
        files = sorted(root.glob("*/*.wav"))[:3]
        files[0].write_bytes(b"")
        samples, rate = soundfile.read(files[1])
        soundfile.write(files[1], np.zeros_like(samples), rate)
        soundfile.write(files[2], samples[:rate], rate)
        return files, ("the file is empty", "is silent", "s of sound after preprocessing; expected",
                       "withheld: restricted corpus")
    if paper == "aafn":
        folders = sorted(p for p in root.iterdir() if p.is_dir())[:3]
        files = [next(folders[0].glob("*_TRANSCRIPT.csv")), next(folders[1].glob("*_AUDIO.wav"))]
        files[0].write_text("start_time,stop_time,speaker,value\n")
        files[1].write_bytes(b"")
        shutil.rmtree(folders[2])
        return [*files, folders[2]], ("not separated by tabs", "no folder",
                                      "withheld: restricted corpus")
    (root / "speakers.csv").unlink()
    names = sorted(p.name for p in root.iterdir() if p.is_dir())
    files = [root / name / f"{name}_{part}.npy"
             for name, part in zip(names, ("visual", "acoustic", "visual"), strict=False)]
    rows = np.load(files[0])
    rows[3, 5] = np.nan
    np.save(files[0], rows)
    np.save(files[1], np.array([{"a": 1}]), allow_pickle=True)
    files[2].unlink()
    return files, ("NaN or infinite", "pickled Python objects", "but there is no",
                   "counts as its own speaker")


@pytest.fixture(scope="module", params=LAYOUTS)
def paper(request):
    return request.param


@pytest.fixture(scope="module")
def licensed(paper, tmp_path_factory):
    layout, options = LAYOUTS[paper]
    root = simulate(layout, tmp_path_factory.mktemp("licensed") / "corpus", **options)
    told = json.loads((root / privacy.MARKER).read_text())
    (root / privacy.MARKER).unlink()
    if paper == "aafn":
        balanced(root, told)
    renamed(root)
    return Tree(root, label_table(told), *break_some(paper, root))


def on_a_machine(paper, tree, folder, cache):
    """The chapter run there -> Machine."""
    spied = folder / "figures"
    spied.mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests/spy"))
        patch.setenv("DEPNB_SPY", str(spied))
        executed = execute(folder, notebook=paper, data_root=str(tree.root), cache_dir=str(cache))
    return Machine(folder, executed, [json.loads(f.read_text()) for f in sorted(spied.iterdir())])


@pytest.fixture(scope="module")
def machine_a(paper, licensed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("here")
    return on_a_machine(paper, licensed, folder / "work", folder / "cache")


@pytest.fixture(scope="module")
def machine_b(paper, licensed, machine_a, tmp_path_factory):
    """Another machine: the same features (they take long), another key."""
    folder = tmp_path_factory.mktemp("there")
    shutil.copytree(machine_a.folder.parent / "cache", folder / "cache",
                    ignore=shutil.ignore_patterns(privacy.KEY, privacy.REGISTRY, "hashes", "locks"))
    return on_a_machine(paper, licensed, folder / "work", folder / "cache")


class TestTwoMachines:
    def test_equal_numbers(self, machine_a, machine_b):
        for name in ("metrics.json", "checkpoint.safetensors"):
            assert (machine_a.run / name).read_bytes() == (machine_b.run / name).read_bytes(), name
        for name, ids in (("predictions.csv", ["session", "participant"]),
                          ("history.csv", ["seconds"])):
            one, other = (pd.read_csv(machine.run / name).drop(columns=ids)
                          for machine in (machine_a, machine_b))
            pd.testing.assert_frame_equal(one, other)

    def test_no_pseudonym_in_common(self, machine_a, machine_b):
        one, other = (
            set(PSEUDONYM.findall("".join(path.read_text() for path in machine.run.iterdir()
                                          if path.name in privacy.IDENTIFYING and path.exists())))
            for machine in (machine_a, machine_b))
        assert len(one) == len(other) >= 20
        assert not one & other

    def test_both_are_believed_and_say_what_is_identifying(self, machine_a, machine_b):
        for machine in (machine_a, machine_b):
            assert verify.refusal(machine.run) is None
            facts = runs.Run(machine.run).provenance
            assert facts["identifying"] == list(privacy.IDENTIFYING)
            assert not facts["corpus"]["simulated"]

    def test_what_is_identifying_is_for_the_owner_alone(self, machine_a):
        there_are = [p for p in machine_a.run.iterdir() if p.name in privacy.IDENTIFYING]
        assert {p.name for p in there_are} >= {"predictions.csv", "private.log"}
        assert {oct(p.stat().st_mode & 0o777) for p in there_are} == {"0o600"}
        assert not list(machine_a.run.glob(privacy.KEY))


class TestFaults:
    def test_are_said_and_the_others_go_on(self, licensed, machine_a):
        page = output_text(machine_a.executed)
        for sentence in licensed.sentences:
            assert sentence in page
        assert not json.loads((machine_a.run / "metrics.json").read_text())["simulated"]
        assert "**simulated data**" not in page

    def test_only_the_private_log_says_whose(self, licensed, machine_a):
        log = (machine_a.run / "private.log").read_text()
        assert all(path.name in log for path in licensed.broken)


def output_text(executed):
    """All text that a run put into a notebook."""
    outputs = [o for cell in executed.cells for o in cell.get("outputs", [])]
    data = [text for o in outputs for kind, text in o.get("data", {}).items()
            if not kind.startswith("image/")]
    return "\n".join([*map(str, data), *(str(o.get("text", "")) for o in outputs), *(
        f"{o.get('ename', '')} {o.get('evalue', '')} {o.get('traceback', '')}" for o in outputs)])


def numbers_in(value, where):
    """Sequences of numbers in a nested value, and all its numbers together -> (where, list)."""
    if isinstance(value, dict):
        leaves = [v for v in value.values()
                  if isinstance(v, (int, float)) and not isinstance(v, bool)]
        yield where, leaves
        for key, inner in value.items():
            yield from numbers_in(inner, f"{where}/{key}")
    elif isinstance(value, list):
        yield where, [v for v in value if isinstance(v, (int, float)) and not isinstance(v, bool)]
        for number, inner in enumerate(value):
            yield from numbers_in(inner, f"{where}/{number}")
        rows = pd.DataFrame([v for v in value if isinstance(v, dict)])
        for column in rows.select_dtypes("number"):
            yield f"{where}/*/{column}", rows[column].tolist()


NUMBER = re.compile(r"(?<![\w.])(?<![A-Z]-)-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.]*\w)")


def columns_of(page, where):
    """Columns and rows of every HTML table, each of a cell's numbers by itself -> (where, list of
    text).
    """
    for number, table in enumerate(BeautifulSoup(page, "html.parser").find_all("table")):
        cells = [[NUMBER.findall(cell.get_text(" ", strip=True))
                  for cell in row.find_all(["td", "th"])] for row in table.find_all("tr")]
        for line in (*cells, *map(list, zip(*cells, strict=False))):
            for position in range(max(map(len, line), default=0)):
                yield f"{where}, table {number}", [cell[position] for cell in line
                                                   if len(cell) > position]


def columns_of_text(text, where):
    """Columns of what is printed line by line, and the numbers of every line -> (where, list)."""
    runs, before = [], None
    for line in text.splitlines():
        numbers = NUMBER.findall(line)
        yield f"{where}, a line", numbers
        if numbers and len(numbers) == before:
            runs[-1].append(numbers)
        else:
            runs.append([numbers])
        before = len(numbers)
    for run in runs:
        for column in zip(*run, strict=True):
            yield f"{where}, lines", list(column)


def small_groups(value, where):
    """Groups of one to four people that a nested value tells something about -> reasons."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if (key in ("participants", "speakers", "people", "depressed")
                and isinstance(inner, int) and 0 < inner < 5):
                yield f"{where}: of {inner} {key}"
            if key in privacy.DECIDED and inner is not None and inner < privacy.FEWEST:
                yield f"{where}: {key} {inner}"
            yield from small_groups(inner, f"{where}/{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from small_groups(inner, f"{where}/{number}")


def left_by(machine):
    """What a run leaves beside what is identifying -> texts by name, sequences of numbers as
    (where, list).
    """
    page = output_text(machine.executed)
    texts = {"notebook": page,
             "cells": json.dumps([[c.source, c.metadata] for c in machine.executed.cells])}
    sequences = [*columns_of(page, "notebook"), *columns_of_text(page, "notebook")]
    for path in sorted(p for p in machine.run.rglob("*")
                       if p.is_file() and p.name not in privacy.IDENTIFYING):
        if path.suffix in (".csv", ".json", ".yaml", ".log", ""):
            # of files of the run
            texts[path.name] = re.sub(r"\b[0-9a-f]{64}\b", "a hash", path.read_text())
        elif path.suffix != ".png":             # headers of weights, databases
            texts[path.name] = path.read_bytes()[:100_000].decode("latin1")
        if path.suffix == ".json":
            sequences += numbers_in(json.loads(texts[path.name]), path.name)
        elif path.suffix == ".csv":
            table = pd.read_csv(path)
            sequences += [(f"{path.name}/{c}", table[c].tolist())
                          for c in table.select_dtypes("number")]
    for figure in machine.figures:
        name = f"figure {figure['figure']}"
        texts[name] = texts.get(name, "") + "\n".join(figure["texts"])
        sequences += [(name, row) for row in figure["numbers"]]
    return texts, sequences


def secrets_of(table, predictions):
    """What must not be told one by one: name -> values, one a person, session or row, of all or of
    one part.
    """
    secrets = {}
    people = table.drop_duplicates("participant")
    for column in ("score", "seconds", *(c for c in table if c.startswith("phq8_"))):
        for part in {"", *table["split"]}:
            for rows in (table, people):
                secrets[f"{column} {part} {len(rows)}"] = (
                    rows.loc[(part == "") | (rows["split"] == part), column])
    wanted = predictions.select_dtypes("number").assign(error=lambda t: t["y_pred"] - t["y_true"])
    wanted["distance"] = wanted["error"].abs()
    for split in set(predictions["split"]):
        rows = (predictions["split"] == split).to_numpy()
        for column in wanted:
            secrets[f"{column} of {split} rows"] = wanted.loc[rows, column]
            for by in ("session", "participant"):
                secrets[f"{column} of {split} by {by}"] = wanted.loc[rows, column].groupby(
                    predictions.loc[rows, by], sort=False).mean()
    secrets = {name: np.asarray(values, float)[np.isfinite(np.asarray(values, float))]
               for name, values in secrets.items()}
    return {name: values for name, values in secrets.items() if len(values) >= 3}


def told(row):
    """A sequence as numbers, and with how many decimals it is written; None for numbers in full."""
    if row and isinstance(row[0], str):
        decimals = max(len(n.partition(".")[2]) for n in row)
        return np.array([float(n) for n in row]), decimals
    numbers = np.asarray(row, float)
    return numbers[np.isfinite(numbers)], None


class Secret:
    """Values, one a person, session or row, that must not be told one by one."""

    def __init__(self, name, values):
        self.name, self.values, self.rounded = name, values, {}
        varied = len(set(np.round(values, 9))) > 3
        self.scaled = np.sort((values - values.min()) / np.ptp(values)) if varied else None

    def all_in(self, row, decimals):
        """Whether a sequence has all of them, in any order and unit."""
        if self.scaled is None or len(row) != len(self.values) or not np.ptp(row) > 0:
            return False
        near = 1e-4 if decimals is None else 1.01 * 10.0**-decimals / np.ptp(row)
        scaled = np.sort((row - row.min()) / np.ptp(row))
        return near < 0.1 and min(np.abs(s - self.scaled).max()
                                  for s in (scaled, np.sort(1 - scaled))) < near

    def some_in(self, row, decimals):
        """Whether all of a sequence is among them, and that is no chance."""
        step = 1e-6 if decimals is None else 10.0**-decimals
        if (self.values % 1 == 0).all():            # scores: small whole numbers are everywhere
            return False
        if step not in self.rounded:
            self.rounded[step] = np.unique(np.round(self.values / step))
        mine, own = np.unique(np.round(row / step)), self.rounded[step]
        if decimals == 0 or len(mine) < 3 or mine[0] < own[0] or mine[-1] > own[-1]:
            return False
        chance = len(own) / (own[-1] - own[0] + 1)          # of a number within their range
        return chance ** len(mine) < 1e-4 and np.isin(mine, own).all()


FEW = re.compile(r"(?<![\w.])[1-4] (?:depressed|participants|people|persons|sessions|speakers|"
                 r"women|men|vlogs|recordings)\b")


def joined(texts, sequences, table, predictions):
    """Who can be named: reasons, by joining what is left with the label table. Empty: nobody.

    texts, sequences: as of `left_by`; table: of labels; predictions: what must not be told, by row.
    """
    reasons = []
    names = {*table["session"], *table["participant"]}
    lengths = (set(table["seconds"].round(1))
               if table["seconds"].round(1).nunique() > len(table) / 2 else set())
    for where, text in texts.items():
        reasons += [f"{where}: names {name}" for name in names
                    if re.search(rf"(?<![\d.]){name}(?!\d)", text)]
        reasons += [f"{where}: pseudonym {name}" for name in PSEUDONYM.findall(text)[:1]]
        reasons += [f"{where}: a length of {s} s"
                    for s in {float(s) for s in re.findall(r"(\d+\.\d+) s\b", text)} & lengths]
        reasons += [f"{where}: {few}" for few in FEW.findall(text)]
    secrets = [Secret(name, values) for name, values in secrets_of(table, predictions).items()]
    orders = [pd.factorize(table[column], sort=True)[0].tolist() for column in ("gender", "label")
              if table[column].nunique() == 2]
    for where, row in sequences:
        numbers, decimals = told(list(row))
        if len(numbers) >= 3:
            reasons += [f"{where}: {secret.name}" for secret in secrets
                        if secret.all_in(numbers, decimals) or secret.some_in(numbers, decimals)]
            reasons += [f"{where}: a class or gender in order" for order in orders
                        if numbers.tolist() in (order, [1 - x for x in order])]
    return reasons


class TestNobodyIsNamed:
    """Everything a run leaves but what is marked identifying, joined with the label table."""

    @pytest.fixture
    def name(self, licensed, machine_a):
        return partial(joined, table=licensed.table,
                       predictions=pd.read_csv(machine_a.run / "predictions.csv"))

    def test_by_whatever_the_run_leaves(self, machine_a, name):
        texts, sequences = left_by(machine_a)
        assert {"notebook", "metrics.json", "history.csv", "provenance.json",
                "figure training"} <= set(texts)
        assert len(sequences) > 200
        assert name(texts, sequences) == []
        for file in ("metrics.json", "provenance.json"):
            assert list(small_groups(json.loads(texts[file]), file)) == []

    def test_on_the_page_that_is_made_of_it(self, machine_a, name, tmp_path):
        shutil.copy(machine_a.folder / "out.ipynb", tmp_path / "index.ipynb")
        (tmp_path / "conf.py").write_text('extensions = ["myst_nb"]\nnb_execution_mode = "off"\n')
        subprocess.run([sys.executable, "-m", "sphinx", "-Q", str(tmp_path),
                        str(tmp_path / "html")], check=True)
        page = (tmp_path / "html/index.html").read_text()
        assert "cell_output" in page
        assert name({"page": page}, list(columns_of(page, "page"))) == []

    def test_on_the_page_of_real_data(self, paper, machine_a, name, tmp_path):
        shutil.copytree(machine_a.run, tmp_path / f"runs/{paper}/mine")
        page = report_of_real_data(tmp_path, tmp_path / "runs")
        assert "1 shown, 0 refused" in page
        assert name({"page": page}, list(columns_of(page, "page"))) == []

    def test_by_what_is_exported(self, machine_a, name, tmp_path):
        left = runs.export(machine_a.run, tmp_path / "away")
        assert {"predictions.csv", "private.log"} <= set(left)
        assert not {p.name for p in (tmp_path / "away").rglob("*")} & set(privacy.IDENTIFYING)
        copy = Machine(tmp_path, machine_a.executed, [])
        (tmp_path / "away").rename(tmp_path / "run")
        assert name(*left_by(copy)) == []
        assert "predictions.csv is missing" in verify.refusal(tmp_path / "run")
        for line in (tmp_path / "run/SHA256SUMS").read_text().splitlines():
            digest, _, file = line.partition("  ")
            assert file == "predictions.csv" or content_hash(tmp_path / "run" / file) == digest

    def test_no_face_and_no_voice_leaves(self, paper, machine_a):
        if paper == "sta_drn":
            assert faces(pictures(machine_a.executed)) == 0
        assert not re.search("<audio|i feel", output_text(machine_a.executed))

    def test_the_join_would_find_them(self, licensed, machine_a, name):
        """What it must not find in a run, it finds where it is."""
        table, predictions = licensed.table, pd.read_csv(machine_a.run / "predictions.csv")
        test = predictions[predictions["split"] == "test"]
        person = test.groupby("participant", sort=False)[["y_true", "y_pred"]].mean()
        person["error"] = person["y_pred"] - person["y_true"]
        digits = 1 if np.ptp(person["y_pred"]) > 3 else 3
        written = person.round(digits)
        worst = person.reindex(person["error"].abs().sort_values().index)[-5:]
        pages = {"a table": written.to_html(index=False), "the worst five":
                 worst.round(digits + 1).to_html(index=False), "with a unit": written.assign(
                     y_pred=[f"{p} points" for p in written["y_pred"]]).to_html(index=False),
                 "errors": written[["error"]].sort_values("error").to_html(index=False)}
        for what, page in pages.items():
            assert name({}, list(columns_of(page, what))), what
        for what, text in {"printed": person.to_string(),
                           "printed, rounded": written.to_string(index=False), "in a line":
                               " ".join(map(str, person["y_pred"].round(digits + 1)))}.items():
            assert name({}, list(columns_of_text(text, what))), what
        for what, row in {"a dot a person": person["y_pred"],
                          "in another unit": 1 - person["y_pred"] / 63,
                          "sorted": person["y_pred"].sort_values(),
                          "four people": person["y_pred"][:4],
                          "rows": test["y_pred"], "a bar a person": person["error"].abs(),
                          "gender in order": pd.factorize(table["gender"], sort=True)[0],
                          "class in order": table["label"]}.items():
            assert name({}, [(what, list(row))]) or len(set(row)) < 2, what
        columns = [c for c in table if c.startswith("phq8_") or c in ("score", "seconds")]
        for column in (c for c in columns if table[c].nunique() > 3):
            assert name({},
                        [(column, table[column].sample(frac=1, random_state=0).tolist())]), column
        if table["seconds"].round(1).nunique() > len(table) / 2:
            assert name({}, [("minutes", (table["seconds"] / 60).tolist())])
            assert name({"a": f"it took {table['seconds'][3]:.1f} s"}, [])
        for text in (f"x{table['session'][0]}.wav", test["session"].iloc[0],
                     "7 participants (2 depressed)"):
            assert name({"a": text}, []), text
        assert (list(small_groups({"by_gender": [{"participants": 4}, {"participants": 5}]}, ""))
                == ["/by_gender/0: of 4 participants"])
        assert list(small_groups({"tn": 5, "fp": None, "fn": 0}, "")) == [": fn 0"]


def test_purge_knows_every_file_that_a_run_writes(licensed, machine_a):
    cache = machine_a.folder.parent / "cache"
    gone, unknown = purge(licensed.root, cache, dry=True)
    assert machine_a.run in gone
    assert unknown == []
    stay = {p.name for p in cache.rglob("*")
            if p.is_file() and not any(p.is_relative_to(g) for g in gone)}
    assert stay <= {privacy.KEY, "pseudonyms.lock"}
    assert os.path.exists(machine_a.run)
