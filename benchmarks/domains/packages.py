"""Brings the packages that the data comes from: pinned version, pinned sha256, kept in a cache folder."""
import hashlib
import pathlib
import subprocess
import sys

CACHE = pathlib.Path.home() / ".cache" / "chorale-domains"
PACKAGES = {
    "licenses": ("licensedcode-data==32.1.0", "licensedcode_data-32.1.0-py3-none-any.whl", "18f60bde6dbabbc0a925d45ed80089cdbb7168156a2a1c118737198f9b743b96"),
    "icd": ("simple-icd-10-cm==1.5.0", "simple_icd_10_cm-1.5.0-py3-none-any.whl",
            "6d461d71dc26aedc530ae65f02cfb578a154e49507c32e8241e75f701d4b7e42"),
}


def fetch(key, cache=CACHE):
    """Path of one wheel, downloaded once; a wrong sha256 ends the run."""
    spec, name, want = PACKAGES[key]
    path = cache / name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", spec],
                       cwd=cache, check=True, stdout=subprocess.DEVNULL)
    have = hashlib.sha256(path.read_bytes()).hexdigest()
    if have != want:
        sys.exit(f"{path}: sha256 {have}, wanted {want}; delete the file and run again")
    return path
