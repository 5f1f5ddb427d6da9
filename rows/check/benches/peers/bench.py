"""Compares the row engine with its peers: the same files, the same run, one thread each, CPU time of the process.

bench.py ENGINE [--mb N] [--runs N] [--write FILE] [--only narrow,CSV,0 ...]: ENGINE is the compiled example `engine`.
The table is written to standard output and, with --write, between the markers in FILE.
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
# shape, format, how many of 1000 typed cells are bad
FILES = [(s, "CSV", b) for s in ("narrow", "wide") for b in (0, 10, 100, 1000)]
FILES += [(s, "JSONLines", b) for s in ("narrow", "wide") for b in (0, 100)]
PEERS = ["clickhouse", "duckdb", "polars", "pyarrow", "pydantic"]
NAMES = {"clickhouse": "ClickHouse", "duckdb": "DuckDB", "polars": "polars", "pyarrow": "pyarrow", "pydantic": "pydantic"}
# how many times faster than the peer the engine must be: (peer, format, bad) -> times
BARS = {("clickhouse", "CSV", 0): 5, ("duckdb", "CSV", 0): 5, ("duckdb", "CSV", 10): 10, ("duckdb", "CSV", 100): 30}
BARS |= {("pydantic", "CSV", bad): 75 for bad in (0, 10, 100)}
BARS |= {("clickhouse", "JSONLines", 0): 4}
BEGIN, END = "<!-- make bench-rows: from here -->", "<!-- make bench-rows: to here -->"


def run(command, timeout=1800):
    """Runs a program. Returns what it printed, and the CPU seconds of its process, including its start."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(command, stdout=out, stderr=err)
        late = threading.Timer(timeout, process.kill)
        late.start()
        _, status, used = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            lines = err.read().decode(errors="replace").strip().splitlines() or [f"exit code {process.returncode}"]
            return {"fails": lines[-1]}
        return json.loads(out.read().splitlines()[-1]) | {"process_cpu": used.ru_utime + used.ru_stime}


def best(old, new, key="cpu"):
    return new if old is None or new.get(key, 9e9) < old.get(key, 9e9) else old


def measure(engine, shape, form, bad, args):
    """The best run of each reader on one file."""
    schema = subprocess.run([engine, "schema", shape], check=True, capture_output=True, text=True).stdout
    file = os.path.join(args.folder, f"{shape}.{form}.{bad}")
    subprocess.run([engine, "make", shape, form, str(bad), str(args.mb), file], check=True)
    commands = {
        "ours": [engine, "load", shape, form, file],
        "portable": [engine, "load", shape, form, file, "--portable"],
        "stages": [engine, "load", shape, form, file, "--stages"],
    }
    for peer in PEERS:
        commands[peer] = [sys.executable, os.path.join(HERE, "peers.py"), peer, form, file, schema, str(bad)]
    found = dict.fromkeys(commands)
    for turn in range(args.runs):
        for name, command in commands.items():
            if turn > 0 and "fails" in found[name]:
                continue
            print(f"{shape} {form} {bad / 10:g} %: {name}, run {turn + 1}", file=sys.stderr)
            result = run(command)
            if name in ("ours", "portable") and "fails" not in result:
                # the CPU time of the complete process, not only of the loop: this favours the peers
                result["cpu"] = result["process_cpu"]
            found[name] = best(found[name], result)
    for name in ("ours", "portable", "stages"):
        if "fails" in found[name]:
            sys.exit(f"the engine failed: {found[name]['fails']}")
    for name in (file, file + ".part"):
        if os.path.exists(name):
            found["size"] = os.path.getsize(file) if name == file else found["size"]
            os.remove(name)
    return found


def mark(met):
    return "✓" if met else "✗"


def ratio(found, name):
    """How many times the engine reads the file in the CPU time in which the other reads it once."""
    other, ours = found[name], found["ours"]
    return (other["cpu"] / other.get("bytes", found["size"])) / (ours["cpu"] / found["size"])


def cell(found, name, form, bad):
    other = found[name]
    if "fails" in other:
        return "fails"
    shown = f"{ratio(found, name):.1f}×"
    bar = BARS.get((name, form, bad))
    if bar:
        shown += f" {mark(ratio(found, name) >= bar)} {bar}×"
    return shown


