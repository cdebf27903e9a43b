"""The two servers under measurement: how each is started, asked for an adapter, read for memory, and ended.

Both get the same base file, the same adapters, the same number of threads, and listen on 127.0.0.1 only.
"""
import http.client
import json
import os
import pathlib
import re
import shlex
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

    def __init__(self, command, log):
        self.port = free_port()
        self._command = [part.replace("{port}", str(self.port)) for part in command]
        self.log_file = log
        self._process = None

    def __enter__(self):
        with open(self.log_file, "wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            self._await_health()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_health(self):
        deadline = time.monotonic() + START_LIMIT_S
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                if self.get(self.health_path)[0] == 200:
                    return
            except OSError:
                pass  # the port is not open yet
            time.sleep(0.1)
        ended = self._process.poll()
        state = f"ended with code {ended}" if ended is not None else f"was not ready after {START_LIMIT_S} s"
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
        status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
        return round(int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) / 1024, 1)

    def adapter_fields(self, adapter):
        """What a request for this adapter (counted from 0, None: the base) has to say."""
        raise NotImplementedError

    def facts(self):
        """Name, options and what the running server says of itself."""
        return {"name": self.name, "options": [without_folder(part) for part in self._command[1:]]}


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


def launcher(repository):
    return os.environ.get("CHORALE_SERVE", shlex.quote(str(repository / "chorale")))
