"""Licence texts and notices -> category, and -> SPDX identifier. Source: ScanCode LicenseDB (CC-BY-4.0), in the PyPI
package licensedcode-data 32.1.0.

category    a passage of a licence's text -> permissive, weak copyleft, strong copyleft, proprietary, public domain.
            Held out by licence family (the first word of the licence's key: all of `cecill-*` on one side).
identifier  a notice as it stands in source files -> the SPDX identifier. Held out by document; families that are held
            out for `category` occur in the test only, so part of the test asks for licences never seen in training.
"""
import random
import re
import zipfile

import packages
import rows

CATEGORIES = {
    "Permissive": "permissive",
    "Copyleft Limited": "weak copyleft",
    "Copyleft": "strong copyleft",
    "Proprietary Free": "proprietary",
    "Commercial": "proprietary",
    "Free Restricted": "proprietary",
    "Source-available": "proprietary",
    "Public Domain": "public domain",
}
LABELS = ["permissive", "weak copyleft", "strong copyleft", "proprietary", "public domain"]
CATEGORY_SYSTEMS = [
    "You sort license texts. Answer with one of: permissive, weak copyleft, strong copyleft, proprietary, public domain.",
    "What kind of license is the text from? Answer permissive, weak copyleft, strong copyleft, proprietary or public domain.",
    "Classify the license passage as permissive, weak copyleft, strong copyleft, proprietary or public domain. Answer with "
    "the class only.",
]
CATEGORY_QUESTIONS = [
    "What kind of license contains this?\n\n{}",
    "{}\n\nIs this license permissive, weak copyleft, strong copyleft, proprietary or public domain?",
    "Category of this license text:\n\n{}",
]
IDENTIFIER_SYSTEMS = [
    "You read license notices. Answer with the SPDX identifier of the license and nothing else.",
    "Which license does the notice name? Answer with its SPDX identifier only.",
]
IDENTIFIER_QUESTIONS = [
    "Which license is this? Give its SPDX identifier.\n\n{}",
    "SPDX identifier of the license in this notice:\n\n{}",
    "A source file begins like this. What is its SPDX license identifier?\n\n{}",
]
FORCE_TRAIN = {"gpl", "lgpl", "agpl", "apache", "mit", "bsd", "cc", "mpl", "epl", "public", "proprietary", "commercial"}
TRAIN = {"permissive": 300, "weak copyleft": 220, "strong copyleft": 150, "proprietary": 300, "public domain": 110}
TEST = {"permissive": 45, "weak copyleft": 45, "strong copyleft": 40, "proprietary": 45, "public domain": 25}
EVAL = {"permissive": 15, "weak copyleft": 15, "strong copyleft": 10, "proprietary": 15, "public domain": 5}
IDENTIFIERS = {"train": 1100, "eval": 60, "test": 200}
PER_LICENSE = {"train": 45, "eval": 4, "test": 10}


def documents():
    """-> ({key: fields}, [(name, fields, text)] of licences, the same of rules); fields are the flat head of the file."""
    licences, texts, rules = {}, [], []
    with zipfile.ZipFile(packages.fetch("licenses")) as wheel:
        for name in sorted(wheel.namelist()):
            kind = re.match(r"licensedcode/data/(licenses|rules)/(.+)\.(LICENSE|RULE)$", name)
            if kind:
                _, head, text = wheel.read(name).decode("utf-8").split("---", 2)
                fields = dict(re.findall(r"^(\w+):[ ]*(.*)$", head, re.M))
                fields["deprecated"] = "is_deprecated" in fields
                text = text.replace("{{", "").replace("}}", "")
                if kind[1] == "licenses":
                    licences[fields["key"]] = fields
                    texts.append((kind[2], fields, text))
                else:
                    rules.append((kind[2], fields, text))
    return licences, texts, rules


def family(key):
    return re.match(r"[a-z]+|.", key)[0]


def part_of(key):
    name = family(key)
    value = rows.share("licence " + name)
    return "train" if name in FORCE_TRAIN else "test" if value < 0.25 else "eval" if value < 0.31 else "train"


def passages(text):
    """Pieces of 45 to 85 words that begin at a sentence or a line."""
    text = re.sub(r"[ \t]*\n[ \t]*\n\s*", "\n", re.sub(r"[ \t]*[-=*_#]{3,}[ \t]*", "", text))
    pieces, current = [], []
    for sentence in re.split(r"(?<=[.;:])\s+", re.sub(r"\s+", " ", text).strip()):
        words = sentence.split()
        if current and len(current) + len(words) > 85:
            pieces.append(current)
            current = []
        current = current + words[:85]
    return [" ".join(p) for p in pieces + [current] if 45 <= len(p) <= 85 and " ".join(p).isascii()]