def table(results):
    lines = [
        "| file, bad cells | the row engine | peak MiB | rejects | portable | " + " | ".join(NAMES.values()) + " |",
        "|---|---|---|---|---|" + "---|" * len(PEERS),
    ]
    for (shape, form, bad), found in results.items():
        ours, size = found["ours"], found["size"]
        rate = size / ours["cpu"] / 1e6
        shown = f"{rate:,.0f} MB/s, {ours['cpu'] * 1e9 / ours['rows']:.0f} ns a row"
        if bad == 1000:
            shown += f" {mark(rate >= 200)} 200 MB/s"
        portable = f"{ratio(found, 'portable'):.1f}×"
        if bad == 0 and "fails" not in found["clickhouse"]:
            portable += f" {mark(ratio(found, 'portable') <= ratio(found, 'clickhouse'))} ClickHouse"
        lines.append(
            f"| {shape} {form} of {size / 1e6:.0f} MB, {bad / 10:g} % | {shown} | {ours['peak_kib'] / 1024:.0f} | "
            f"{ours['rejects']:,} | {portable} | " + " | ".join(cell(found, p, form, bad) for p in PEERS) + " |"
        )
    return lines


def stages(results):
    lines = ["| MB/s of each stage | cut | check and encode | tell of bad cells | LZ4 of the block |", "|---|---|---|---|---|"]
    for (shape, form, bad), found in results.items():
        one, size = found["stages"], found["size"] / 1e6
        cut = f"{size / one['cut']:,.0f}"
        if form == "CSV" and bad == 0:
            cut += f" {mark(size / one['cut'] >= 8000)} 8,000"
        tell = f"{one['rejects'] / one['tell'] / 1e6:.1f} million cells/s" if one["rejects"] else "–"
        lz4 = f"{one['block_bytes'] / 1e6 / one['lz4']:,.0f}" if one["block_bytes"] else "–"
        lines.append(f"| {shape} {form}, {bad / 10:g} % | {cut} | {size / one['check']:,.0f} | {tell} | {lz4} |")
    return lines


def failures(results):
    first = {}
    for (shape, form, bad), found in results.items():
        for peer in PEERS:
            if "fails" in found[peer]:
                first.setdefault((peer, form), (f"{shape} {form}, {bad / 10:g} %", found[peer]["fails"][:120]))
    return [f"- {NAMES[peer]} fails, first at {where}: `{text}`" for (peer, _), (where, text) in first.items()]


def versions():
    lines = open(os.path.join(HERE, "requirements.txt"), encoding="utf-8").read().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    return ", ".join(f"{NAMES[p]} {pins.get('chdb-core' if p == 'clickhouse' else p)}" for p in PEERS)


def cpu_name():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def document(results, args):
    return "\n".join(
        [
            f"One thread on {cpu_name()}, best of {args.runs} by CPU time, in turns; {versions()}. A peer's column says how "
            "many times the engine's CPU time it takes for the same bytes; ✓ and ✗ stand before the bar that was set.",
            "",
            *table(results),
            "",
            *stages(results),
            "",
            *failures(results),
        ]
    ).rstrip()


def write(path, text):
    with open(path, encoding="utf-8") as file:
        old = file.read()
    before, rest = old.split(BEGIN)
    _, after = rest.split(END)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine")
    parser.add_argument("--mb", type=int, default=250, help="size of each file")
    parser.add_argument("--runs", type=int, default=5, help="the best of so many counts")
    parser.add_argument("--write", help="the document that gets the table")
    parser.add_argument("--only", nargs="*", help="files such as narrow,CSV,0")
    args = parser.parse_args()
    # all programs that are started from here run on one CPU
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    files = FILES
    if args.only:
        files = [f for f in FILES if ",".join(map(str, f)) in args.only]
    with tempfile.TemporaryDirectory(dir=os.path.dirname(os.path.abspath(args.engine))) as args.folder:
        results = {file: measure(args.engine, *file, args) for file in files}
    text = document(results, args)
    print(text)
    if args.write:
        write(args.write, text)


main()
