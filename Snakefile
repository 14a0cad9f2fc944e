# params -> executed notebooks and run folders -> book. Nothing that is up to date runs again.
#   snakemake --cores 2 book                   the quick profile   snakemake --cores 2 runs/sta_drn/k-4/metrics.json   one run
#   snakemake --cores 2 --config profile=full -- book              with all ablations, more seeds and repetitions: hours
#   snakemake --executor slurm --jobs 8 book   on a cluster, with snakemake-executor-plugin-slurm
# A run is started anew when its parameters, its share of the library or the notebook's computing cells change (params: code;
# a share is the shared rooms and the paper's own files: see depnb.runs.origin). A chapter or
# page of evidence makes its own run: without metrics.json it goes on where the same code left it, and starts anew otherwise.
import argparse
import json
from pathlib import Path

import yaml

from depnb import runs
from depnb.corpora.simulated import effect_text
from depnb.papers.cards import cards

PAPERS = list(cards())
EVIDENCE = ["comparison", "null_corpus", "robustness", "explanations"]
LESSONS = [path.stem for path in sorted(Path("notebooks/learn").glob("*.ipynb"))]
PROFILE = config.get("profile", "quick")        # quick: one run a paper; what else there is to run says so on its page
if PROFILE not in ("quick", "full"):
    raise ValueError(f"profile {PROFILE!r}: choose quick or full.")
TABLES = {paper: yaml.safe_load(Path(f"params/{paper}/ablations.yaml").read_text()) for paper in PAPERS}
EVIDENCE_VALUES = yaml.safe_load(Path(f"params/evidence/{PROFILE}.yaml").read_text())
LEDGER = [*(f"params/{paper}/claims.yaml" for paper in PAPERS), "book/data/sources.yaml"]
# Quiet notebooks; processes share the cores, so that waiting threads must not spin.
QUIET = "TQDM_DISABLE=1 OMP_WAIT_POLICY=PASSIVE PYDEVD_DISABLE_FILE_VALIDATION=1"


def parameters(wildcards):
    """Overrides of a run, as YAML for papermill."""
    few = {"explain_videos": 1} if "explain_videos" in quick(wildcards.paper) else {}
    return json.dumps(TABLES[wildcards.paper]["runs"][wildcards.name]["parameters"] | few | {
        "run_dir": f"runs/{wildcards.paper}/{wildcards.name}"})


def quick(paper):
    return yaml.safe_load(Path(f"params/{paper}/{TABLES[paper]['base']}").read_text())


def corpus_of(wildcards):
    """Marker of the extracted features of the corpus that a run reads; of the corpus, where it holds features itself."""
    p = quick(wildcards.paper) | TABLES[wildcards.paper]["runs"][wildcards.name]["parameters"]
    name = f"{p['corpus']}-{p['simulated_participants']}-effect{effect_text(p['simulated_effect'])}-seed{p['simulated_seed']}"
    if p["corpus"] in ("dvlog", "lmvd"):
        return f"data/simulated/{name}/SIMULATED.json"
    extracted = (f"interviews-step{p['frame_step']}-{p['windows']}" if "windows" in p else
                 f"step{p['frame_step']}-size{p['image_size']}" if "image_size" in p else f"silence-{p['silence']}")
    return f"logs/features/{name}-{extracted}"


wildcard_constraints:
    paper="|".join(PAPERS), page="|".join(EVIDENCE), lesson="|".join(LESSONS), name="[a-z0-9-]+", layout="[a-z0-9_]+",
    participants=r"\d+", last="real_data|provenance", effect=r"[\d.]+|literature", seed=r"\d+", silence="[a-z]+", windows="[a-z_]+",


rule book:
    input:
        notebooks=expand("book/_executed/{page}.ipynb", page=[*PAPERS, *EVIDENCE, "real_data", "provenance"]),
        lessons=expand("book/_executed/learn/{lesson}.ipynb", lesson=LESSONS),
        pages=[str(p) for p in sorted(Path("book").rglob("*")) if p.is_file() and "_executed" not in p.parts
               and "__pycache__" not in p.parts],
        config=["_config.yml", "_toc.yml", "README.md"],
        code=[str(p) for p in sorted(Path("depnb").rglob("*.py"))],
        benchmarks=[str(p) for p in sorted(Path("benchmarks/results").glob("*.csv"))],
    output: "_build/html/index.html"
    log: "logs/book.txt"
    shell:
        "(NO_COLOR=1 jupyter-book build . -W -n --keep-going && touch {output}) > {log} 2>&1 "
        # all is read again then: a page that is not would not warn a second time
        "|| {{ rm -rf _build/.doctrees; grep -E 'WARNING|ERROR|Error' {log}; exit 1; }}"