SAYS_NOTHING = re.compile(r"as.is|warrant|liab|damages|merchantab", re.I)
SAYS_MUCH = re.compile(r"redistribut|copy|copies|modif|distribut|derivative|sublicens|source|permission|reverse|public domain|"
                       r"grant|transfer|commercial", re.I)


def telling(piece):
    """A passage that is more about rights than about warranties."""
    return len(SAYS_MUCH.findall(piece)) > 1.5 * len(SAYS_NOTHING.findall(piece)) + 1


def category_candidates(licences, texts, rules):
    """{(label, part): {licence: [passage]}}"""
    found = {}
    whole = [(f["key"], f, t) for _, f, t in texts] + [
        (f["license_expression"], licences.get(f["license_expression"]), t) for _, f, t in rules
        if f.get("is_license_text") == "yes" and " " not in f.get("license_expression", " ")]
    for key, fields, text in whole:
        label = CATEGORIES.get((fields or {}).get("category"))
        if label and not fields["deprecated"] and "language" not in fields:
            for piece in filter(telling, passages(text)):
                found.setdefault((label, part_of(key)), {}).setdefault(key, []).append(piece)
    return found


def pick(pools, count, seen, rng, keep, limit):
    """One passage of each licence in turn, none like a text in `seen`; adds them there if `keep`."""
    pools = [rng.sample(pool, len(pool)) for _, pool in sorted(pools.items())]
    rng.shuffle(pools)
    picked, mine = [], rows.Seen()
    while len(picked) < count and any(pools):
        for pool in pools:
            while pool and len(picked) < count:
                text = pool.pop()
                if seen.nearest(text) < limit and mine.nearest(text) < limit:
                    picked.append(text)
                    mine.add(text)
                    if keep:
                        seen.add(text)
                    break
    return picked


def notices(licences, rules):
    """{part: {licence: [(text)]}}; the part of a notice is its document's, or the test where the family is held out."""
    found = {"train": {}, "eval": {}, "test": {}}
    for name, fields, text in rules:
        key = fields.get("license_expression", "")
        licence = licences.get(key)
        text = re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()
        if (fields.get("is_license_notice") != "yes" or licence is None or licence["deprecated"] or "language" in fields
                or not 40 <= len(text) <= 420 or not text.isascii() or key in ("gpl-1.0-plus", "lgpl-2.0-plus")):
            continue
        spdx = licence.get("spdx_license_key", "LicenseRef-")
        if spdx.startswith("LicenseRef-") or spdx in text or len(text.split()) < 6:
            continue
        value = rows.share("notice " + name)
        part = part_of(key) if part_of(key) != "train" else "test" if value < 0.15 else "eval" if value < 0.2 else "train"
        found[part].setdefault(key, []).append(text)
    return found


def asked(rng, systems, questions, text, system_share):
    if rng.random() < system_share:
        # the bare text will do when the system message says what is wanted
        return rng.choice(systems), text if rng.random() < 0.5 else rng.choice(questions).format(text)
    return None, rng.choice([q for q in questions if "SPDX" in q or "permissive" in q]).format(text)


def make():
    rng = random.Random(7101)
    licences, texts, rules = documents()
    candidates, named = category_candidates(licences, texts, rules), notices(licences, rules)
    parts, seen = {"train": [], "eval": [], "test": []}, rows.Seen()
    for part, counts in (("train", TRAIN), ("eval", EVAL), ("test", TEST)):
        system_share = 0.7 if part == "train" else 1.0
        for label in LABELS:
            limit = 0.8 if part == "train" else rows.SHARED
            for text in pick(candidates.get((label, part), {}), counts[label], seen, rng, part == "train", limit):
                system, user = asked(rng, CATEGORY_SYSTEMS, CATEGORY_QUESTIONS, text, system_share)
                parts[part].append((rows.row(system, user, label), label, rows.first_of(LABELS), "category"))
        pools = {k: rng.sample(v, min(len(v), PER_LICENSE[part])) for k, v in sorted(named[part].items())}
        spdx_of = {t: licences[k]["spdx_license_key"] for k, v in pools.items() for t in v}
        for text in pick(pools, IDENTIFIERS[part], seen, rng, part == "train", 0.8 if part == "train" else rows.SHARED):
            system, user = asked(rng, IDENTIFIER_SYSTEMS, IDENTIFIER_QUESTIONS, text, system_share)
            parts[part].append((rows.row(system, user, spdx_of[text]), spdx_of[text], "contains", "identifier"))
    for part in parts.values():
        rng.shuffle(part)
    return [r for r, *_ in parts["train"]], [r for r, *_ in parts["eval"]], [rows.test_row(*each) for each in parts["test"]]
