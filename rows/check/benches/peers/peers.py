"""One peer reads one file on one thread: peers.py TOOL FORMAT FILE SCHEMA BAD.

A slow peer reads only complete records from the start of the file; "bytes" is how many bytes it reads.

SCHEMA is a JSON list of [name, ClickHouse type]. BAD is how many of 1000 cells are bad: if it is not 0, the tool is
configured to continue after a bad cell. Prints JSON: CPU seconds of the reading alone, good rows, rejects (null: not
counted), bytes read, peak memory.
"""
import ast
import csv
import io
import json
import os
import re
import resource
import sys

tool, form, path, schema, bad = sys.argv[1:6]
columns = json.loads(schema)
all_bad = bad == "1000"
bad = bad != "0"
is_json = form == "JSONLines"


def inner(ty):
    """The type without Nullable and LowCardinality, and its arguments."""
    while match := re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", ty):
        ty = match[1]
    name, _, arguments = ty.partition("(")
    return name, arguments.removesuffix(")")


def nullable(ty):
    return "Nullable(" in ty


def part(limit):
    """The complete records in the first `limit` bytes. Only a record starts with a number or n/a after a line end."""
    with open(path, "rb") as file:
        head = file.read(limit)
    end = head.rindex(b"\n{") if is_json else [m.start() for m in re.finditer(rb"\n(?=[0-9]+,|n/a,)", head)][-1]
    return head[: end + 1]


def part_file(limit):
    """Writes the result of `part` to a file; returns its name and size."""
    with open(path + ".part", "wb") as file:
        return file.name, file.write(part(limit))


def clickhouse():
    import chdb

    source, read_bytes = path, os.path.getsize(path)
    if bad:
        # each bad record is an exception, whose cost grows with the number of records before it in the block
        source, read_bytes = part_file(3_000_000)
    structure = ", ".join(f"{name} {ty}" for name, ty in columns).replace("\\", "\\\\").replace("'", "\\'")
    source = f"file('{source}', {'JSONEachRow' if is_json else 'CSVWithNames'}, '{structure}')"
    settings = "max_threads=1, max_parsing_threads=1, input_format_parallel_parsing=0"
    if bad:
        settings += ", input_format_allow_errors_ratio=1, input_format_allow_errors_num=1000000000000"

    def read():
        result = chdb.query(f"SELECT * FROM {source} FORMAT Null SETTINGS {settings}")
        return {"ok": result.storage_rows_read(), "bytes": read_bytes}

    return read


def duckdb_type(ty):
    name, arguments = inner(ty)
    integers = {"8": "TINYINT", "16": "SMALLINT", "32": "INTEGER", "64": "BIGINT", "128": "HUGEINT"}
    if match := re.fullmatch(r"(U?)Int(\d+)", name):
        return match[1] + integers[match[2]]
    if name == "Decimal":
        return f"DECIMAL({arguments})"
    if name == "Enum8":
        return "ENUM(" + ", ".join(re.findall(r"'[^']*'", arguments)) + ")"
    if name == "Array":
        return "VARCHAR[]"
    return {
        "Float32": "FLOAT", "Float64": "DOUBLE", "Bool": "BOOLEAN", "UUID": "UUID", "Date": "DATE",
        "DateTime": "TIMESTAMP", "DateTime64": "TIMESTAMP",
    }.get(name, "VARCHAR")


def duckdb():
    import duckdb

    source, read_bytes = path, os.path.getsize(path)
    if all_bad:
        # it keeps all rejects: 150 bytes of memory for each byte of the file
        source, read_bytes = part_file(10_000_000)
    con = duckdb.connect()
    con.execute("SET threads=1")
    quoted = lambda text: "'" + text.replace("'", "''") + "'"
    types = "{" + ", ".join(f"{quoted(n)}: {quoted(duckdb_type(t))}" for n, t in columns) + "}"
    if is_json:
        source = f"read_ndjson('{source}', columns={types}, ignore_errors={str(bad).lower()})"
    else:
        source = (
            f"read_csv('{source}', header=true, delim=',', quote='\"', escape='\"', auto_detect=false, "
            f"store_rejects=true, rejects_limit=0, columns={types})"
        )

    def read():
        con.execute(f"CREATE TEMP TABLE loaded AS SELECT * FROM {source}")

    def told():
        rejects = None if is_json else con.execute("SELECT count(*) FROM reject_errors").fetchone()[0]
        return {"ok": con.execute("SELECT count(*) FROM loaded").fetchone()[0], "rejects": rejects, "bytes": read_bytes}

    read.told = told
    return read


