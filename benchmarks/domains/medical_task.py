"""ICD-10-CM diagnoses -> the chapter they are filed under. Source: PyPI simple-icd-10-cm 1.5.0 (US government release).

A term is a code's title or one of its inclusion terms. Whole three-character categories are held out (E11 with all
its codes is in training or in the test, never in both).
"""
import random
import re
import xml.etree.ElementTree as ET
import zipfile

import packages
import rows

# chapter: (label as it is answered, stem by which an answer is recognised, block range)
CHAPTERS = {
    "1": ("infectious disease", "infect", "A00-B99"),
    "2": ("neoplasm", "neoplas", "C00-D49"),
    "3": ("blood and immune system", "blood", "D50-D89"),
    "4": ("endocrine and metabolic disease", "endocrin", "E00-E89"),
    "5": ("mental disorder", "mental", "F01-F99"),
    "6": ("nervous system", "nervous", "G00-G99"),
    "7": ("eye", "eye", "H00-H59"),
    "8": ("ear", r"ear\b", "H60-H95"),
    "9": ("circulatory system", "circulat", "I00-I99"),
    "10": ("respiratory system", "respirat", "J00-J99"),
    "11": ("digestive system", "digesti", "K00-K95"),
    "12": ("skin", "skin", "L00-L99"),
    "13": ("musculoskeletal system", "musculoskelet", "M00-M99"),
    "14": ("genitourinary system", "genitourin", "N00-N99"),
    "15": ("pregnancy and childbirth", "pregnan", "O00-O9A"),
    "16": ("newborn", "newborn", "P00-P96"),
    "17": ("congenital malformation", "congenit", "Q00-QA0"),
    "18": ("symptom or sign", "symptom", "R00-R99"),
    "19": ("injury or poisoning", "injur", "S00-T88"),
}
LABELS = ", ".join(label for label, _, _ in CHAPTERS.values())
SYSTEMS = [
    f"You sort diagnoses into the chapters of ICD-10-CM. The chapters: {LABELS}. Answer with one chapter.",
    f"Name the ICD-10-CM chapter of a diagnosis. Choose one of: {LABELS}.",
    f"Classify the diagnosis. Possible answers: {LABELS}. Answer with one of them only.",
]
QUESTIONS = [
    "Which ICD-10-CM chapter does \"{}\" belong to?",
    "{}",
    "Diagnosis: {}. Chapter?",
    "Where in ICD-10-CM is {} filed?",
    "Sort this diagnosis: {}",
    "The record says: {}. Which chapter is that?",
]
TRAIN_PER_CHAPTER, TEST_PER_CHAPTER, EVAL_PER_CHAPTER = 130, 18, 8


def lower_first(term):
    return term[0].lower() + term[1:] if len(term) > 1 and term[1].islower() else term


def terms():
    """(term, category, chapter) of every title and inclusion term that is short enough."""
    with zipfile.ZipFile(packages.fetch("icd")) as wheel:
        root = ET.fromstring(wheel.read("simple_icd_10_cm/data/icd10c-tabular-April-1-2026.xml"))
    for chapter in root.iter("chapter"):
        if chapter.findtext("name") in CHAPTERS:
            for category in chapter.findall("section/diag"):
                for diag in category.iter("diag"):
                    for term in [diag.findtext("desc")] + [n.text for n in diag.findall("inclusionTerm/note")]:
                        term = re.sub(r"\s+", " ", term or "").strip()
                        if 4 <= len(term) <= 90 and term.isascii():
                            yield term, category.findtext("name"), chapter.findtext("name")


def question(term, rng, system_share):
    system = rng.choice(SYSTEMS) if rng.random() < system_share else None
    # without a system message the user has to say what is wanted
    template = rng.choice(QUESTIONS) if system else rng.choice([q for q in QUESTIONS if "ICD" in q])
    return system, template.format(lower_first(term))


def make():
    rng, parts = random.Random(7102), {"train": [], "eval": [], "test": []}
    by = {}
    chapters_of = {}
    for term, category, chapter in terms():
        chapters_of.setdefault(term.lower(), set()).add(chapter)
        value = rows.share("icd " + category)
        part = "test" if value < 0.2 else "eval" if value < 0.25 else "train"
        by.setdefault((chapter, part), {}).setdefault(category, []).append(term)
    seen = rows.Seen()
    sizes = {"train": TRAIN_PER_CHAPTER, "eval": EVAL_PER_CHAPTER, "test": TEST_PER_CHAPTER}
    for part, per_chapter in sizes.items():
        for chapter, (label, _, block) in CHAPTERS.items():
            pools = [list(dict.fromkeys(t)) for _, t in sorted(by.get((chapter, part), {}).items())]
            for pool in pools:
                rng.shuffle(pool)
            picked, taken = [], set()
            while len(picked) < per_chapter and any(pools):  # one term of each category in turn
                for pool in pools:
                    while pool and len(picked) < per_chapter:
                        term = pool.pop()
                        if len(chapters_of[term.lower()]) == 1 and term.lower() not in taken and (
                                seen.nearest(term) < (rows.SHARED if part != "train" else 0.99)):
                            taken.add(term.lower())
                            picked.append(term)
                            break
            for term in picked:
                if part == "train":
                    seen.add(term)
                system, user = question(term, rng, 0.6 if part == "train" else 1.0)
                parts[part].append((rows.row(system, user, f"{label} ({block})"), chapter))
    for part in parts.values():
        rng.shuffle(part)
    scorer = rows.first_of([stem for _, stem, _ in CHAPTERS.values()])
    test = [rows.test_row(r, CHAPTERS[c][1].replace(r"\b", ""), scorer) for r, c in parts["test"]]
    return [r for r, _ in parts["train"]], [r for r, _ in parts["eval"]], test
