"""Lesson "Reproduce a paper yourself": recordings to practise on, a small experiment, the checks.

A table of recordings has one row a recording: file, participant, label (0 control, 1 depressed),
gender, severity, and two columns of arrays in place of CFRAFN's eGeMAPS and VGGish: functionals
(50,), mean and spread of 25 descriptors of the voice, and spectrum (128,), statistics of 64
log-mel bands.
"""


import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from depnb import learn
from depnb.book import claims
from depnb.corpora.corpus import SPLITS
from depnb.models import cfrafn
from depnb.scores import auc, intervals, metrics, report
from depnb.simulation import severity, vlog

# Sizes of the published weights.
CHECKPOINT = {"transformed_width": 196, "conv_width": 178, "classifier_width": 155}
TAKES = (1, 2, 3)           # recordings of a participant, dealt out over and over
SECONDS = 60
# Letter -> row of the claims ledger.
CASES = {"a": "cfrafn-network", "b": "cfrafn-checkpoint-fits", "c": "cfrafn-results",
         "d": "cfrafn-unseen-people", "e": "cfrafn-bootstrap", "f": "cfrafn-short-recordings"}


def files(participants=80, seed=0):
    """The recordings of a simulated cohort of cases and controls, one to three each, no sound."""
    people = severity.case_control(participants, seed, first_id=1)
    table = people.loc[people.index.repeat(np.resize(TAKES, len(people)))].reset_index(drop=True)
    table["label"] = (table["phq8_total"] >= 10).astype(int)
    table["take"] = table.groupby("participant").cumcount() + 1
    table["file"] = [f"voices_{row.label}/{row.participant:03d}_{row.take}.wav"
                     for row in table.itertuples()]
    return table[["file", "participant", "label", "gender", "severity",
                  *(f"phq8_{item}" for item in severity.PHQ8_ITEMS)]]


def recordings(participants=80, effect=0.7, seed=0):
    """The same table with what a minute of each voice gives: functionals and spectrum."""
    table = files(participants, seed)
    people = table.groupby("participant").first()
    cues, _ = severity.cues(people.reset_index(), vlog.CUES, effect, seed,
                            ("study", severity.HEALTHY))
    cues = cues.set_index(people.index)
    voices = {name: vlog.speaker(gender, np.random.default_rng([seed, name, 9]))
              for name, gender in people["gender"].items()}
    heard = []
    for number, name in enumerate(table["participant"]):
        rows, bands = (vlog.session(voices[name], cues.loc[name], SECONDS, None,
                                    [seed, name, number], layout)["acoustic"]
                       for layout in ("dvlog", "lmvd"))
        heard.append((np.concatenate([rows.mean(0), rows.std(0)]), bands.mean(0)))
    return table.assign(functionals=[f for f, _ in heard], spectrum=[s for _, s in heard])


def split_by_file(table, seed=42):
    """60 / 20 / 20 % of the recordings, stratified by label, whoever speaks -> Series.

    As the authors' program cuts.
    """
    split = pd.Series("train", table.index, name="split")
    _, rest = train_test_split(table.index, test_size=0.4, stratify=table["label"],
                               random_state=seed)
    validation, test = train_test_split(rest, test_size=0.5, stratify=table["label"][rest],
                                        random_state=seed)
    split[validation], split[test] = "validation", "test"
    return split


def split_by_participant(table, seed):
    """The same shares of the participants, stratified by label, with all their recordings."""
    people = table.groupby("participant")["label"].first().reset_index()
    split = split_by_file(people, seed).set_axis(people["participant"])
    return table["participant"].map(split).rename("split")


def audited(table, split):
    """How many test participants are in training or validation too, and how many in training."""
    where = {part: set(table["participant"][split == part]) for part in SPLITS}
    return (len(where["test"] & (where["train"] | where["validation"])),
            len(where["test"] & where["train"]))


