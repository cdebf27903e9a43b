"""Cuts small documented functions out of the running interpreter's standard library into code-stdlib.jsonl.

  python benchmarks/golden/make_code_data.py          (made with CPython 3.11.7; the library is PSF-2.0)

A function qualifies when it is public, at the top level of a module, 2 to 15 lines long without its docstring, uses no
names but its own, builtins and modules that it could import, and its docstring's first sentence says what it does.
That sentence becomes the question and leaves the source; the imports it needs go in front.
"""
import ast
import builtins
import json
import pathlib
import platform
import re
import sys
import sysconfig

SKIP = {"test", "idlelib", "lib2to3", "site-packages", "turtledemo", "ensurepip", "distutils", "tkinter", "pydoc_data",
        "encodings", "__pycache__", "msilib"}
OUT = pathlib.Path(__file__).resolve().parent / "code-stdlib.jsonl"


def first_sentence(doc):
    head = " ".join(doc.strip().split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.])\s", head)[0].rstrip(".")
    return sentence


def free_names(function):
    """Names that the function reads but neither binds nor finds among the builtins."""
    used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {a.arg for a in ast.walk(function) if isinstance(a, ast.arg)}
    bound |= {h.name for h in ast.walk(function) if isinstance(h, ast.ExceptHandler)}
    bound |= {n.name for n in ast.walk(function) if isinstance(n, ast.FunctionDef)}
    return used - bound - set(dir(builtins))


def rows_of(path, module):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        doc = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
        if not doc or node.name.startswith("_") or node.decorator_list or len(node.body) < 2:
            continue
        task = first_sentence(doc)
        bare = ast.FunctionDef(name=node.name, args=node.args, body=node.body[1:], decorator_list=[], returns=node.returns,
                               lineno=node.lineno)
        needs = sorted(free_names(bare))
        if any(n.startswith("_") or n not in sys.stdlib_module_names for n in needs):
            continue
        source = ast.unparse(ast.fix_missing_locations(bare))
        lines = source.count("\n") + 1
        if 2 <= lines <= 15 and 20 <= len(task) <= 120 and task[0].isalpha() and len(source) <= 520 and task.isascii():
            yield {"module": module, "question": f"Write a Python function {node.name}. {task}.",
                   "source": "".join(f"import {n}\n" for n in needs) + ("\n" if needs else "") + source}


def main():
    root = pathlib.Path(sysconfig.get_paths()["stdlib"])
    rows, seen = [], set()
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if SKIP.intersection(relative.parts) or relative.parts[0].startswith("config-") or relative.name.startswith("_sysconfig"):
            continue
        for row in rows_of(path, ".".join(relative.with_suffix("").parts)):
            if row["source"] not in seen:
                seen.add(row["source"])
                rows.append(row)
    with open(OUT, "w", encoding="utf-8") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    print(f"{len(rows)} functions from CPython {platform.python_version()}, {OUT.stat().st_size} bytes -> {OUT.name}")


if __name__ == "__main__":
    main()
