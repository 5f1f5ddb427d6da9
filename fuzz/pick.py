"""Copies into a corpus the few files that add most to it: pick.py MERGE_CONTROL_FILE CORPUS LIMIT.

The control file is what libFuzzer's -merge=1 -merge_control_file=… wrote: the files' names, and the features of each.
"""
import os
import shutil
import sys

control, corpus, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(control, encoding="utf-8") as file:
    count = int(file.readline())
    file.readline()
    names = [file.readline().rstrip("\n") for _ in range(count)]
    features = {}
    for line in file:
        kind, number, *found = line.split()
        if kind == "FT":
            features[names[int(number)]] = set(found)
ours = [name for name in features if os.path.dirname(name) == corpus]
reached = set().union(*(features.pop(name) for name in ours))
for _ in range(limit - len(ours)):
    name = max(features, key=lambda name: len(features[name] - reached), default=None)
    if name is None or not features[name] - reached:
        break
    reached |= features.pop(name)
    shutil.copy(name, corpus)
print(f"{corpus}: {len(os.listdir(corpus))} files, {len(reached)} features")
