"""A Python function -> the import statements it needs. Source: CPython's own standard library and its tests (PSF-2.0),
read from the running interpreter (3.11.7 made the committed files).

A function qualifies when every name it reads and does not bind is a builtin or comes from an absolute import of a public
standard library module at the top of its file. Held out by file. Scored by running: the answer's import statements are
executed, then every dotted name that the function reads through an import must be the same object as with the file's own
imports.
"""
import ast
import builtins
import pathlib
import random
import sys
import sysconfig

import rows

SKIP = {"idlelib", "lib2to3", "site-packages", "turtledemo", "ensurepip", "tkinter", "pydoc_data", "encodings",
        "__pycache__", "msilib", "distutils", "crashers", "data", "support", "libregrtest"}
LEFT_OUT = {"test", "distutils", "lib2to3", "idlelib", "tkinter", "msilib", "winreg", "_winapi", "msvcrt", "imp", "asyncore",
            "asynchat", "smtpd", "turtle", "nt", "ntpath", "this", "antigravity"}
SYSTEMS = [
    "You are given a Python function. Answer with the import statements it needs, one per line, and nothing else.",
    "Write the imports that the function needs to run: only import statements from the Python standard library.",
    "Which import statements are missing above this Python code? Answer with them only.",
]
QUESTIONS = [
    "```python\n{}\n```",
    "Which imports does this function need?\n\n```python\n{}\n```",
    "Add the missing imports:\n\n{}",
    "{}\n\nWhat must be imported?",
]
ALONE = [
    "Which import statements does this Python function need? Answer with the imports only.\n\n```python\n{}\n```",
    "Write only the missing import lines for this Python code:\n\n{}",
]
COUNTS = {"train": 2300, "eval": 120, "test": 300}
PER_FILE = {"train": 26, "eval": 6, "test": 8}
PER_ANSWER = {"train": 70, "eval": 8, "test": 12}


def imports_of(tree):
    """{bound name: (statement, module, name or None)} of the absolute imports at the top of a file."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for a in node.names:
                if a.asname is None:
                    found.setdefault(a.name.split(".")[0], (a.name, None))
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for a in node.names:
                if a.asname is None:
                    found.setdefault(a.name, (node.module, a.name))
    return found


def free_names(function):
    names = [n for n in ast.walk(function) if isinstance(n, ast.Name)]
    bound = {n.id for n in names if not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in ast.walk(function) if isinstance(n, ast.arg)}
    bound |= {n.name for n in ast.walk(function) if isinstance(n, (ast.ExceptHandler, ast.FunctionDef, ast.ClassDef))}
    return {n.id for n in names} - bound - set(dir(builtins)) - {"__file__", "__name__"}


def chains(function, names):
    """Dotted names that start at one of `names`: os.path.join; the longest of each place."""
    found, inner = set(), set()
    for node in ast.walk(function):
        parts, at = [], node
        while isinstance(at, ast.Attribute):
            parts.append(at.attr)
            at = at.value
        if isinstance(at, ast.Name) and at.id in names and id(node) not in inner:
            found.add(".".join([at.id] + parts[::-1]))
            while isinstance(node, ast.Attribute):
                node = node.value
                inner.add(id(node))
    return sorted(found)


def statements(needed):
    """The canonical answer: plain imports, then from-imports, each sorted."""
    plain = sorted({module for module, name in needed if name is None})
    grouped = {}
    for module, name in needed:
        if name is not None:
            grouped.setdefault(module, set()).add(name)
    return "\n".join([f"import {m}" for m in plain] +
                     [f"from {m} import {', '.join(sorted(names))}" for m, names in sorted(grouped.items())])


def resolvable(answer, dotted):
    """The dotted names that exist once `answer` is executed (some exist on other systems only)."""
    space = {}
    try:
        exec(answer, space)  # the standard library's own imports
    except ImportError:
        return []
    good = []
    for chain in dotted:
        try:
            eval(chain, space)
            good.append(chain)
        except AttributeError:
            pass
    return good


def functions(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            if ast.get_docstring(node):
                node.body = node.body[1:]
            node.decorator_list = []
            if node.body and not any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in ast.walk(node)):
                yield node


def examples():
    """(file, source, canonical answer, dotted names)"""
    root = pathlib.Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIP & set(relative.parts) or relative.parts[0].startswith(("config-", "_sysconfig")) or "bad" in relative.name:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue
        known = imports_of(tree)
        for function in functions(tree):
            free = free_names(function)
            needed = [known[n] for n in free if n in known]
            source = ast.unparse(function)
            if (not free or len(needed) != len(free) or not 2 <= source.count("\n") <= 9 or len(source) > 330
                    or not source.isascii() or len(free) > 3):
                continue
            if any(m.split(".")[0] in LEFT_OUT or m.startswith("_") or "._" in m or m.split(".")[0] not in
                   sys.stdlib_module_names or (n or "").startswith("_") or ".test" in m for m, n in needed):
                continue
            answer = statements(needed)
            dotted = chains(function, free)
            if dotted and resolvable(answer, dotted) == dotted:
                yield relative.as_posix(), source, answer, dotted


def scorer(answer, dotted):
    """Runs the import statements of the model's text, whatever else it says; fails unless they bind what the function reads."""
    return {"type": "python", "prefix": "answer = r'''", "test": (
        "'''\nhave, want = {}, {}\n"
        "for line in answer.splitlines():\n"
        "    if line.strip().startswith(('import ', 'from ')):\n"
        "        try:\n            exec(line.strip(), have)\n        except (ImportError, SyntaxError):\n            pass\n"
        f"exec({answer!r}, want)\n"
        f"for name in {dotted!r}:\n    assert eval(name, have) == eval(name, want), name\n")}


def make():
    rng, parts, seen = random.Random(7103), {}, rows.Seen()
    pools = {"train": [], "eval": [], "test": []}
    for file, source, answer, dotted in examples():
        value = rows.share("file " + file)
        pools["test" if value < 0.2 else "eval" if value < 0.26 else "train"].append((file, source, answer, dotted))
    for part in ("train", "eval", "test"):
        limit = 0.7 if part == "train" else rows.SHARED
        rng.shuffle(pools[part])
        picked, per_file, per_answer = [], {}, {}
        for file, source, answer, dotted in pools[part]:
            if (len(picked) < COUNTS[part] and per_file.get(file, 0) < PER_FILE[part]
                    and per_answer.get(answer, 0) < PER_ANSWER[part] and seen.nearest(source) < limit):
                per_file[file], per_answer[answer] = per_file.get(file, 0) + 1, per_answer.get(answer, 0) + 1
                seen.add(source)
                alone = part == "train" and rng.random() < 0.3
                system, user = (None, rng.choice(ALONE)) if alone else (rng.choice(SYSTEMS), rng.choice(QUESTIONS))
                picked.append((rows.row(system, user.format(source), answer), answer, dotted))
        parts[part] = picked
    test = [rows.test_row(r, answer, scorer(answer, dotted)) for r, answer, dotted in parts["test"]]
    return [r for r, _, _ in parts["train"]], [r for r, _, _ in parts["eval"]], test
