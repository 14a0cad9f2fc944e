"""What every corpus looks like: sessions, their files, splits that never cut a participant."""

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd

from depnb.corpora import privacy, readers
from depnb.files import content_hash, passed_over, write_atomically

SPLITS = ("train", "validation", "test")
PEOPLE_UNKNOWN = "leakage between splits cannot be excluded"    # what loaders say
GENDERS = {"female": "female", "male": "male", "f": "female", "m": "male",
           "woman": "female", "man": "male", "w": "female"}
SPLIT_WORDS = {"train": "train", "training": "train", "val": "validation", "valid": "validation",
               "validation": "validation", "dev": "validation", "devel": "validation",
               "development": "validation", "test": "test", "testing": "test"}


@dataclass(frozen=True)
class Scale:
    """A questionnaire: name, range of its total, lowest total that counts as depressed."""

    name: str
    low: int
    high: int
    cutoff: int


BDI2 = Scale("BDI-II", 0, 63, 14)   # Beck et al. 1996: 14 and above is at least mild depression
PHQ8 = Scale("PHQ-8", 0, 24, 10)    # Kroenke et al. 2009
PHQ8_ITEMS = ("no_interest", "depressed", "sleep", "tired", "appetite", "failure",
              "concentrating", "moving")
CLASS = Scale("class", 0, 1, 1)     # no score, only two groups


class Leak(ValueError):
    """A participant stands on both sides of a split."""


def gender_of(text, codes=MappingProxyType({})):
    """female, male or unknown from what a table says, and a remark where that is neither.

    Parameters
    ----------
    text : str
    codes : mapping number -> female or male, as the corpus has them
    """
    word = re.sub(r"[.,]0+$", "", text.strip().lower())
    gender = GENDERS.get(word) or codes.get(word, "unknown")
    return gender, ("" if gender != "unknown" or word == "unknown" else
                    f"its gender is {text[:20]!r}; expected m or f. It counts as unknown.")


