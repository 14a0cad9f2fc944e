"""What was reported: published results a corpus, beside a constant, from book/data/field.yaml.

python -m depnb.book.reports       book/data/field.yaml -> book/evidence/field.md

A chapter shows the rows that name its paper (`of_paper`); the page shows all of them.
"""

import html
import re
from functools import cache

import yaml
from IPython.display import HTML

from depnb.book import eaten
from depnb.files import located, write_atomically

DATA, PAGE = "book/data/field.yaml", "book/evidence/field.md"
KNOWN = {"own": "its own words", "files": "their files", "quoted": "as quoted by",
         "counted": "counted here"}
FIELDS = {"who", "paper", "cite", "modality", "numbers", "protocol", "known", "source", "by"}

INTRODUCTION = """\
<!-- Written by python -m depnb.book.reports from book/data/field.yaml:
edit that file, not this one. -->
(sec-field)=
# What the field reports

Published results on the corpora of this book, with the part they were measured on and, where it
is known, the protocol. In italics, before the results that are counted in the same way, stands
*what a constant or a trivial rule reaches on the same people*, where the labels were at hand: a
result has to be read against that, not against zero. No run of ours is on this page, and nothing
on it was measured on simulated data.

**How we know**, in the last line of each row. *Its own words*: abstract or text of the
publication, or the post or notes of the user who reports it. *Their files*: logs, tables or
README of the repository that is named. *As quoted by*: somebody else says that the publication
says so. *Counted here*: we counted or computed it, from public label tables, logs or prediction
files. A number whose protocol we could not see, or whose source nobody can look up, is left out,
so these tables are not complete. Numbers of other parts, other counts (people, recordings,
windows) or other scales cannot be compared."""


@cache
def corpora():
    """The entries of field.yaml -> list of dicts, checked.

    Raises
    ------
    ValueError
        In one sentence that names corpus and row: an unknown field or word, or no source.
    """
    entries = yaml.safe_load(located(DATA).read_text(encoding="utf-8"))["corpora"]
    for entry in entries:
        for row in entry["rows"]:
            if problem := fault(row, entry["numbers"]):
                raise ValueError(f"{DATA}, {entry['corpus']}, {row.get('who', 'without who')}: "
                                 f"{problem}.")
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
    for field in ("who", "modality", "protocol", "source", "by"):
        if part := eaten(row.get(field, ""), ("emphasis", "link")):
            return f"{field} holds {part!r}, which the page would change; put it in backticks"
    return None


def source(row):
    """How a number is known, in words."""
    colon = " " if row["known"] == "quoted" else ": "
    return f"{KNOWN[row['known']]}{colon}{row.get('by') or row['source']}"


def told(row):
    """The lines below the name of a row: from what, by which protocol, how we know."""
    return "; ".join([row["modality"], row["protocol"]][row["modality"] == "none":]), source(row)


def of_paper(paper):
    """What was reported of one paper, by whom and how we know, beside a constant: HTML table."""
    own = [(entry, row) for entry in corpora()
           for row in entry["rows"] if row.get("paper") == paper]
    measures = dict.fromkeys(name for entry, _ in own for name in entry["numbers"])
    measures = [name for name in measures if any(name in row["numbers"] for _, row in own)]
    parts = {entry["name"]: [] for entry, _ in own}
    for entry, row in own:
        parts[entry["name"]].append([(row["who"], *told(row)),
                                     *((row["numbers"].get(name, "–"),) for name in measures)])
    return html_table(["who", *measures], parts,
                      f"Reported by others, {'; '.join(parts)}. What is marked *counted here* was "
                      "computed from public files; no run of ours is in this table.")


def html_table(heads, parts, caption, kind="numbers"):
    """A table of texts in Markdown -> HTML.

    Parameters
    ----------
    heads : list of str
    parts : mapping title -> rows
        A row is a list of cells, a cell its text and the smaller lines below it. The title of a
        single part is not shown.
    caption : str
    kind : str
        What stands right of the first column: numbers or texts.
    """
    def cell(name, text, *below):
        lines = "".join(f"<br><small>{to_html(line)}</small>" for line in below if line)
        return f"<{name}>{to_html(text)}{lines}</{name.split()[0]}>"

    def row(first, *others):
        cells = [cell("th scope=row", *first), *(cell("td", *other) for other in others)]
        return f'<tr>{"".join(cells)}</tr>'

    lines = [f'<div class="told {kind}"><table><caption>{to_html(caption)}</caption>',
             f'<thead><tr>{"".join(cell("th scope=col", head) for head in heads)}</tr></thead>']
    for title, rows in parts.items():
        group = (f'<tr><th scope=rowgroup colspan={len(heads)}>{to_html(title)}</th></tr>'
                 if len(parts) > 1 else "")
        lines.append(f"<tbody>{group}{''.join(row(*cells) for cells in rows)}</tbody>")
    return HTML("\n".join([*lines, "</table></div>"]))


def to_html(text):
    """Emphasis, code and links of Markdown as HTML; citations go, for the row names who it is."""
    text = re.sub(r"\s*,?\s*\{cite:\w\}`[^`]*`", "", text)
    return "".join(f"<code>{html.escape(part[1:-1])}</code>" if part.startswith("`")
                   else marked(html.escape(part, False)) for part in re.split("(`[^`]*`)", text))


def marked(text):
    """Emphasis and links of Markdown without code as HTML."""
    text = re.sub(r"\[([^\]]+)\]\((\S+?)\)", r'<a href="\2">\1</a>', text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*([^*]+)\*", r"<i>\1</i>", text)


def page():
    """The page of the book, MyST Markdown: one table a corpus, then its known shortcuts."""
    parts = [INTRODUCTION]
    for entry in corpora():
        about = entry["about"][0].upper() + entry["about"][1:].rstrip(".")
        parts += [f"(sec-field-{entry['corpus'].replace('_', '-')})=\n## {entry['name']}",
                  f"{about}.", "\n".join(table(entry))]
        if entry["shortcuts"]:
            parts += ["**Known shortcuts**",
                      "\n".join(f"- {finding}" for finding in entry["shortcuts"])]
    return "\n\n".join(parts) + "\n"


def table(entry):
    """Lines of the table of one corpus; a measure that no row has is left out."""
    measures = [name for name in entry["numbers"]
                if any(name in row["numbers"] for row in entry["rows"])]
    yield "::::{container} told numbers"
    yield "| " + " | ".join(["who", *measures]) + " |"
    yield "|---|" + "--:|" * len(measures)
    for row in entry["rows"]:
        who = row["who"] + (f" {{cite:p}}`{row['cite']}`" if "cite" in row else "")
        below = "".join(f"<br><small>{line}</small>" for line in told(row))
        yield "| " + " | ".join([who + below,
                                 *(row["numbers"].get(name, "–") for name in measures)]) + " |"
    yield "::::"


def main():
    """Write the page."""
    write_atomically(located(PAGE), page())
    print(f"{PAGE}: "
          f"{len(corpora())} corpora, {sum(len(entry['rows']) for entry in corpora())} rows")


if __name__ == "__main__":
    main()