def network(table, split, seed=0, epochs=60):
    """CFRAFN trained on the training recordings, all in one batch as released.

    Features are standardised on the training recordings, the epoch is chosen by the cross-entropy
    of the validation recordings. AdamW with the authors' learning rate and weight decay.

    Returns
    -------
    (recordings,) probabilities
    """
    train, validation = (torch.tensor((split == part).tolist()) for part in SPLITS[:2])
    inputs = [torch.as_tensor(StandardScaler().fit(x[train.numpy()]).transform(x),
                              dtype=torch.float32)
              for x in (np.stack(table["functionals"]), np.stack(table["spectrum"]))]
    y = torch.tensor(table["label"].tolist(), dtype=torch.float32)
    torch.manual_seed(seed)
    model = cfrafn.CFRAFN(egemaps_features=inputs[0].shape[1])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-4, weight_decay=2e-4)
    best, probabilities = np.inf, None
    for _ in range(epochs):
        model.train()
        optimiser.zero_grad()
        F.binary_cross_entropy_with_logits(model(*(x[train] for x in inputs)), y[train]).backward()
        optimiser.step()
        model.eval()
        with torch.inference_mode():
            logits = model(*inputs)
            loss = float(F.binary_cross_entropy_with_logits(logits[validation], y[validation]))
        if loss < best:
            best, probabilities = loss, torch.sigmoid(logits).numpy()
    return probabilities


def logistic(table, split):
    """Logistic regression on the functionals of the training recordings -> probabilities of all."""
    x, train = np.stack(table["functionals"]), (split == "train").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    return model.fit(x[train], table["label"][train]).predict_proba(x)[:, 1]


def compared(table, seed):
    """Network and baseline on one split by participant.

    Returns
    -------
    table name, value, low, high: test AUC; p of DeLong's test
    """
    split = split_by_participant(table, seed)
    rows, people = [], {}
    for name, scores in (("logistic regression", logistic(table, split)),
                         ("CFRAFN", network(table, split, seed))):
        tested = table.assign(y_true=table["label"], y_pred=scores)[(split == "test").to_numpy()]
        people[name] = report.probabilities_by_participant(tested)
        low, high = intervals.metric_intervals(people[name], resamples=1000)["roc_auc"]
        value = metrics.classification(people[name]["y_true"], people[name]["y_pred"])["roc_auc"]
        rows.append({"name": name, "value": value, "low": low, "high": high})
    base, ours = people.values()
    return pd.DataFrame(rows), auc.delong(ours["y_true"], ours["y_pred"], base["y_pred"])["p"]