rule corpus:
    output: "data/simulated/{layout}-{participants}-effect{effect}-seed{seed}/SIMULATED.json"
    log: "logs/corpora/{layout}-{participants}-effect{effect}-seed{seed}.txt"
    priority: 1
    threads: workflow.cores or 1
    shell:
        "rm -rf $(dirname {output}) && python -m depnb.simulation {wildcards.layout} --root $(dirname {output}) "
        "--participants {wildcards.participants} --effect {wildcards.effect} --seed {wildcards.seed} "
        "--workers {threads} > {log} 2>&1 || {{ tail -n 5 {log}; exit 1; }}"


rule features:
    input: "data/simulated/{layout}-{participants}-effect{effect}-seed{seed}/SIMULATED.json"
    output: touch("logs/features/{layout}-{participants}-effect{effect}-seed{seed}-step{step}-size{size}")
    log: "logs/features/{layout}-{participants}-effect{effect}-seed{seed}-step{step}-size{size}.txt"
    priority: 1
    threads: workflow.cores or 1
    shell:
        "python -m depnb.features $(dirname {input}) --cache cache --frame-step {wildcards.step} --size {wildcards.size} "
        "--workers {threads} > {log} 2>&1 || {{ tail -n 5 {log}; exit 1; }}"


rule speech_features:
    input: "data/simulated/{layout}-{participants}-effect{effect}-seed{seed}/SIMULATED.json"
    output: touch("logs/features/{layout}-{participants}-effect{effect}-seed{seed}-silence-{silence}")
    log: "logs/features/{layout}-{participants}-effect{effect}-seed{seed}-silence-{silence}.txt"
    priority: 1
    threads: workflow.cores or 1
    shell:
        "python -m depnb.features $(dirname {input}) --cache cache --modality audio --silence {wildcards.silence} "
        "--workers {threads} > {log} 2>&1 || {{ tail -n 5 {log}; exit 1; }}"


rule interview_features:
    input: "data/simulated/{layout}-{participants}-effect{effect}-seed{seed}/SIMULATED.json"
    output: touch("logs/features/{layout}-{participants}-effect{effect}-seed{seed}-interviews-step{step}-{windows}")
    log: "logs/features/{layout}-{participants}-effect{effect}-seed{seed}-interviews-step{step}-{windows}.txt"
    priority: 1
    threads: workflow.cores or 1
    shell:
        "python -m depnb.features $(dirname {input}) --cache cache --modality interview --step {wildcards.step} "
        "--windows {wildcards.windows} --workers {threads} > {log} 2>&1 || {{ tail -n 5 {log}; exit 1; }}"


rule run:
    input:
        corpus_of,
        base=lambda w: f"params/{w.paper}/{TABLES[w.paper]['base']}",
    output: "runs/{paper}/{name}/metrics.json"
    log: notebook="logs/{paper}/{name}.ipynb", text="logs/{paper}/{name}.txt"
    params: overrides=parameters, code=lambda w: runs.code_fingerprint(w.paper)
    shell:
        QUIET + " OMP_NUM_THREADS={threads} papermill -k python3 --no-progress-bar notebooks/{wildcards.paper}.ipynb "
        "{log.notebook} -f {input.base} -y '{params.overrides}' > {log.text} 2>&1 || {{ tail -n 5 {log.text}; exit 1; }}"


def beforehand(wildcards):
    """What stands before a chapter: features of its own run, which it makes itself; in the full profile all other runs."""
    own = argparse.Namespace(paper=wildcards.paper, name="quick")
    others = [f"runs/{own.paper}/{name}/metrics.json" for name in TABLES[own.paper]["runs"] if name != "quick"]
    return [corpus_of(own), *(others if PROFILE == "full" else [])]


