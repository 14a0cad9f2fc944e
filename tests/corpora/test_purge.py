"""Whatever was derived from a corpus goes, and nothing else."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from depnb import corpora, files, runs
from depnb.corpora import privacy, purge
from depnb.features import store
from depnb.files import ENTRY, content_hash


def first_bytes(path):
    """An extractor."""
    return {"values": np.frombuffer(path.read_bytes()[:100], np.uint8)}


first_bytes.version = 1


def a_run(folder, corpus=None, **parameters):
    """A finished run as far as files go."""
    run = runs.Run.start("cfrafn", {"data_root": "auto", "run_dir": str(folder), "resume": True,
                                    "seed": 0} | parameters)
    if corpus:
        run.use(corpus)
    run.save("predictions.csv", "session\n")
    run.save("metrics.json", "{}")
    (run.folder / "figures/a.png").write_bytes(b"a")
    return run.folder


@pytest.fixture
def two(voices, tmp_path, monkeypatch):
    """Two licensed corpora with features, a run each, and the repository's runs: (cache, {name:
    (root, run)}).
    """
    monkeypatch.setattr(files, "repository", lambda: tmp_path / "repository")
    made = {}
    for number, name in enumerate(("mine", "other")):
        root = shutil.copytree(voices, tmp_path / name)
        (root / privacy.MARKER).unlink()
        for path in root.glob("*/*.wav"):
            path.write_bytes(path.read_bytes() + bytes([number, 0]))
        corpus = corpora.open("speech_folder", root, tmp_path / "cache")
        store.extract(corpus.files(), first_bytes, tmp_path / "cache", workers=1)
        made[name] = root, a_run(tmp_path / f"results/{name}", corpus, data_root=str(root))
    return tmp_path / "cache", made


def state(folder):
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def test_all_of_one_corpus_goes_and_nothing_of_another(two, tmp_path, capsys):
    cache, made = two
    (root, run), (other, others_run) = made.values()
    entries = set((cache / "first_bytes").iterdir())
    before = state(root) | state(other) | state(others_run)
    purge.main([str(root), "--cache", str(cache)])
    told = capsys.readouterr().out
    assert not run.exists()
    assert str(run) in told
    assert "were removed. The corpus and the key of pseudonyms" in told
    left = set((cache / "first_bytes").iterdir())
    assert len(left) == len(entries) / 2
    assert {json.loads((e / ENTRY).read_text())["source"] for e in left} == {
        content_hash(p) for p in other.glob("*/*.wav")}
    hashes = {note.read_text() for note in (cache / "hashes").iterdir()}
    assert not hashes & {content_hash(p) for p in root.glob("*/*.wav")}
    assert state(root) | state(other) | state(others_run) == before
    assert (cache / privacy.KEY).exists()
    assert purge.purge(root, cache) == ([], ["Nothing is left that was derived from this folder, "
                                             f"as far as the cache knows. It knows {other}."])


def test_a_second_purge_finds_nothing(two, capsys, monkeypatch):
    """What a purge hashes it does not remember: there would be notes to remove."""
    cache, made = two
    root, _ = made["mine"]
    for note in (cache / "hashes").iterdir():
        note.unlink()
    for expected in (r"[1-9]\d* files and folders were removed",
                     "Nothing is left that was derived from this folder"):
        monkeypatch.setattr(files, "_known", {})
        purge.main([str(root), "--cache", str(cache)])
        told = capsys.readouterr().out
        assert re.search(expected, told)
        assert f"{cache / 'hashes'}/" not in told
    assert "0 files and folders were removed" in told


def test_a_corpus_that_is_gone_leaves_nothing_behind(two):
    cache, made = two
    for root, run in made.values():
        shutil.rmtree(root)
        purge.purge(root, cache)
        assert not run.exists()
    assert {p.name for p in cache.rglob("*") if p.is_file()} == {privacy.KEY, "pseudonyms.lock"}


def test_a_folder_above_the_corpora_takes_all(two, tmp_path):
    cache, made = two
    purge.purge(tmp_path, cache)
    assert not any(run.exists() for _, run in made.values())
    assert all(root.exists() for root, _ in made.values())


def test_runs_moved_aside_and_runs_that_only_name_the_folder_go_too(two, tmp_path):
    cache, made = two
    root, run = made["mine"]
    aside = shutil.copytree(run, run.with_name("mine.replaced-1"))
    named = a_run(tmp_path / "repository/runs/cfrafn/x", data_root=str(root))
    asked = a_run(tmp_path / "repository/runs/predict/y", input=str(root / "voices_0"))
    plain = a_run(tmp_path / "repository/runs/cfrafn/z")
    other = a_run(tmp_path / "repository/runs/cfrafn/w", data_root=str(root) + "_more")
    purge.purge(root, cache)
    assert not any(folder.exists() for folder in (aside, named, asked))
    assert plain.exists()
    assert other.exists()


def test_what_a_run_did_not_write_stays_and_is_named(two, tmp_path, capsys):
    cache, made = two
    root, run = made["mine"]
    (run / "thesis.tex").write_text("years of work")
    (run / "figures/mine.png.txt").write_text("notes")
    torn = cache / "first_bytes/.part-x"
    torn.mkdir()
    purge.main([str(root), "--cache", str(cache)])
    assert sorted(p.name for p in run.rglob("*")) == ["figures", "mine.png.txt", "thesis.tex"]
    told = capsys.readouterr().out
    assert f"{run / 'thesis.tex'}: was not written by a run." in told
    assert f"{torn}: does not tell what it was made of" in told
    assert torn.exists()


def test_what_another_folder_needs_too_stays(voices, tmp_path):
    """Equal files give one entry: it is of both corpora."""
    cache = tmp_path / "cache"
    for name in ("mine", "copy"):
        root = shutil.copytree(voices, tmp_path / name)
        (root / privacy.MARKER).unlink()
        corpus = corpora.open("speech_folder", root, cache)
        corpus.remember()
        store.extract(corpus.files(), first_bytes, cache, workers=1)
    entries = set((cache / "first_bytes").iterdir())
    _, left = purge.purge(tmp_path / "mine", cache)
    assert set((cache / "first_bytes").iterdir()) == entries
    assert re.match(r"\d+ files lie in another folder too", left[0])
    purge.purge(tmp_path / "copy", cache)
    assert not list((cache / "first_bytes").iterdir())


def test_a_purge_that_was_stopped_goes_on(two, monkeypatch):
    cache, made = two
    root, run = made["mine"]
    unlink, count = Path.unlink, iter(range(100))

    def stopped(path, **options):
        if next(count) == 4:
            raise OSError(30, "Read-only file system")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", stopped)
    with pytest.raises(SystemExit, match="found again when you run this again"):
        purge.main([str(root), "--cache", str(cache)])
    monkeypatch.undo()
    assert run.exists()
    assert (run / "params.yaml").exists()
    monkeypatch.setattr(files, "repository", lambda: run.parent.parent / "repository")
    purge.purge(root, cache)
    assert not run.exists()


def test_a_run_folder_that_lost_its_parameters_is_named(two):
    cache, made = two
    root, run = made["mine"]
    for name in ("params.yaml", "provenance.json"):
        (run / name).unlink()
    _, left = purge.purge(root, cache)
    assert (f"{run}: "
            "has neither params.yaml nor provenance.json, so that it may be no run's." in left)
    assert (run / "predictions.csv").exists()


def test_torn_notes_and_unreadable_files_stop_nothing(two):
    cache, made = two
    root, run = made["mine"]
    torn = cache / privacy.REGISTRY / "0123.json"
    torn.write_text("{")
    lost = next(root.glob("*/*.wav"))
    lost.unlink()
    lost.symlink_to("nowhere/anna.wav")
    gone, left = purge.purge(root, cache)
    assert run in gone
    assert any(str(torn) in sentence for sentence in left)
    assert not any(lost.name in sentence for sentence in left)


def test_what_commands_wrote_of_names_goes_too(two):
    cache, made = two
    (cache / "private.log").write_text("anna.wav\tis empty")
    purge.purge(made["mine"][0], cache)
    assert not (cache / "private.log").exists()


def test_dry_only_tells(two):
    cache, made = two
    root, run = made["mine"]
    before = state(cache), state(run)
    gone, _ = purge.purge(root, cache, dry=True)
    assert run in gone
    assert (state(cache), state(run)) == before


def test_without_a_cache(tmp_path):
    with pytest.raises(SystemExit,
                       match=r"no such folder\. Give the cache_dir of your runs with --cache\.$"):
        purge.main([str(tmp_path), "--cache", str(tmp_path / "no")])


@pytest.mark.parametrize("content", [
    b"[]", b"3", b'{"root": 3, "contents": [], "outputs": []}',
    b'{"root": "/x", "contents": 5, "outputs": []}',
    b'{"root": "/x", "contents": [[1]], "outputs": []}',
    b'{"root": "/x", "contents": [], "outputs": ["."]}',
    b'{"root": "/x", "contents": [], "outputs": {"a": 1}}', b"\xff\xfe", b"[" * 100_000, None])
def test_a_note_of_any_shape_is_listed(two, content):
    cache, made = two
    root, run = made["mine"]
    torn, note = cache / privacy.REGISTRY / "0123.json", cache / "hashes/0123"
    for path in (torn, note):
        path.mkdir() if content is None else path.write_bytes(content)
    gone, left = purge.purge(root, cache)
    assert run in gone
    for path in (torn, note):
        assert any(sentence.startswith(f"{path}: cannot be read") for sentence in left)
        assert path.exists()


def test_a_damaged_note_of_the_folder_itself_is_named(two):
    cache, made = two
    root, run = made["mine"]
    note = next(n for n in (cache / privacy.REGISTRY).glob("*.json")
                if json.loads(n.read_text())["root"] == str(root))
    note.write_text("[]")
    with pytest.raises(
        ValueError,
        match=r"json: cannot be read; it says what was derived from .*remove this file\."):
        privacy.derived_from(cache, root, outputs=[run])


def test_a_folder_that_is_no_cache_is_refused(two, tmp_path):
    made = two[1]
    (tmp_path / "music/a/b").mkdir(parents=True)
    with pytest.raises(SystemExit, match=r"music: is no cache of depnb .* with --cache\.$"):
        purge.main([str(made["mine"][0]), "--cache", str(tmp_path / "music")])
    assert (tmp_path / "music/a/b").exists()


@pytest.mark.parametrize("root", ["/", "~", "~/..", "", " "])
def test_more_than_a_corpus_is_refused(two, root, tmp_path, monkeypatch):
    cache, _ = two
    monkeypatch.setenv("HOME", str(tmp_path))
    before = state(tmp_path)
    with pytest.raises(SystemExit, match=r"Give the folder of the corpus"):
        purge.main([root.replace("~", str(tmp_path)), "--cache", str(cache)])
    assert state(tmp_path) == before


def test_parameters_of_any_shape_are_read(tmp_path, two):
    cache, _ = two
    file = tmp_path / "repository/runs/cfrafn/odd/params.yaml"
    file.parent.mkdir(parents=True)
    for content in ({}, {"data_root": None}, {"data_root": 3, "input": ["a"]}):
        file.write_text(yaml.safe_dump(content))
        purge.purge(tmp_path / "nowhere", cache)
    assert file.exists()