def trainable(model):
    """How many numbers of a model training can change."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def ledger():
    """The rows of the claims ledger that this lesson is about: letter -> row."""
    by_id = {row["id"]: row for row in claims.load("CFRAFN")}
    return {letter: by_id[name] for letter, name in CASES.items()}


def check_count(answer):
    """As many as the published weights have: the first sign that this network and theirs are the
    same.
    """
    model = cfrafn.CFRAFN(**CHECKPOINT)
    stored = sum(v.numel() for v in model.state_dict().values())
    return learn.is_number(answer, "parameters") or learn.is_close(answer, trainable(model), [
        (trainable(cfrafn.CFRAFN()),
         "these are the widths of the released program; take those of the checkpoint."),
        (trainable(cfrafn.CFRAFN(**CHECKPOINT | {"classifier_width": 128})),
         "the classifier's width is still 128."),
        (stored, "that counts everything in the state dictionary: "
         "running means and variances are stored, not trained."),
        (stored - 88, "that counts running means and variances of batch norm too: "
         "they are stored, not trained."),
        (len(list(model.parameters())),
         "that is the number of tensors; add up how many numbers each holds (numel)."),
    ], "Build cfrafn.CFRAFN with the checkpoint's three widths and add up numel() over "
       "model.parameters().", tolerance=1e-9)


def check_kernel(answer):
    """Not one of them ever meets data: the sequence is one step long, and padding is zero."""
    narrow = trainable(cfrafn.CFRAFN(**CHECKPOINT))
    wide = trainable(cfrafn.CFRAFN(**CHECKPOINT, kernel_size=7)) - narrow
    return learn.is_number(answer, "parameters") or learn.is_close(answer, wide, [
        (-wide, "the sign is wrong: the wider kernel has more."),
        (wide + narrow,
         "that is the whole network with kernel 7; subtract the one with 3."),
        (trainable(cfrafn.CFRAFN(kernel_size=7)) - trainable(cfrafn.CFRAFN()),
         "right for the released program's widths; take those of the checkpoint."),
        (4 * 178 * 178, "that is the second convolution alone; "
         "the first, from 196 to 178 channels, grows too."),
        (4 * 178 * 196, "that is the first convolution alone; "
         "the second, from 178 to 178 channels, grows too."),
    ], "Count the network with kernel_size=7 and with kernel_size=3, and subtract.", tolerance=1e-9)


def _by_name(columns, importances):
    return [importances[name] for name in columns]


def check_weights(answer):
    """Each column has the importance of its own name, in whatever order the list comes."""
    names = ["pitch", "loudness", "jitter", "shimmer", "pauses"]
    listed = dict(zip(["pauses", "jitter", "pitch", "shimmer", "loudness"],
                      (0.4, 0.25, 0.2, 0.1, 0.05), strict=True))
    cases = [(names, listed), (names[::-1], listed), (names[:2], {"loudness": 0.7, "pitch": 0.3})]
    return learn.is_function(answer, cases, _by_name, [
        (lambda columns, importances: list(importances.values()),
         "this is the released mistake: "
         "the order of the list, whatever the columns are called. Look each up by name."),
        (lambda columns, importances: sorted(_by_name(columns, importances)),
         "the weights are sorted; keep the columns' order."),
        (lambda columns, importances: sorted(_by_name(columns, importances), reverse=True),
         "the weights are sorted; keep the columns' order."),
        (lambda columns, importances: list(importances), "these are names; return the numbers."),
    ], "Return one number a column, in the order of columns.")


def check_audit(answer):
    """These people train, or select, the model that is tested on them."""
    table = files()
    held_out = split_by_file(table) == "test"
    shared, only_train = audited(table, split_by_file(table))
    tested = table["participant"][held_out]
    return learn.is_number(answer, "participants") or learn.is_close(answer, shared, [
        (only_train, "those are shared with training; "
         "validation chooses the epoch, so its people count too."),
        (int(tested.isin(table["participant"][~held_out]).sum()),
         "that counts their recordings; count each person once."),
        (tested.nunique(), "those are all test participants; which of them are elsewhere too?"),
        (tested.nunique() - shared, "those are the ones who are in the test set only."),
        (len(tested), "that is the number of test recordings."),
    ], "Collect the participants of the test recordings and those of all other recordings, "
       "as sets, and intersect.", 1e-9)


def _possible(value, n, decimals):
    return round(round(value * n) / n, decimals) == value


def check_possible(answer):
    """A share of few people has few possible values, and a table that shows another did not count
    those people.
    """
    cases = [(0.9, 20, 2), (0.83, 24, 2), (0.897, 24, 3), (0.875, 24, 3), (0.667, 3, 3),
             (0.5, 7, 1), (0.91, 20, 2), (0.713, 2000, 3), (0.9, 19, 1), (0.33, 4, 2), (1.0, 12, 3)]
    return learn.is_function(answer, cases, _possible, [
        (lambda value, n, decimals: value * n == round(value * n),
         "it asks for value times n to be whole, but the table shows rounded values: "
         "20 of 24 is printed as 0.83."),
        (lambda value, n, decimals: abs(value * n - round(value * n)) < 1e-9,
         "it asks for value times n to be whole, but the table shows rounded values: "
         "20 of 24 is printed as 0.83."),
        (lambda value, n, decimals: round(round(value * n) / n, 2) == value,
         "it always rounds to two decimals."),
        (lambda value, n, decimals: round(int(value * n) / n, decimals) == value,
         "int cuts off: 0.83 of 24 is 19.9, and the nearest whole number is 20."),
        (lambda value, n, decimals: not _possible(value, n, decimals),
         "true and false are the wrong way round."),
    ], "Try the nearest whole number of people: does its share, rounded as in the table, "
       "give the value?")


# What may come out of something that nobody said.
NOBODY = ("not specified", "defect found", "matches their code")


def why_wrong(verdict, row):
    """What is wrong with a verdict on a row of the ledger, in half a sentence."""
    right, claimed = row["verdict"], row["said_by"] != "nobody"
    if not claimed and verdict not in NOBODY:
        return f"nobody said it, so it cannot be {verdict}"
    if claimed and verdict in ("defect found", "matches their code"):
        return f"somebody said it ({row['said_by']}), so that it is true, false or open"
    return WRONG.get((verdict, right)) or (
        f"what was done and found is not enough for {verdict}; look at the step on it again")


WRONG = {  # given, right -> why
    ("reproduced", claims.UNCHECKED): "what came out here came from simulated data; "
        "no number on real data is reproduced",
    ("contradicted", claims.UNCHECKED):
        "nothing in the files says otherwise, they only cannot show it",
    ("confirmed", claims.UNCHECKED): "no file shows it: neither recordings nor results are there",
    ("not specified", claims.UNCHECKED): "what is claimed is clear enough; "
        "it is the recordings that are missing",
    ("not specified", "contradicted"): "the files do say, and they say otherwise",
    (claims.UNCHECKED, "contradicted"): "no recording is needed for it: "
        "it can be read in the files or computed",
    ("reproduced", "contradicted"): "that something runs does not make the sentence about it true",
    ("confirmed", "contradicted"): "look at the intervals that you computed in step 4",
    ("contradicted", "confirmed"): "they do not fit the program of 9d15a26; "
        "ask with which version they were uploaded",
    ("reproduced", "confirmed"): "it was looked up and counted; "
        "nothing of the authors' training was run again",
    (claims.UNCHECKED, "confirmed"):
        "widths and counters stand in the file; no recording is needed",
    ("not specified", "confirmed"): "the files do say: version, widths and counters agree",
    ("defect found", "not specified"):
        "a split by file is no fault if everyone came once; whether they did is open",
    ("matches their code", "not specified"): "no numbers of ours stand beside theirs here",
    ("defect found", "matches their code"): "nothing is wrong with it: "
        "look at the difference that you computed",
    ("not specified", "matches their code"): "the code is there, and its numbers came out here",
    ("not specified", "defect found"): "the files do say what happens, and it is a fault",
    ("matches their code", "defect found"): "ours drops both rows, "
        "so it does not do what theirs does"}


def check_verdicts(answer):
    """The same verdicts, with tests and runs behind each, stand in the claims ledger."""
    words = ", ".join(repr(word) for word in claims.VERDICTS)
    if not isinstance(answer, dict) or set(answer) != set(CASES):
        return (f"expected a dictionary with the letters {', '.join(CASES)}, "
                f"and one of {words} for each.")
    wrong = []
    for letter, row in ledger().items():
        verdict = " ".join(str(answer[letter]).lower().split())
        if verdict not in claims.VERDICTS:
            return f"{letter} is {answer[letter]!r}; expected one of {words}."
        if verdict != row["verdict"]:
            wrong.append(f"{letter}: {why_wrong(verdict, row)}")
    return f"{len(wrong)} of {len(CASES)}: {'; '.join(wrong)}." if wrong else None


CHECKS = {1: check_count, 2: check_kernel, 3: check_weights, 4: check_audit, 5: check_possible,
          6: check_verdicts}
