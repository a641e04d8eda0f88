#!/usr/bin/env python3
"""Measures calls from Python and the same calls from C: nanoseconds of processor time of the calling thread.

    bench.py [--entries N] [--rounds N] [--c PROGRAM] [--module terrace|plyvel]

Keys have 16 bytes, values 100, in key order, without compression. The rounds of C (bench.c, compiled by the
caller) and of Python take turns. Prints medians and minima.
"""

import argparse
import importlib
import os
import platform
import statistics
import subprocess
import tempfile
import time


def measure(module, path, entries):
    """Runs one round; yields (name, nanoseconds per call or entry)."""
    calls, value = entries // 3, b"v" * 100
    keys = [b"%016d" % i for i in range(calls)]
    db = module.DB(path, compression=None)

    def timed(name, count, function):
        began = time.thread_time_ns()
        function()
        return name, (time.thread_time_ns() - began) / count

    def iterate(**arguments):
        def run():
            seen = 0
            for _ in db.iterator(**arguments):
                seen += 1
            assert seen == entries

        return run

    def get():
        read = db.get
        for key in keys:
            read(key)

    def put():
        write = db.put
        for key in keys:
            write(key, value)

    def batch():
        with db.write_batch() as collected:
            add = collected.put
            for key in keys:
                add(key, value)

    def seek():
        for key in keys[:10_000]:
            next(db.iterator(start=key))

    yield timed("iterate", entries, iterate())
    yield timed("iterate, keys only", entries, iterate(include_value=False))
    yield timed("iterate, reverse", entries, iterate(reverse=True))
    yield timed("get", calls, get)
    yield timed("put", calls, put)
    yield timed("batch", calls, batch)
    yield timed("iterator and first entry", 10_000, seek)
    db.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--entries", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--c", help="bench.c, compiled")
    parser.add_argument("--module", default="terrace")
    arguments = parser.parse_args()
    module = importlib.import_module(arguments.module)

    results = {}
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "db")
        with module.DB(path, create_if_missing=True, compression=None) as db:
            with db.write_batch() as batch:
                for i in range(arguments.entries):
                    batch.put(b"%016d" % i, b"v" * 100)
            db.compact_range(start=b"", stop=b"\xff")
        for _ in range(arguments.rounds):
            for name, nanoseconds in measure(module, path, arguments.entries):
                results.setdefault(name, ([], []))[0].append(nanoseconds)
            if arguments.c:
                command = [arguments.c, path, str(arguments.entries)]
                for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines():
                    name, nanoseconds = line.split()
                    results[name][1].append(float(nanoseconds))
            with module.DB(path, compression=None) as db:
                db.compact_range(start=b"", stop=b"\xff")

    print(
        f"{module.__name__} {module.__version__}, Python {platform.python_version()}, {arguments.rounds} rounds; ns: median (least)"
    )
    for name, (python, c) in results.items():
        line = f"{name:26} Python {statistics.median(python):7.0f} ({min(python):.0f})"
        print(line + (f"   C {statistics.median(c):7.0f} ({min(c):.0f})" if c else ""))


if __name__ == "__main__":
    main()