rule notebook:
    input:
        beforehand,
        notebook="notebooks/{paper}.ipynb",
        table="params/{paper}/ablations.yaml",
        told=lambda w: ["book/data/field.yaml", *map(str, Path(f"params/{w.paper}").glob("commands.yaml"))],
        base=lambda w: f"params/{w.paper}/{TABLES[w.paper]['base']}",
    output: "book/_executed/{paper}.ipynb"
    log: notebook="logs/{paper}.ipynb", text="logs/{paper}.txt"
    params: code=lambda w: runs.code_fingerprint(w.paper, everything=True)
    priority: 1                 # before the evidence, so that the four chapters share the cores
    shell:
        "rm -f runs/{wildcards.paper}/quick/metrics.json; " +
        QUIET + " OMP_NUM_THREADS={threads} papermill -k python3 --no-progress-bar {input.notebook} {log.notebook} "
        "-f {input.base} -p run_dir runs/{wildcards.paper}/quick > {log.text} 2>&1 && cp {log.notebook} {output} "
        "|| {{ tail -n 5 {log.text}; exit 1; }}"


def sources(wildcards):
    """What a page of evidence reads: robustness and explanations the trainings of the comparison, these also the chapters;
    the null corpus draws the first page's figure, with what the ledger counts."""
    return {"comparison": [], "null_corpus": LEDGER, "robustness": ["book/_executed/comparison.ipynb"],
            "explanations": ["book/_executed/comparison.ipynb", *expand("book/_executed/{paper}.ipynb", paper=PAPERS)],
            }[wildcards.page]


rule evidence:
    input:
        sources,
        "params/evidence/departures.yaml",
        [f"params/{paper}/quick.yaml" for paper in PAPERS],
        notebook="notebooks/evidence/{page}.ipynb",
        values=f"params/evidence/{PROFILE}.yaml",
    output: "book/_executed/{page}.ipynb"
    log: notebook="logs/{page}.ipynb", text="logs/{page}.txt"
    params:
        code=lambda w: runs.code_fingerprint(w.page, everything=True),
        values=lambda w: json.dumps(EVIDENCE_VALUES[w.page]),
    threads: workflow.cores or 1
    shell:
        "rm -f runs/{wildcards.page}/{PROFILE}/metrics.json; " +
        QUIET + " papermill -k python3 --no-progress-bar {input.notebook} {log.notebook} -y '{params.values}' "
        "-p workers {threads} > {log.text} 2>&1 && cp {log.notebook} {output} || {{ tail -n 5 {log.text}; exit 1; }}"


rule lesson:
    input:
        lambda w: ["params/cfrafn/claims.yaml", "tests/golden/cfrafn_a.npz"] if w.lesson == "reproduce" else [],
        notebook="notebooks/learn/{lesson}.ipynb",
    output: "book/_executed/learn/{lesson}.ipynb"
    log: notebook="logs/learn/{lesson}.ipynb", text="logs/learn/{lesson}.txt"
    params: code=lambda w: runs.code_fingerprint(f"learn/{w.lesson}", everything=True)
    shell:
        QUIET + " OMP_NUM_THREADS={threads} papermill -k python3 --no-progress-bar {input.notebook} {log.notebook} "
        "> {log.text} 2>&1 && cp {log.notebook} {output} || {{ tail -n 5 {log.text}; exit 1; }}"


rule last:
    input:
        lambda w: [] if w.last == "real_data" else [
            *expand("book/_executed/{page}.ipynb", page=[*PAPERS, *EVIDENCE, "real_data"]),
            *expand("book/_executed/learn/{lesson}.ipynb", lesson=LESSONS)],
        notebook="notebooks/evidence/{last}.ipynb",
    output: "book/_executed/{last}.ipynb"
    log: notebook="logs/{last}.ipynb", text="logs/{last}.txt"
    params:
        code=lambda w: runs.code_fingerprint(w.last, everything=True),
        found=sorted(map(str, Path("runs").glob("*/*/SHA256SUMS"))),
    shell:
        QUIET + " papermill -k python3 --no-progress-bar {input.notebook} {log.notebook} > {log.text} 2>&1 "
        "&& cp {log.notebook} {output} || {{ tail -n 5 {log.text}; exit 1; }}"
