"""The servers under measurement: how each is started, asked for an adapter, read for memory, and ended.

All get the same base, the same adapters, the same number of threads, and listen on 127.0.0.1 only.
"""
import http.client
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import time

HOST = "127.0.0.1"
SLOTS = 16  # the largest concurrency measured
SLOT_TOKENS = 1024  # prompt and output of one request; llama-server divides its context among the slots
START_LIMIT_S = 900  # the launcher may build first
END_LIMIT_S = 30


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


class Server:
    """A server process between `with` and its end. `options` is the command without paths, for the results file."""

    name = health_path = None
    start_limit_s = START_LIMIT_S
    environment = {}
    own_session = False  # of a server whose own processes must end with it

    def __init__(self, command, log):
        self.ready_s = None
        self.port = free_port()
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self.log_file = log
        self._process = None

    def __enter__(self):
        with open(self.log_file, "wb") as log:
            begun = time.monotonic()
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                             env={**os.environ, **self.environment}, start_new_session=self.own_session)
        try:
            self._await_health()
        except BaseException:
            self.__exit__()
            raise
        self.ready_s = round(time.monotonic() - begun, 1)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self.own_session:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # they ended by themselves

    def _await_health(self):
        deadline = time.monotonic() + self.start_limit_s
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if self.get(self.health_path)[0] == 200:
                    return
            except OSError:
                pass  # the port is not open yet
            time.sleep(0.1)
        ended = self._process.poll()
        state = f"ended with code {ended}" if ended is not None else f"was not ready after {self.start_limit_s} s"
        raise RuntimeError(f"{self.name} {state}; its log is {self.log_file} and ends with:\n{self.log()[-1500:]}")

    def get(self, path):
        return self._exchange("GET", path, None)

    def post(self, path, body):
        return self._exchange("POST", path, json.dumps(body))

    def _exchange(self, method, path, body):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def log(self):
        return pathlib.Path(self.log_file).read_text(errors="replace")

    def peak_rss_mib(self):
        return sum(peak_rss_mib(pid) for pid in self.processes())

    def processes(self):
        """Ids of what serves; the peaks of several are added."""
        return [self._process.pid]

    def adapter_fields(self, adapter):
        """What a request for this adapter (counted from 0, None: the base) has to say."""
        raise NotImplementedError

    def facts(self):
        """Name, options and what the running server says of itself."""
        return {"name": self.name, "options": [without_folder(part) for part in self._command[1:]], "ready_s": self.ready_s}


def peak_rss_mib(pid):
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    peak = re.search(r"VmHWM:\s*(\d+) kB", status)
    return round(int(peak[1]) / 1024, 1) if peak else 0.0  # a process that has just ended has none


def without_folder(part):
    """The results file shows what was chosen, not where things lie on one machine."""
    return ",".join(piece.rsplit("/", 1)[-1] for piece in part.split(","))


class Chorale(Server):
    name, health_path = "chorale", "/health"

    def __init__(self, setup, log):
        state = setup.work / "state"
        super().__init__(
            [*shlex.split(setup.serve_command), "serve", "--model", str(setup.model), "--host", HOST, "--port", "{port}",
             "--threads", str(setup.threads), "--adapter-root", str(setup.adapters / "peft"), "--state-dir", str(state)], log)
        self.base = None

    def __enter__(self):
        super().__enter__()
        self.base = json.loads(self.get("/health")[1])["model"]
        return self

    def adapter_fields(self, adapter):
        return {"model": self.base if adapter is None else f"lora{adapter + 1}"}

    def facts(self):
        health = json.loads(self.get("/health")[1])
        logged = re.findall(r"\bkernels=(\S+)", self.log())
        return {**super().facts(), "kernels": health.get("kernels") or (logged[-1] if logged else "unknown")}


