"""Random LoRA adapters for a GGUF base, each as a PEFT folder and as a GGUF adapter with the same numbers.

  python3 benchmarks/load/adapters.py MODEL.gguf OUT        -> OUT/peft/lora1..8/, OUT/gguf/lora1..8.gguf

Rank 16, alpha 32, all seven linears of every layer, float32. Seed N makes loraN: A is uniform with standard deviation
1/sqrt(in), B is uniform with standard deviation 0.01 (not zero, so that an adapter changes the answer). Their speed is
that of trained adapters of the same shape, their text is noise.

GGUF of the llama architecture stores q and k rows with rotary pairs as neighbours, Hugging Face keeps the pair halves
apart; lora_b of q and k follows: HF row h*d + half*(d/2) + i is GGUF row h*d + 2*i + half, d = rows / heads.
Standard library only: both formats are a header and raw little-endian floats.
"""
import array
import json
import pathlib
import random
import struct
import sys

COUNT, RANK, ALPHA, B_STD = 8, 16, 32.0, 0.01
LINEARS = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
           "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
INT16_STD = 65536 / 12 ** 0.5  # of a uniform int16
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
U32, F32, STRING, ARRAY = 4, 6, 8, 9
ALIGNMENT = 32


class GgufHead:
    """Metadata without arrays (`meta`) and the dimensions of every tensor (`dims`, fastest first) of a GGUF file."""

    def __init__(self, path):
        with open(path, "rb") as self._file:
            magic, version, tensors, entries = struct.unpack("<4sIQQ", self._file.read(24))
            if magic != b"GGUF" or version < 2:
                raise ValueError(f"{path}: {magic!r} version {version}, wanted GGUF version 2 or newer")
            self.meta = {}
            for _ in range(entries):
                key, kind = self._string(), self._scalar("<I")
                self.meta[key] = self._value(kind)
            self.dims = {}
            for _ in range(tensors):
                name = self._string()
                self.dims[name] = [self._scalar("<Q") for _ in range(self._scalar("<I"))]
                self._file.read(12)  # type, offset

    def _scalar(self, form):
        return struct.unpack(form, self._file.read(struct.calcsize(form)))[0]

    def _string(self):
        return self._file.read(self._scalar("<Q")).decode()

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._scalar(SCALARS[kind])
        kind, count = self._scalar("<I"), self._scalar("<Q")
        if kind in (STRING, ARRAY):
            for _ in range(count):
                self._value(kind)
        else:
            self._file.seek(count * struct.calcsize(SCALARS[kind]), 1)
        return None


def uniform(rng, count, std):
    integers = array.array("h")
    integers.frombytes(rng.randbytes(2 * count))
    scale = std / INT16_STD
    return array.array("f", [v * scale for v in integers])


def neighbouring_pairs(rows, width, heads):
    """Reorders the rows of a matrix in HF order to GGUF's llama order."""
    head = len(rows) // width // heads
    out = array.array("f", bytes(len(rows) * 4))
    for row in range(len(rows) // width):
        h, half, i = row // head, row % head // (head // 2), row % (head // 2)
        to = (h * head + 2 * i + half) * width
        out[to:to + width] = rows[row * width:(row + 1) * width]
    return out


def modules(base):
    """(layer, GGUF linear, in, out) of every adapted linear, in a fixed order."""
    layers = base.meta[base.meta["general.architecture"] + ".block_count"]
    for layer in range(layers):
        for linear in LINEARS:
            yield (layer, linear, *base.dims[f"blk.{layer}.{linear}.weight"])


def write_peft(folder, tensors):
    folder.mkdir(parents=True, exist_ok=True)
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, values in tensors:
        size = 4 * len(values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "adapter_model.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for _, _, values in tensors:
            values.tofile(out)
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": None, "r": RANK, "lora_alpha": ALPHA,
              "lora_dropout": 0.0, "bias": "none", "use_rslora": False, "use_dora": False, "inference_mode": True,
              "target_modules": sorted(name.split(".")[1] for name in LINEARS.values())}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n")


def write_gguf(path, architecture, tensors):
    def string(text):
        return struct.pack("<Q", len(text)) + text.encode()

    meta = [("general.architecture", STRING, string(architecture)), ("general.type", STRING, string("adapter")),
            ("adapter.type", STRING, string("lora")), ("adapter.lora.alpha", F32, struct.pack("<f", ALPHA))]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(meta))
    for key, kind, value in meta:
        head += string(key) + struct.pack("<I", kind) + value
    offset = 0
    for name, shape, values in tensors:
        head += string(name) + struct.pack("<IQQIQ", 2, shape[1], shape[0], 0, offset)  # type 0: float32
        offset += 4 * len(values) + -4 * len(values) % ALIGNMENT
    with open(path, "wb") as out:
        out.write(head + bytes(-len(head) % ALIGNMENT))
        for _, _, values in tensors:
            values.tofile(out)
            out.write(bytes(-4 * len(values) % ALIGNMENT))


def make_one(base, seed, out):
    rng = random.Random(seed)
    architecture = base.meta["general.architecture"]
    heads = {"attn_q": base.meta[architecture + ".attention.head_count"],
             "attn_k": base.meta[architecture + ".attention.head_count_kv"]}
    peft, gguf = [], []
    for layer, linear, width_in, width_out in modules(base):
        a = uniform(rng, RANK * width_in, width_in ** -0.5)
        b = uniform(rng, width_out * RANK, B_STD)
        name = f"base_model.model.model.layers.{layer}.{LINEARS[linear]}"
        peft += [(name + ".lora_A.weight", [RANK, width_in], a), (name + ".lora_B.weight", [width_out, RANK], b)]
        if architecture == "llama" and linear in heads:
            b = neighbouring_pairs(b, RANK, heads[linear])
        name = f"blk.{layer}.{linear}.weight"
        gguf += [(name + ".lora_a", [RANK, width_in], a), (name + ".lora_b", [width_out, RANK], b)]
    write_peft(out / "peft" / f"lora{seed}", peft)
    (out / "gguf").mkdir(exist_ok=True)
    write_gguf(out / "gguf" / f"lora{seed}.gguf", architecture, gguf)


def make(model, out):
    """Makes the adapters that are not there yet; OUT belongs to one base, whose shapes it records."""
    base = GgufHead(model)
    shapes = json.dumps([base.meta["general.architecture"], RANK, ALPHA, B_STD, list(modules(base))])
    mark = out / "made-for.json"
    if mark.exists() and mark.read_text() == shapes:
        return
    out.mkdir(parents=True, exist_ok=True)
    for seed in range(1, COUNT + 1):
        make_one(base, seed, out)
    mark.write_text(shapes)
    print(f"{COUNT} adapters made in {out}", file=sys.stderr)


if __name__ == "__main__":
    if sys.byteorder != "little" or len(sys.argv) != 3:
        sys.exit(__doc__)
    make(sys.argv[1], pathlib.Path(sys.argv[2]))
