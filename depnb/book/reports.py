"""What was reported: published results a corpus, beside a constant, from book/data/field.yaml.

python -m depnb.book.reports       book/data/field.yaml -> book/evidence/field.md

A chapter shows the rows that name its paper (`of_paper`); the page shows all of them.
"""

import re
from functools import cache

import pandas as pd
import yaml

from depnb import runs

DATA, PAGE = "book/data/field.yaml", "book/evidence/field.md"
KNOWN = {"own": "its own words", "files": "the authors' files", "quoted": "as quoted by",
         "counted": "counted here"}
FIELDS = {"who", "paper", "cite", "modality", "numbers", "protocol", "known", "source", "by"}

INTRODUCTION = """\
<!-- Written by python -m depnb.book.reports from book/data/field.yaml: edit that file, not this one. -->
(sec-field)=
# What the field reports

Published results on the corpora of this book, with the part they were measured on and, where it is
known, the protocol. First in each table stands *what a constant or a trivial rule reaches on the
same people*: a result has to be read against that, not against zero. None of these numbers is ours;
nothing on this page was measured on simulated data.

**How we know.** *Its own words*: abstract or text of the publication, or the post or notes of the
user who reports it. *The authors' files*: logs and
tables in their repository. *As quoted by*: somebody else says that the publication says so.
*Counted here*: from public label tables, logs or prediction files. A number whose protocol we could
not see, or whose source nobody can look up, is left out, so these tables are not complete. Numbers of
other parts, other counts (people, recordings, windows) or other scales cannot be compared."""


@cache
def corpora():
    """The entries of field.yaml -> list of dicts, checked.

    Raises
    ------
    ValueError
        In one sentence that names corpus and row: an unknown field or word, or no source.
    """
    entries = yaml.safe_load(runs.path(DATA).read_text(encoding="utf-8"))["corpora"]
    for entry in entries:
        for row in entry["rows"]:
            if problem := fault(row, entry["numbers"]):
                raise ValueError(f"{DATA}, {entry['corpus']}, {row.get('who', 'without who')}: {problem}.")
    return entries


def fault(row, numbers):
    """What is wrong with a row of results, or None. numbers: the measures that the corpus lists."""
    if unknown := set(row) - FIELDS:
        return f"unknown field {min(unknown)!r}; a row has {', '.join(sorted(FIELDS))}"
    if missing := {"who", "modality", "numbers", "protocol", "known"} - set(row):
        return f"{min(missing)} is missing"
    if row["known"] not in KNOWN:
        return f"known {row['known']!r}; choose one of {', '.join(KNOWN)}"
    if not row.get("by" if row["known"] == "quoted" else "source"):
        return "it has no source (of a quoted number: by, who quotes it and where)"
    if unknown := set(row["numbers"]) - set(numbers):
        return f"the corpus lists no {min(unknown)!r}; its numbers are {', '.join(numbers)}"
    return None


def source(row):
    """How a number is known, in words."""
    return f"{KNOWN[row['known']]}{' ' if row['known'] == 'quoted' else ': '}{row.get('by') or row['source']}"


def of_paper(paper):
    """What was reported of one paper, by whom and how we know, beside a constant -> styled table."""
    rows, measures = [], []
    for entry in corpora():
        for row in entry["rows"]:
            if row.get("paper") == paper:
                measures += [name for name in entry["numbers"] if name in row["numbers"] and name not in measures]
                rows.append({"who": row["who"], "on": entry["name"], **row["numbers"],
                             "protocol": row["protocol"], "how we know": source(row)})
    table = pd.DataFrame(rows)[["who", "on", *measures, "protocol", "how we know"]].fillna("–")
    table = table.map(to_html)
    return (table.style.hide(axis="index").set_properties(**{"text-align": "left", "white-space": "normal"})
            .set_caption("Reported by others, not computed here; constants on the same part."))


def to_html(text):
    """Emphasis, code and links of Markdown as HTML; citations go, because the row names who it is."""
    text = re.sub(r"\s*,?\s*\{cite:\w\}`[^`]*`", "", text).replace("…]", "]")
    text = re.sub(r"\[([^\]]+)\]\((\S+?)\)", r'<a href="\2">\1</a>', text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    text = re.sub(r"(?<!\*)\*([^*]+)\*(?!\*)", r"<i>\1</i>", text)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def page():
    """The page of the book, MyST Markdown: one table a corpus, then its known shortcuts."""
    parts = [INTRODUCTION]
    for entry in corpora():
        about = entry["about"][0].upper() + entry["about"][1:].rstrip(".")
        parts += [f"(sec-field-{entry['corpus'].replace('_', '-')})=\n## {entry['name']}", f"{about}.",
                  "\n".join(table(entry))]
        if entry["shortcuts"]:
            parts += ["**Known shortcuts**", "\n".join(f"- {finding}" for finding in entry["shortcuts"])]
    return "\n\n".join(parts) + "\n"


def table(entry):
    """Lines of the table of one corpus; a measure that no row has is left out."""
    measures = [name for name in entry["numbers"] if any(name in row["numbers"] for row in entry["rows"])]
    yield "| " + " | ".join(["who", "modality", *measures, "protocol", "how we know"]) + " |"
    yield "|---|---|" + "--:|" * len(measures) + "---|---|"
    for row in entry["rows"]:
        who = row["who"] + (f" {{cite:p}}`{row['cite']}`" if "cite" in row else "")
        numbers = [row["numbers"].get(name, "–") for name in measures]
        yield "| " + " | ".join([who, row["modality"], *numbers, row["protocol"], source(row)]) + " |"


def main():
    runs.write_atomically(runs.path(PAGE), page())
    print(f"{PAGE}: {len(corpora())} corpora, {sum(len(entry['rows']) for entry in corpora())} rows")


if __name__ == "__main__":
    main()