class LlamaCpp(Server):
    name, health_path = "llama.cpp", "/health"

    def __init__(self, setup, log):
        adapters = ",".join(str(setup.adapters / "gguf" / f"lora{n}.gguf") for n in range(1, 9))
        threads = str(setup.threads)
        super().__init__(
            [str(setup.llama_server), "-m", str(setup.model), "--host", HOST, "--port", "{port}", "-t", threads, "-tb", threads,
             "-np", str(SLOTS), "-c", str(SLOTS * SLOT_TOKENS), "--cache-ram", "0", "--no-webui", "--alias", "base",
             "--lora", adapters, "--lora-init-without-apply"], log)

    def adapter_fields(self, adapter):
        # Without "lora", and with an empty list, llama-server applies every adapter at scale 1.
        chosen = {"id": 0, "scale": 0.0} if adapter is None else {"id": adapter, "scale": 1.0}
        return {"model": "base", "lora": [chosen]}

    def facts(self):
        build = json.loads(self.get("/props")[1]).get("build_info", "unknown")
        return {**super().facts(), "build": build}


class Vllm(Server):
    """vLLM on the CPU, compiled (its default), bfloat16. VLLM_PYTHON names a Python that has it, VLLM_MODEL the base as a
    Hugging Face folder with the GGUF's weights, dequantized: it reads no Q4_1. The first start compiles, minutes long; what it
    compiled stays in the folder `vllm-compiled` of the cache."""

    name, health_path = "vllm", "/health"
    start_limit_s = 1800
    own_session = True
    kv_gib = 2

    def __init__(self, setup, log):
        python, folder = given_vllm()
        adapters = [f"lora{n}={setup.adapters / 'peft' / f'lora{n}'}" for n in range(1, 9)]
        cores = sorted(os.sched_getaffinity(0))[:setup.threads]
        self.environment = {
            "VLLM_CPU_KVCACHE_SPACE": str(self.kv_gib), "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, cores)),
            "VLLM_CACHE_ROOT": str(setup.work.parent / "vllm-compiled"), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "TORCHINDUCTOR_CACHE_DIR": str(setup.work.parent / "vllm-compiled" / "inductor"),
            "PATH": f"{python.parent}:{os.environ.get('PATH', '')}"}  # its compiler tools
        super().__init__(
            [str(python), "-m", "vllm.entrypoints.cli.main", "serve", str(folder), "--served-model-name", "base", "--host", HOST,
             "--port", "{port}", "--dtype", "bfloat16", "--max-model-len", str(SLOT_TOKENS), "--max-num-seqs", str(SLOTS),
             "--enable-lora", "--max-loras", "8", "--max-lora-rank", "16", "--max-logprobs", "10", "--lora-modules", *adapters], log)

    def processes(self):
        """vLLM's engine is a child of its HTTP server."""
        own = []
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                session = int(stat.read_text().rsplit(")", 1)[1].split()[3])
            except OSError:
                continue
            if session == self._process.pid:
                own.append(int(stat.parent.name))
        return own

    def adapter_fields(self, adapter):
        return {"model": "base" if adapter is None else f"lora{adapter + 1}"}

    def facts(self):
        version = json.loads(self.get("/version")[1])["version"]
        return {**super().facts(), "version": version, "compiled": True, "dtype": "bfloat16"}


def given_vllm():
    """Python and model folder of vLLM; None if VLLM_PYTHON is not set."""
    python, folder = os.environ.get("VLLM_PYTHON"), os.environ.get("VLLM_MODEL")
    if not python:
        return None
    if not os.access(python, os.X_OK):
        raise RuntimeError(f"VLLM_PYTHON is '{python}', wanted an executable Python that has vLLM")
    if not folder or not os.path.isfile(os.path.join(folder, "config.json")):
        raise RuntimeError(f"VLLM_MODEL is '{folder}', wanted a Hugging Face folder of the same base (config.json, "
                           "model.safetensors, tokenizer.json): vLLM reads no Q4_1 GGUF")
    found = subprocess.run([python, "-c", "import vllm"], capture_output=True, text=True)
    if found.returncode:
        raise RuntimeError(f"VLLM_PYTHON '{python}' cannot import vllm: {found.stderr.strip().splitlines()[-1]}")
    return pathlib.Path(os.path.abspath(python)), pathlib.Path(folder).resolve()


def launcher(repository):
    return os.environ.get("CHORALE_SERVE", shlex.quote(str(repository / "chorale")))