class Corpus:
    """Sessions of a corpus and access to their files.

    What is drawn follows the corpus's own ids, never the pseudonyms.

    Parameters
    ----------
    name : str
    root : path
    scale : Scale
    rows : list of dict
        session, participant, score, files (mapping part -> path), optionally split, gender, label,
        timing and further columns.
    problems : sequence of (session, path, sentence)
        Session "" for the whole corpus.
    aligned : bool
        The frames are face crops already.
    modalities : mapping modality -> parts it is made of
    needs : parts without which a session is of no use
    terms : privacy.Terms

    Attributes
    ----------
    sessions : DataFrame, one row a session, in the order of the corpus's own ids
        session, participant, gender, split (official: train, validation, test; "" where there is
        none), score, label (as the corpus gives it, else score at or above the cut-off), then what
        else the corpus tells of a session, such as item scores.
    problems : DataFrame, one row a session (or file) left out
        With the reason; "all" for what concerns the whole corpus. `listing` is what may be shown.
    restricted : bool
        Unless the tree's marker vouches that it is simulated. Sessions and participants then go by
        pseudonym, sentences about them lose names and numbers, and only `write_private_log` knows
        which file they stand for.
    truth : dict or None
        The planted truth of a simulated tree.
    """

    def __init__(self, name, root, scale, rows, problems=(), aligned=False, modalities=None,
                 needs=(), terms=None):
        self.name, self.root, self.scale, self.aligned = name, Path(root), scale, aligned
        self._modalities, self._needs = modalities or {}, set(needs)
        terms = terms or privacy.terms(root)
        problems = [*problems, *(_copies(rows) if terms.truth is None else ())]
        self._paths = sorted({p for row in rows for p in row["files"].values()})
        if terms.truth is not None and not all(p.resolve().is_relative_to(self.root.resolve())
                                               for p in self._paths):
            terms = terms._replace(truth=None,
                                   remark=f"{privacy.MARKER} cannot vouch for files outside of "
                                          "this folder, which its tables name, "
                                          "so it counts as licensed. Keep them apart.")
        self.truth, self.restricted, self.cache = terms.truth, terms.truth is None, terms.cache
        problems = [*problems, *_lost(self.root),
                    *([("", self.root / privacy.MARKER, terms.remark)] if terms.remark else [])]
        alike = defaultdict(set)
        for row in rows:
            alike[readers.spelled_alike(row["participant"])].add(str(row["participant"]))
        if twice := sum(len(names) - 1 for names in alike.values()):
            problems.append(("", self.root, f"{twice} participants are written in two ways that "
                                            "differ in capitals or accents alone, and count as "
                                            "others. Correct the table, or a split may cut them."))
        table = pd.DataFrame([{k: v for k, v in row.items() if k not in ("files", "timing")}
                              for row in rows])
        if table.empty:
            raise unusable(f"{root}: no usable session ({len(problems)} left out).", problems,
                           terms, "See 'Your data' in the guide for the expected layout.")
        self.by_label = "label" in table            # folds balance given labels, else scores
        for column, value in (("gender", "unknown"), ("split", "")):
            if column not in table:
                table[column] = value
        self._labels = table.sort_values("session").to_csv(index=False).encode()
        names = {kind: {str(v): (privacy.pseudonym(name, kind, v, terms.key)
                                 if self.restricted else str(v)) for v in values}
                 for kind, values in (("S", [*table["session"], *(s for s, _, _ in problems if s)]),
                                      ("P", table["participant"]))}
        self._files = {names["S"][str(row["session"])]: row["files"] for row in rows}
        self._timing = {names["S"][str(row["session"])]: row["timing"]
                        for row in rows if "timing" in row}
        table = table.astype({"session": str, "participant": str})
        table = table.sort_values("session", ignore_index=True)
        self._rank = {names["P"][person]: rank
                      for rank, person in enumerate(sorted(set(table["participant"])))}
        people = dict(zip(table["session"], table["participant"], strict=True))
        table["session"], table["participant"] = (table["session"].map(names["S"]),
                                                  table["participant"].map(names["P"]))
        if not self.by_label:
            table["label"] = (table["score"] >= scale.cutoff).astype(int)
        columns = ["session", "participant", "gender", "split", "score", "label"]
        self.sessions = table[[*columns, *(c for c in table if c not in columns)]]
        self._private = [(names["S"][str(session)] if session else "all", path, sentence)
                         for session, path, sentence in problems]
        sentences = [_public(problem, people) if self.restricted else problem[2]
                     for problem in problems]
        table = pd.DataFrame({"session": [name for name, _, _ in self._private],
                              "problem": sentences}, dtype=object)
        repeated = table.duplicated() & (table["session"] == "all")
        self.problems = table[~repeated].reset_index(drop=True)

    @cached_property
    def fingerprint(self):
        """16 hexadecimal digits of labels, ids, paths and contents of all files."""
        content = [(_relative(path, self.root), self.content(path)) for path in self._paths]
        return hashlib.sha256(b"fingerprint" + self._labels
                              + str(content).encode()).hexdigest()[:16]

    def content(self, path):
        """SHA-256 of a file or folder of the corpus, or words that it cannot be read."""
        try:
            return content_hash(path, self.cache and self.cache / "hashes")
        except OSError:
            return "cannot be read"

    def remember(self, *folders):
        """Have the cache remember features and folders that stand on this corpus, for `purge`."""
        if self.cache:
            privacy.derived_from(self.cache, self.root, map(self.content, self._paths), folders)

    def __len__(self):
        return len(self.sessions)

    def __getitem__(self, session):
        if session not in self._files:
            raise KeyError(f"{self.name}: no session {session!r}; "
                           f"it has {len(self)} sessions, see corpus.sessions.")
        return Session(session, self._files[session], self._timing.get(session))

    def files(self):
        """Every file of every session: mapping "session/part" -> path.

        Paths of a restricted corpus name people: do not print them.
        """
        return {f"{session}/{part}": path for session in self.sessions["session"]
                for part, path in self._files[session].items()}

    def recordings(self):
        """One row a file, in the order of the sessions.

        Returns
        -------
        DataFrame
            recording ("session/part"), part, and the columns of its session.
        """
        return self.sessions.merge(pd.DataFrame(
            [(session, part, f"{session}/{part}") for session in self.sessions["session"]
             for part in sorted(self._files[session])],
            columns=["session", "part", "recording"]), on="session")

    def modalities(self):
        """Which modalities a session has: table of bool, a row a session, a column a modality."""
        return pd.DataFrame(
            {modality: [self._files[s].keys() >= set(parts) for s in self.sessions["session"]]
             for modality, parts in self._modalities.items()}, index=self.sessions["session"])

    def exclude(self, problems):
        """Leave out recordings found faulty later.

        A session stays while it has another recording and what it cannot do without; the problem is
        listed either way.

        Parameters
        ----------
        problems : mapping "session/part" -> sentence

        Raises
        ------
        ValueError
            No session, or one class only, is left.
        """
        for recording, sentence in problems.items():
            session, part = recording.split("/")
            self._list_problem(session, recording, self._files[session].pop(part), sentence)
        usable = [bool(self._files[s]) and self._files[s].keys() >= self._needs
                  for s in self.sessions["session"]]
        self.sessions = self.sessions[usable].reset_index(drop=True)
        if self.sessions.empty:
            raise ValueError(f"{self.name}: no usable session is left. "
                             f"First problem: {self.problems['problem'].iloc[0]}"
                             f"{self._logged()}")
        if self.by_label and self.sessions["label"].nunique() < 2:
            raise ValueError(f"{self.name}: only class {self.sessions['label'].iloc[0]} is left. "
                             f"Last problem: {self.problems['problem'].iloc[-1]}"
                             f"{self._logged()}")

    def _logged(self):
        """Where the private log lies that is written because an error ends what would write it."""
        if not (self.restricted and self.cache):
            return ""
        self.write_private_log(self.cache)
        return privacy.where(self.cache / privacy.LOG)

    def note(self, remarks):
        """List remarks, mapping "session/part" -> sentence, on recordings that stay in use."""
        for recording, sentence in remarks.items():
            session, part = recording.split("/")
            self._list_problem(session, recording, self._files[session][part], sentence)

    def _list_problem(self, session, recording, path, sentence):
        public = (f"{recording.rpartition('/')[2]}: {privacy.masked(sentence, path.name)}"
                  if self.restricted else f"{_relative(path, self.root)}: {sentence}")
        self.problems.loc[len(self.problems)] = [session, public]
        self._private.append((session, path, sentence))

    def listing(self, most=None):
        """`problems` as a page may show them.

        Of a restricted corpus: each sentence with how many sessions it concerns, without
        pseudonyms.

        Parameters
        ----------
        most : int, optional
            Rows at most.

        Returns
        -------
        Styler, which escapes what it shows
        """
        table = self.problems
        if self.restricted:
            counts = table[table["session"] != "all"].groupby("problem")["session"].nunique()
            general = table.loc[table["session"] == "all", "problem"]
            table = pd.DataFrame([("all", sentence) for sentence in general] +
                                 [(privacy.few(count), sentence)
                                  for sentence, count in counts.items()],
                                 columns=["sessions", "problem"])
        page = table.head(most) if most else table
        more = f", {len(page)} of {len(table)} entries" if len(page) < len(table) else ""
        where = "; private.log in the run's folder says which" if self.restricted else ""
        return page.style.hide(axis="index").format(escape="html").set_caption(
            f"{self.name}: what is missing, faulty or noteworthy{more}{where}")

    def printable(self, table, people="participants"):
        """A table of counts as it may be printed.

        Of a restricted corpus without counts of fewer than five, and without rows about so few.

        Parameters
        ----------
        table : DataFrame
        people : str
            Column with the number of people that a row is about.
        """
        if not self.restricted:
            return table
        coarse = table.astype(object)
        for column in table.select_dtypes("integer"):
            coarse[column] = [privacy.few(count) for count in table[column]]
        coarse.loc[table[people].between(1, privacy.FEWEST - 1),
                   list(table.columns.difference([people]))] = "–"
        return coarse

    def few(self, count):
        """A count of people, or of what they left, as it may be printed: a number, or words."""
        return privacy.few(count) if self.restricted else count

    def used(self, count, total, what):
        """How many of all `what` ("recordings") could be used, in words, as it may be printed."""
        return privacy.used(count, total, what, self.restricted)

    def parts(self, split):
        """How many sessions each part of a split (Series by session) has, in printable words."""
        return ", ".join(f"{part} {self.few(count)}"
                         for part, count in split.value_counts().items())

    def check_parts(self, split, protocol="clean", both=False):
        """Refuse a split of which a part lacks what a run needs of it.

        Parameters
        ----------
        split : Series by session
            Sessions left out since do not count.
        protocol : str
            as_published needs no validation part.
        both : bool
            Whether training and test part need both classes.

        Raises
        ------
        ValueError
            A part has no session, or one class only.
        """
        labels = self.sessions.set_index("session").assign(part=split).groupby("part")["label"]
        kinds = labels.nunique()
        empty = [part for part in SPLITS
                 if part not in kinds and (protocol == "clean" or part != "validation")]
        alone = [part for part in ("train", "test") if both and kinds.get(part) == 1]
        if empty:
            raise ValueError(f"{self.name}: no usable session in {' and '.join(empty)}. Complete "
                             "the corpus and its tables, or choose another fold.")
        if alone:
            raise ValueError(f"{self.name}: the part {' and the part '.join(alone)} has sessions "
                             "of one class only, so that nothing can be told apart. Complete the "
                             "corpus, or choose another fold.")

    def check_groups(self, split, classes=True):
        """Refuse a split whose parts are too small to tell anything about.

        Parameters
        ----------
        split : Series by session, as `split` gives it
            Sessions left out since do not count.
        classes : bool
            Whether anything is told by class.

        Raises
        ------
        ValueError
            A part of a restricted corpus has fewer than five people, or its test part so few of a
            class.
        """
        used = self.sessions.set_index("session").assign(part=split).dropna(subset="part")
        people = used.groupby("part")["participant"].nunique()
        tested = used[used["part"] == "test"].groupby("label")["participant"].nunique()
        small = [f"the part {part}"
                 for part in SPLITS if part in set(split) and people.get(part, 0) < privacy.FEWEST]
        small += [f"class {label} of the test part"
                  for label, count in tested.items() if classes and count < privacy.FEWEST]
        if self.restricted and small:
            raise ValueError(f"{self.name}: {' and '.join(small)} would have {privacy.FEWER} "
                             "people, and of a licensed corpus nothing is told about so few. "
                             "Complete the corpus, or choose another split.")

    def write_private_log(self, folder):
        """Write to `private.log` in a run folder which file each pseudonym stands for."""
        if self._private:
            write_atomically(Path(folder) / privacy.LOG, "".join(
                privacy.logged(*row) for row in self._private), private=True)

    def cue_frames(self, recording, frames):
        """Which video frames carry which planted cue.

        Parameters
        ----------
        recording : str, "session/part"
        frames : (n,) int, counted from 0

        Returns
        -------
        dict cue -> (n,) bool; {} without planted truth
        """
        if self.truth is None:
            return {}
        session, part = recording.split("/")
        events = self.truth["sessions"][session]["videos"][part]["cue_frames"]
        return {cue: _inside(spans, frames) for cue, spans in events.items()}

    def cue_rows(self, session):
        """Which rows (seconds) of a vlog carry planted cues.

        Returns
        -------
        {"slow": {modality: (T,) bool}, "short": {...}}; {} without planted truth
        """
        if self.truth is None:
            return {}
        planted = self.truth["sessions"][session]
        rows = np.arange(int(planted["seconds"]))
        return {kind: {modality: _inside(spans, rows) for modality, spans in planted[kind].items()}
                for kind in ("slow", "short")}

    @property
    def people_known(self):
        """Whether anybody told who speaks; where not, every recording counts as a person."""
        return not self.problems["problem"].str.contains(PEOPLE_UNKNOWN).any()

    def shared_participants(self):
        """How many participants two official splits share, "not known" where nobody told who
        speaks: one row a pair of splits.
        """
        people = {s: set(self.sessions.loc[self.sessions["split"] == s, "participant"])
                  for s in SPLITS}
        pairs = [("train", "validation"), ("train", "test"), ("validation", "test")]
        as_printed = privacy.few if self.restricted else int
        shared = as_printed if self.people_known else lambda count: "not known"
        return pd.DataFrame(
            [{"split": b, "also in": a, "participants": as_printed(len(people[b])),
              "shared": shared(len(people[a] & people[b]))} for a, b in pairs])

    def folds(self, k=4, seed=0):
        """Fold 0..k-1 of every session: participants whole, scores or given labels balanced.

        Returns
        -------
        Series by session

        Raises
        ------
        ValueError
            There are fewer participants (of a class) than folds.
        """
        return pd.Series(self._group_folds(self.sessions, k, seed),
                         index=self.sessions["session"], name="fold")

    def split(self, fold, k=4, seed=0):
        """Train, validation and test without a shared participant.

        Parameters
        ----------
        fold : int
            0..k-1: that fold is the test set, a sixth of the remaining participants the validation
            set (more where a class has fewer than six, or where that would be fewer than five
            people). -1: the official split, from which the sessions of participants who also stand
            in a later part are dropped; the official split as it is stands in `sessions`.
        k, seed : int

        Returns
        -------
        Series by session

        Raises
        ------
        ValueError
            There is no such fold or no official split, or a part has no session.
        """
        table = self.sessions.set_index("session")
        if not -1 <= fold < k:
            raise ValueError(f"fold: {fold}. Choose 0 to {k - 1}, "
                             "or -1 for the official split without shared participants.")
        if fold >= 0:
            folds = self.folds(k, seed)
            split = pd.Series("train", index=table.index, name="split").mask(folds == fold, "test")
            rest = self.sessions[(folds != fold).to_numpy()]
            smallest = rest.groupby("label")["participant"].nunique().min() if self.by_label else 6
            parts = min(6, smallest, rest["participant"].nunique() // privacy.FEWEST)
            inner = pd.Series(self._group_folds(rest, max(2, parts), seed), index=rest["session"])
            split[inner.index[inner == 0]] = "validation"
        elif not table["split"].isin(SPLITS).any():
            raise ValueError(f"{self.name}: has no official split. Choose fold 0 to {k - 1}.")
        else:
            later = {"train": ("validation", "test"), "validation": ("test",), "test": ()}
            people = {s: set(table.loc[table["split"] == s, "participant"]) for s in SPLITS}
            taken = [any(row["participant"] in people[s] for s in later[row["split"]])
                     for _, row in table.iterrows()]
            split = table["split"][[not t for t in taken]]
        audit(table.loc[split.index, "participant"], split)
        empty = [s for s in SPLITS if s not in set(split)]
        if empty:
            raise ValueError(f"{self.name}: no session in {' and '.join(empty)}. "
                             f"Complete the corpus, or choose fold 0 to {k - 1}.")
        return split

    def _group_folds(self, table, k, seed):
        """Fold number of each row; stratified by score or given label and, where it is known and no
        stratum has fewer participants than folds, by gender; grouped by participant.
        """
        people = table.groupby("label" if self.by_label
                               else (lambda row: "any"))["participant"].nunique()
        if people.min() < k:
            which = f" of class {people.idxmin()}" if self.by_label else ""
            of_each = " of each class" if self.by_label else ""
            official = (", or set fold to -1, the official split"
                        if table["split"].isin(SPLITS).any() else "")
            raise ValueError(f"{people.min()} participants{which} cannot fill {k} folds; "
                             f"expected {k} at least{of_each}. Add recordings of others"
                             f"{official}.")
        rank = table["score"].rank(method="first")
        bins = (table["label"] if self.by_label
                else pd.qcut(rank, min(5, len(table) // k), labels=False))
        if (table["gender"] != "unknown").all():
            finer = table.groupby([bins.to_numpy(), "gender"])
            if finer["participant"].nunique().min() >= k:
                bins = finer.ngroup()
        # not at the top: it takes 75 MB, and workers that extract features split nothing
        from sklearn.model_selection import StratifiedGroupKFold

        cut = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
        fold = pd.Series(0, index=range(len(table)))
        groups = table["participant"].map(self._rank)
        for number, (_, held_out) in enumerate(cut.split(table, bins, groups)):
            fold[held_out] = number
        return fold.to_numpy()


class Session:
    """One session's files, read when asked for.

    Attributes
    ----------
    timing : dict
        "shift": seconds to add to the transcript's times; "skip": [[from, to], ...], seconds of the
        recording to leave out, as the owners' errata say.
    """

    def __init__(self, name, files, timing=None):
        self.name, self._files, self.timing = name, files, timing or {"shift": 0.0, "skip": []}

    @property
    def parts(self):
        """Names of the files."""
        return sorted(self._files)

    def frames(self, part, step=1):
        """Every step-th frame of one recording: iterator of (H, W, 3) uint8 RGB."""
        return readers.read_frames(self._files[part], step)

    def waveform(self, part="recording"):
        """The sound of one recording: (n,) float32 mono in [-1, 1], and its sample rate in Hz."""
        return readers.read_audio(self._files[part])

    def features(self, part):
        """Features by the owners, part acoustic or visual: (T, F) float32, one row a second."""
        return readers.read_array(self._files[part])

    def transcript(self, part="transcript"):
        """What was said: table of start, stop (s, as written), speaker, value; one row a turn."""
        return readers.read_transcript(self._files[part])

    def landmarks(self, part="keypoints"):
        """68 points of the face in 3-D: (frames, 68, 3) float32; NaN where tracking failed."""
        return readers.read_points(self._files[part], readers.KEYPOINTS)

    def gaze(self, part="gaze"):
        """Direction of each eye, by camera and by head: (frames, 4, 3) float32; NaN where lost."""
        return readers.read_points(self._files[part], readers.GAZE)


def _inside(spans, numbers):
    """Which numbers (n,) lie in any of the spans [first, last] -> (n,) bool."""
    numbers = np.asarray(numbers)
    return sum(((first <= numbers) & (numbers <= last) for first, last in spans),
               np.zeros(numbers.shape, bool))


def _relative(path, root):
    """A path as text, below the root where it lies there."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def by_gender(split, corpus, train="both", test="both"):
    """A split without the sessions of the other gender.

    Parameters
    ----------
    split : Series by session
    corpus : Corpus
    train, test : str
        both, female (f) or male (m): whom train and validation, and whom test are to keep.

    Returns
    -------
    Series by session

    Raises
    ------
    ValueError
        Another value, a corpus that does not tell genders, or nothing left of a part.
    """
    gender = corpus.sessions.set_index("session")["gender"][split.index]
    for parts, wanted in ((SPLITS[:2], train), (SPLITS[2:], test)):
        if wanted.lower() == "both":
            continue
        if wanted.lower() not in GENDERS:
            raise ValueError(f"gender {wanted!r}: choose both, female (f) or male (m).")
        if (gender == "unknown").all():
            raise ValueError(f"{corpus.name}: tells no genders, so {wanted} cannot be chosen. "
                             "Choose both.")
        fits = ~split.isin(parts) | (gender == GENDERS[wanted.lower()])
        empty = [part for part in parts if part in set(split) and part not in set(split[fits])]
        if empty:
            raise ValueError(f"{corpus.name}: no session of gender {wanted} in "
                             f"{' and '.join(empty)}. Choose both, or another fold.")
        split, gender = split[fits], gender[fits]
    return split


def audit(participants, split):
    """Check that each participant stands in one part only; both are Series of equal index.

    Raises
    ------
    Leak
        One stands in more.
    """
    parts = split.groupby(participants).nunique()
    if (parts > 1).any():
        raise Leak(f"{(parts > 1).sum()} participants stand in more than one split, the first is "
                   f"{parts.index[parts > 1][0]}. Split by participant.")


def unusable(sentence, problems, terms, advice="", kind=ValueError):
    """An error for a corpus of which nothing can be used, with the first of what was left out.

    Of a licensed corpus the commonest reasons, without names; `privacy.discreet` writes all of
    them, as they are, to the private log.

    Parameters
    ----------
    sentence, advice : str
        What comes before and after.
    problems : list of (session, path, sentence)
    terms : privacy.Terms
    kind : type of the error

    Returns
    -------
    An error of that kind.
    """
    reasons = ""
    if problems and terms.truth is not None:
        reasons = f"The first: {problems[0][2]}"
    elif problems:
        counts = Counter(map(_public, problems)).most_common(3)
        reasons = "The first: " + " ".join(
            f"{reason[:-1]} ({privacy.few(count)} times)." if count > 1 else reason
            for reason, count in counts)
    error = kind(" ".join(filter(None, [sentence, reasons, advice])))
    error.problems = problems
    return error


def _public(problem, people=None):
    """The sentence of a problem without names. people: participant by session."""
    session, path, sentence = problem
    if not session:
        return privacy.rounded_up(sentence)
    person = (people or {}).get(str(session), "")
    return privacy.masked(sentence, session, person, "" if path.suffix == ".csv" else path.name)


def _copies(rows):
    """Problems: files of a corpus that are one file."""
    parts = {path: (row["session"], part) for row in rows for part, path in row["files"].items()}
    for paths in equal_files(parts):
        yield from ((parts[path][0], path, f"its {parts[path][1]} has the same content as that of "
                     "another recording, and both are read. Copy them again from the corpus, "
                     "or remove one.") for path in paths)


def equal_files(paths):
    """Files that hold the same: list of lists of two or more paths, in their order."""
    alike, equal = defaultdict(list), defaultdict(list)
    for path in paths:
        alike[_glimpse(path)].append(path)
    for glimpse, group in alike.items():
        for path in group if glimpse and len(group) > 1 else ():
            equal[hashlib.sha256(path.read_bytes()).digest()].append(path)
    return [group for group in equal.values() if len(group) > 1]


def _glimpse(path):
    """Size and a piece of the middle of a file; nothing when it is empty or cannot be opened."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(size // 2)
            return (size, file.read(4096)) if size else ()
    except OSError:
        return ()


def _lost(root):
    """Problems of the whole corpus: what lies in it and leads nowhere or is closed."""
    lost = passed_over(root)
    counts = Counter(lost.values())
    return [("", root / name, f"{counts[fault]} files passed over, each {fault}")
            for name, fault in lost.items()]