def polars():
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars as pl

    def of(ty):
        name, _ = inner(ty)
        if is_json:
            # its JSON reader supports no smaller integers
            name = re.sub(r"Int(8|16)$", "Int32", name)
        return {
            "Array": pl.List(pl.String) if is_json else pl.String,
            "Bool": pl.Boolean, "Date": pl.Date, "DateTime": pl.Datetime("us"), "DateTime64": pl.Datetime("us"),
            # not exact, but with decimals polars stops at a bad cell
            "Decimal": pl.Float64,
        }.get(name) or getattr(pl, name if re.fullmatch(r"U?Int\d+|Float\d+", name) else "String")

    types = {name: of(ty) for name, ty in columns}
    if is_json:
        return lambda: {"ok": pl.read_ndjson(path, schema=types, ignore_errors=bad).height}
    return lambda: {"ok": pl.read_csv(path, schema=types, ignore_errors=bad).height}


def pyarrow():
    import pyarrow as pa

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)

    def of(ty):
        name, arguments = inner(ty)
        if name == "Decimal":
            return pa.decimal128(*(int(n) for n in arguments.split(",")))
        if re.fullmatch(r"U?Int\d+|Float\d+", name):
            return getattr(pa, name.lower())()
        return {
            "Array": pa.list_(pa.string()) if is_json else pa.string(),
            "Bool": pa.bool_(), "Date": pa.date32(), "DateTime": pa.timestamp("s"), "DateTime64": pa.timestamp("ms"),
        }.get(name) or pa.string()

    types = {name: of(ty) for name, ty in columns}
    if is_json:
        import pyarrow.json as reader

        # its JSON reader supports no dates and no decimals
        other = {pa.date32(): pa.string(), pa.decimal128(18, 4): pa.float64()}
        types = {name: other.get(ty, ty) for name, ty in types.items()}
        options = {"parse_options": reader.ParseOptions(explicit_schema=pa.schema(list(types.items())))}
        read = lambda: reader.read_json(path, reader.ReadOptions(use_threads=False), **options).num_rows
    else:
        import pyarrow.csv as reader

        options = {
            "parse_options": reader.ParseOptions(newlines_in_values=True),
            # by default it reads "n/a" as NULL
            "convert_options": reader.ConvertOptions(column_types=types, null_values=[""]),
        }
        read = lambda: reader.read_csv(path, reader.ReadOptions(use_threads=False), **options).num_rows

    def go():
        try:
            return {"ok": read()}
        except pa.ArrowInvalid as error:
            return {"fails": str(error)}

    return go


def pydantic():
    from datetime import date, datetime
    from decimal import Decimal
    from ipaddress import IPv4Address, IPv6Address
    from typing import Annotated, Literal, Optional
    from uuid import UUID

    from pydantic import BeforeValidator, Field, ValidationError, create_model

    def of(ty):
        name, arguments = inner(ty)
        if match := re.fullmatch(r"(U?)Int(\d+)", name):
            bits = int(match[2])
            low, high = (0, 2**bits) if match[1] else (-(2 ** (bits - 1)), 2 ** (bits - 1))
            kind = Annotated[int, Field(ge=low, lt=high)]
        elif name == "Decimal":
            digits, places = (int(n) for n in arguments.split(","))
            kind = Annotated[Decimal, Field(max_digits=digits, decimal_places=places)]
        elif name == "Enum8":
            kind = Literal[tuple(re.findall(r"'([^']*)'", arguments))]
        elif name == "FixedString":
            kind = Annotated[str, Field(max_length=int(arguments))]
        elif name == "Array":
            kind = list[str] if is_json else Annotated[list[str], BeforeValidator(ast.literal_eval)]
        else:
            kind = {
                "Float32": float, "Float64": float, "Bool": bool, "UUID": UUID, "Date": date, "DateTime": datetime,
                "DateTime64": datetime, "IPv4": IPv4Address, "IPv6": IPv6Address,
            }.get(name, str)
        if nullable(ty):
            kind = Annotated[Optional[kind], BeforeValidator(lambda v: None if v == "" else v)]
        return (kind, ...)

    model = create_model("Row", **{name: of(ty) for name, ty in columns})
    text = part(8_000_000).decode()

    def read():
        good, rejects = 0, 0
        check = model.model_validate_json if is_json else model.model_validate
        rows = text.splitlines() if is_json else csv.DictReader(io.StringIO(text, newline=""))
        for number, row in enumerate(rows, 1):
            try:
                check(row)
                good += 1
            except ValidationError as error:
                for reject in error.errors(include_url=False):
                    rejects += len((number, reject["loc"], reject["type"], str(reject["input"]), reject["msg"])) // 5
        return {"ok": good, "rejects": rejects, "bytes": len(text.encode())}

    return read


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


read = {"clickhouse": clickhouse, "duckdb": duckdb, "polars": polars, "pyarrow": pyarrow, "pydantic": pydantic}[tool]()
start = cpu()
result = read() or {}
used = cpu() - start
with open("/proc/self/status", encoding="ascii") as status:
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", status.read())[1])
result |= getattr(read, "told", dict)()
print(json.dumps({"cpu": used, "bytes": os.path.getsize(path), "rejects": None, "peak_kib": peak} | result))
