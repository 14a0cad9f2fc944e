"""The book as a PDF."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup

from depnb.book import pdf
from tests.paths import ROOT


@pytest.fixture(scope="module")
def printed(request, tmp_path_factory):
    """The PDF of the small book, and the folder of its pages."""
    if pdf.chromium() is None:
        pytest.skip("no Chromium: "
                    "install it (apt-get install chromium), or name one in DEPNB_CHROMIUM")
    built = request.getfixturevalue("built")        # only now: it takes minutes
    source = built.parent.parent
    command = [Path(sys.executable).with_name("jupyter-book"), "build", ".", "-W", "-n",
               "--keep-going"]
    done = subprocess.run([*command, "--builder", "singlehtml"], cwd=source,
                          capture_output=True, text=True)
    assert done.returncode == 0, "\n".join(re.findall(r".*(?:WARNING|ERROR|Error).*",
                                                      done.stdout + done.stderr))
    path = tmp_path_factory.mktemp("printed") / "book.pdf"
    pdf.pdf(source / "_build/singlehtml", path)
    return path.read_bytes(), built


@pytest.mark.slow
def test_pdf_has_a_bookmark_for_every_chapter(printed):
    content, built = printed
    bookmarks = {squeezed(title(string))
                 for string in re.findall(rb"/Title (\(.*?[^\\]\)|<[0-9A-F]+>)", content)}
    listed = [c["file"] for part in yaml.safe_load((ROOT / "_toc.yml").read_text())["parts"]
              for c in part["chapters"]]
    for file in ["book/index", *listed]:
        heading = BeautifulSoup((built / f"{file}.html").read_text(),
                                "html.parser").select_one("article h1")
        heading.select_one(".headerlink").extract()
        assert squeezed(heading.get_text()) in bookmarks, file


@pytest.mark.slow
def test_pdf_has_every_picture(printed):
    content, built = printed
    pages = [BeautifulSoup(p.read_text(), "html.parser") for p in built.glob("book/**/*.html")]
    pictures = {img["src"].rsplit("/", 1)[-1] for page in pages
                for img in page.select("article img[src*=_images]")}
    assert len(pictures) > 30
    assert content.count(b"/Subtype /Image") >= len(pictures)


@pytest.mark.slow
def test_pdf_names_no_file_of_this_machine(printed):
    assert b"file:" not in printed[0]
    assert str(ROOT).encode() not in printed[0]


@pytest.mark.skipif(pdf.chromium() is None, reason="no Chromium")
def test_a_small_page_is_printed_with_its_bookmark_and_without_a_file_of_this_machine(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book/index.html").write_text(
        '<article><h1>A book</h1><details><summary>More</summary>folded</details>'
        '<p><a href="other.html">beside</a></p></article>')
    pdf.pdf(tmp_path, tmp_path / "book.pdf")
    content = (tmp_path / "book.pdf").read_bytes()
    strings = re.findall(rb"/Title (\(.*?[^\\]\)|<[0-9A-F]+>)", content)
    assert "Abook" in {squeezed(title(string)) for string in strings}
    assert b"file:" not in content


@pytest.mark.parametrize("chromium", ["/somewhere/chromium", ""])
def test_what_is_missing_is_named(tmp_path, monkeypatch, chromium):
    monkeypatch.setenv("DEPNB_CHROMIUM", chromium)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no book/index\.html; build it with jupyter-book"):
        pdf.pdf(tmp_path, tmp_path / "book.pdf")
    (tmp_path / "book").mkdir()
    (tmp_path / "book/index.html").write_text("<h1>A book</h1>")
    with pytest.raises(RuntimeError, match="DEPNB_CHROMIUM"):
        pdf.pdf(tmp_path, tmp_path / "book.pdf")
    assert not (tmp_path / "book.pdf").exists()


def title(string):
    """Text of a PDF string: (bytes) or <hexadecimal UTF-16>."""
    if string.startswith(b"<"):
        return bytes.fromhex(string[1:-1].decode()).decode("utf-16")
    return re.sub(rb"\\(.)", rb"\1", string[1:-1]).decode("latin-1")


def squeezed(text):
    """Without blanks, which Chromium loses where a heading wraps."""
    return re.sub(r"\s", "", text)
