"""License notices -> SPDX identifier, and -> what kind of license they name. Source: ScanCode LicenseDB (CC-BY-4.0), in the
PyPI package licensedcode-data 32.1.0.

A notice is a text as it stands in source files and READMEs. Held out by document; the notices of some license families
(the first word of the key: all of `cecill-*`) occur in the test only, as its group `unseen`.
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
KIND_SYSTEMS = [
    "What kind of license does the notice name? Answer permissive, weak copyleft, strong copyleft, proprietary or public domain.",
    "Sort the license: permissive, weak copyleft, strong copyleft, proprietary or public domain. Answer with one of them only.",
]
KIND_QUESTIONS = [
    "Is this license permissive, weak copyleft, strong copyleft, proprietary or public domain?\n\n{}",
    "{}\n\nPermissive, weak copyleft, strong copyleft, proprietary or public domain?",
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
COMMON = {"gpl", "lgpl", "agpl", "apache", "mit", "bsd", "cc", "mpl", "epl", "public", "proprietary", "commercial"}
LEAST_NOTICES = 5  # of a license in training, for its identifier to be asked
IDENTIFIERS = {"train": 1500, "eval": 70, "test": 200, "unseen": 50}
KINDS = {"train": {"permissive": 240, "weak copyleft": 240, "strong copyleft": 240, "proprietary": 120, "public domain": 160},
         "eval": dict.fromkeys(LABELS, 8), "test": dict.fromkeys(LABELS, 30)}
PER_LICENSE = {"train": 60, "eval": 5, "test": 15, "unseen": 5}
MOST_CHARS = 330


def documents():
    """-> ({key: fields} of the licenses, [(name, fields, text)] of the rules); fields are the flat head of a file."""
    licenses, rules = {}, []
    with zipfile.ZipFile(packages.fetch("licenses")) as wheel:
        for name in sorted(wheel.namelist()):
            kind = re.match(r"licensedcode/data/(licenses|rules)/(.+)\.(LICENSE|RULE)$", name)
            if kind:
                _, head, text = wheel.read(name).decode("utf-8").split("---", 2)
                fields = dict(re.findall(r"^(\w+):[ ]*(.*)$", head, re.M))
                if kind[1] == "licenses":
                    licenses[fields["key"]] = fields
                else:
                    rules.append((kind[2], fields, text.replace("{{", "").replace("}}", "")))
    return licenses, rules


def side(name, key):
    """Of a notice: its document's, or `unseen` where the family is held out."""
    family = re.match(r"[a-z]+|.", key)[0]
    if family not in COMMON and rows.share("licence " + family) < 0.2:
        return "unseen"
    value = rows.share("notice " + name)
    return "test" if value < 0.15 else "eval" if value < 0.2 else "train"


def notices(licenses, rules):
    """{part: {key: [text]}}"""
    found = {"train": {}, "eval": {}, "test": {}, "unseen": {}}
    for name, fields, text in rules:
        key = fields.get("license_expression", "")
        license_ = licenses.get(key)
        text = re.sub(r"[ \t]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()
        if (fields.get("is_license_notice") == "yes" and license_ is not None and "is_deprecated" not in license_
                and "language" not in fields and 40 <= len(text) <= MOST_CHARS and text.isascii() and len(text.split()) >= 6
                and key not in ("gpl-1.0-plus", "lgpl-2.0-plus")):  # these stand for "some version"
            found[side(name, key)].setdefault(key, []).append(text)
    return found


def pick(pools, count, seen, rng, part):
    """(license key, notice) of each license in turn, none like a text in `seen`, which gets those of the training part."""
    pools = [(key, rng.sample(pool, len(pool))) for key, pool in sorted(pools.items())]
    rng.shuffle(pools)
    limit = 0.8 if part == "train" else rows.SHARED
    picked, mine, per = [], rows.Seen(), {}
    while len(picked) < count and any(pool for _, pool in pools):
        for key, pool in pools:
            while pool and len(picked) < count:
                text = pool.pop()
                if seen.nearest(text) < limit and mine.nearest(text) < limit and per.get(key, 0) < PER_LICENSE[part]:
                    per[key] = per.get(key, 0) + 1
                    picked.append((key, text))
                    mine.add(text)
                    if part == "train":
                        seen.add(text)
                    break
    return picked


def asked(rng, systems, questions, text, system_share):
    if rng.random() < system_share:
        # the bare text will do when the system message says what is wanted
        return rng.choice(systems), text if rng.random() < 0.5 else rng.choice(questions).format(text)
    return None, rng.choice(questions).format(text)


def identifiers(part, licenses, pools, seen, rng, known):
    """SPDX identifiers; a notice that spells the identifier out would be no test."""
    spdx = {key: licenses[key].get("spdx_license_key", "LicenseRef-") for key in pools}
    told = {key: [t for t in pool if spdx[key] not in t] for key, pool in pools.items()
            if not spdx[key].startswith("LicenseRef-") and (key in known or part == "unseen")}
    for key, text in pick(told, IDENTIFIERS[part], seen, rng, part):
        system, user = asked(rng, IDENTIFIER_SYSTEMS, IDENTIFIER_QUESTIONS, text, 0.7 if part == "train" else 1.0)
        yield rows.row(system, user, spdx[key]), spdx[key], "contains", "unseen" if part == "unseen" else "identifier"


def kinds(part, licenses, pools, seen, rng):
    for label in LABELS:
        mine = {key: pool for key, pool in pools.items() if CATEGORIES.get(licenses[key].get("category")) == label}
        for _, text in pick(mine, KINDS[part][label], seen, rng, part):
            system, user = asked(rng, KIND_SYSTEMS, KIND_QUESTIONS, text, 0.7 if part == "train" else 1.0)
            yield rows.row(system, user, label), label, rows.first_of(LABELS), "kind"


def make():
    rng, seen, made = random.Random(7101), rows.Seen(), {}
    licenses, rules = documents()
    found = notices(licenses, rules)
    known = {key for key, pool in found["train"].items() if len(pool) >= LEAST_NOTICES}
    for part in ("train", "eval", "test", "unseen"):
        made[part] = list(identifiers(part, licenses, found[part], seen, rng, known))
        if part in KINDS:
            made[part] += kinds(part, licenses, found[part], seen, rng)
    made["test"] += made["unseen"]
    for part in made.values():
        rng.shuffle(part)
    return [r for r, *_ in made["train"]], [r for r, *_ in made["eval"]], [rows.test_row(*each) for each in made["test"]]
