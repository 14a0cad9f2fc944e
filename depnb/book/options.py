"""The authors' commands and options beside ours, from params/<paper>/commands.yaml.

A row has theirs (option, configuration entry or promised feature), where (file), ours (parameter or
command; "none" where there is none) and note (how they differ, or why there is none).
"""

import yaml

from depnb.book import eaten, reports
from depnb.files import located

FIELDS = ("theirs", "where", "ours", "note")


def load(paper):
    """Rows of one paper: list of dicts.

    Raises
    ------
    ValueError
        A row is faulty; in one sentence.
    """
    path = f"params/{paper}/commands.yaml"
    rows = yaml.safe_load(located(path).read_text(encoding="utf-8"))
    for number, row in enumerate(rows, 1):
        if set(row) != set(FIELDS):
            raise ValueError(f"{path}, row {number}: "
                             f"expected the fields {', '.join(FIELDS)}, got {', '.join(row)}.")
        if not (row["theirs"] and row["where"] and row["ours"]):
            raise ValueError(f"{path}, row {number}: theirs, where and ours may not be empty.")
        if row["ours"].startswith("none") and not row["note"]:
            raise ValueError(f"{path}, row {number} ({row['theirs']}): "
                             "say in note why there is none.")
        for field in FIELDS:
            if part := eaten(row[field]):
                raise ValueError(f"{path}, row {number}: {field} holds {part!r}, "
                                 "which the page would change; put it in backticks.")
    return rows


def of_paper(paper):
    """The authors' options, with their file, beside ours, with how they differ: HTML table."""
    rows = [[(row["theirs"], row["where"]), (row["ours"], row["note"])] for row in load(paper)]
    return reports.html_table(["the authors', and where", "ours, or why there is none"], {"": rows},
                              "The authors' commands and options beside ours.", "texts")
