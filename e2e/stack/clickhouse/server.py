"""ClickHouse with its own HTTP and native ports, out of the PyPI wheel chdb-core.

usage: server.py CONFIG_DIR DATA_DIR     (CONFIG_DIR holds config.xml and users.xml)

The wheel's module function _chdb.query() runs clickhouse-local's server class, in which SYSTEM START
LISTEN opens ClickHouse's real HTTP and native servers. An endless query keeps the process alive;
SIGTERM ends that query, after which the engine shuts down cleanly.
"""
import ctypes
import importlib.util
import os
import re
import signal
import sys
import threading
import urllib.request

config_dir, data_dir = (os.path.abspath(a) for a in sys.argv[1:3])
os.makedirs(data_dir, exist_ok=True)

# Never `import chdb`: its __init__ opens an embedded session engine in this process.
package = importlib.util.find_spec("chdb").submodule_search_locations[0]
ctypes.CDLL(os.path.join(package, "_chdb.abi3.so"), mode=sys.getdlopenflags() | getattr(os, "RTLD_DEEPBIND", 8))
os.chdir(package)
sys.path.insert(0, package)
import _chdb

os.chdir(config_dir)
with open("config.xml", encoding="utf-8") as f:
    http_port = re.search(r"<http_port>(\d+)</http_port>", f.read()).group(1)

# The tag must be unique: with a shared one, one server's stop would end another's.
tag = f"keep-alive-{os.getpid()}-{os.urandom(4).hex()}"
# FORMAT Null: the module collects output in memory.
sql = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP;"
    f"SELECT /* {tag} */ sleepEachRow(1) FROM system.numbers FORMAT Null "
    "SETTINGS max_block_size=1, function_sleep_max_microseconds_per_block=0, max_execution_time=0, log_queries=0;"
)
outcome = {}
woken, wake = os.pipe()
os.set_blocking(wake, False)


def run():
    try:
        # "TabSeparated" becomes the server's default_format, as on a clickhouse-server.
        outcome["result"] = _chdb.query(sql, "TabSeparated", path=data_dir)
    except BaseException as error:
        outcome["error"] = error
    os.write(wake, b"x")


signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda n, _: outcome.setdefault("signal", n))
engine = threading.Thread(target=run, daemon=True)
engine.start()
os.read(woken, 1)  # a signal came, or the engine ended by itself

asked = "signal" in outcome
if asked:
    print("stopping", flush=True)
    kill = f"KILL QUERY WHERE query LIKE '%{tag}%' AND query NOT LIKE 'KILL%' SYNC"
    request = urllib.request.Request(
        f"http://127.0.0.1:{http_port}/", data=kill.encode(), headers={"Connection": "close"}
    )
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10).read()
    except OSError as error:
        print("failed to end the keep-alive query:", error, flush=True)
    engine.join(30)
print("ended", outcome.get("error") or outcome.get("result") or "", flush=True)
# 1: it ended by itself (port taken, folder locked, bad configuration); the engine's message is on stderr.
os._exit(0 if asked and not engine.is_alive() else 1)
