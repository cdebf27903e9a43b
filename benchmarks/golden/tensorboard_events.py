#!/usr/bin/env python3
"""Reads event files written by Chorale with TensorBoard's own EventAccumulator and checks what it finds.

  tensorboard_events.py FOLDER [OUT_DIR]     (OUT_DIR: src/test/resources/golden/watch)

FOLDER holds the two files of TensorBoardFileTest.writeRun: a run of four steps, and its resumption after step 2. If every value is
what was written and steps 3 and 4 of the first file were purged, copies them to OUT_DIR/events-{1,2}.tfevents. tensorboard 2.20.0.
"""
import math
import pathlib
import shutil
import sys

import tensorboard
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader

assert tensorboard.__version__ == "2.20.0", tensorboard.__version__
folder = pathlib.Path(sys.argv[1])
files = sorted(folder.iterdir())
assert len(files) == 2, files
assert [len(list(RawEventFileLoader(str(f)).Load())) for f in files] == [6, 3]


def scalars(path, tag):
    accumulator = EventAccumulator(str(path))
    accumulator.Reload()
    return [(e.step, e.value) for e in accumulator.Scalars(tag)], [e.wall_time for e in accumulator.Scalars(tag)]


tags = EventAccumulator(str(files[0]))
tags.Reload()
assert tags.Tags()["scalars"] == ["train/loss", "train/learning_rate", "train/grad_norm", "train/epoch", "train/tokens_per_second",
                                  "memory/resident_mib", "eval/loss"], tags.Tags()
loss, times = scalars(files[0], "train/loss")
assert loss == [(1, 3.0), (2, 1.5), (3, 1.0), (4, 0.75)], loss
assert abs(times[0] - 1764000000.251) < 1e-6
assert scalars(files[0], "eval/loss")[0] == [(4, 1.25)]
assert scalars(files[0], "train/tokens_per_second")[0][0] == (1, 2000.0)
assert scalars(files[0], "memory/resident_mib")[0][0] == (1, 1024.0)
resumed, _ = scalars(folder, "train/loss")
assert [s for s, _ in resumed] == [1, 2, 3] and math.isnan(resumed[2][1]), resumed
assert scalars(folder, "train/learning_rate")[0][2][1] == float("%.8g" % 3e-4) or abs(scalars(folder, "train/learning_rate")[0][2][1] - 3e-4) < 1e-10
if len(sys.argv) > 2:
    for i, f in enumerate(files, 1):
        shutil.copyfile(f, pathlib.Path(sys.argv[2]) / f"events-{i}.tfevents")
print("equal")
