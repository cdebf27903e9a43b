"""What a result depends on beside the code: the machine, the versions, and how busy others kept it. Linux only."""
import os
import pathlib
import platform
import re
import subprocess
import time

TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "hypervisor")


def processor():
    """The first processor's fields of /proc/cpuinfo."""
    text = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    return dict(re.findall(r"^(.+?)\s*:\s*(.*)$", text, re.MULTILINE))


def caches():
    """Level and size of processor 0's caches, as the kernel writes them."""
    found = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = (index / "type").read_text().strip()
        if kind != "Instruction":
            found["L" + (index / "level").read_text().strip()] = (index / "size").read_text().strip()
    return found


def describe():
    cpu = processor()
    memory_kib = int(re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
    flags = set(cpu.get("flags", cpu.get("Features", "")).split())
    return {"cpu": cpu.get("model name", platform.machine()), "cpu_family": cpu.get("cpu family"), "cpu_model": cpu.get("model"),
            "processors": os.cpu_count(), "usable_processors": len(os.sched_getaffinity(0)), "caches": caches(),
            "flags": [flag for flag in TELLING_FLAGS if flag in flags], "memory_gib": round(memory_kib / 2 ** 20, 1),
            "kernel": platform.release(), "python": platform.python_version()}


def slug(machine):
    """The processor as part of a file name."""
    words = re.sub(r"\(r\)|\(tm\)|cpu|processor|@.*", " ", machine["cpu"].lower())
    parts = re.findall(r"[a-z0-9]+", words)
    if machine["cpu_family"]:
        parts += [f"f{machine['cpu_family']}m{machine['cpu_model']}"]
    return "-".join([*parts, f"{machine['processors']}c"])


def commit(repository):
    """The commit that is checked out, with + if tracked files differ from it."""
    def git(*arguments):
        done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    head = git("rev-parse", "--short=12", "HEAD")
    return (head or "unknown") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")


def java_version():
    """Of the Java that the launcher takes."""
    home = os.environ.get("JAVA_HOME")
    java = os.path.join(home, "bin", "java") if home else "java"
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    except OSError:
        return "unknown"
    return said.splitlines()[1].strip() if said.count("\n") > 1 else said.strip()


class CpuTime:
    """Shares of all processors' time since it was made: busy, and stolen by the hypervisor for other machines."""

    def __init__(self):
        self._start = self._read()

    @staticmethod
    def _read():
        user, nice, system, idle, iowait, irq, softirq, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return user + nice + system + irq + softirq, idle + iowait, steal

    def shares(self):
        busy, idle, steal = (now - then for now, then in zip(self._read(), self._start))
        total = max(1, busy + idle + steal)
        return {"busy": round(busy / total, 3), "stolen": round(steal / total, 3)}


def busy_before(seconds=1.0):
    """The busy share of a moment in which nothing of ours runs."""
    cpu = CpuTime()
    time.sleep(seconds)
    return cpu.shares()["busy"]
