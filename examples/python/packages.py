#!/usr/bin/env python3
"""Debian's package index in a database: an inverted index over descriptions, who needs whom, a page of plots.

    packages.py load DB [FILE]        reads control records: a file, `-`, or `apt-cache dumpavail`
    packages.py search DB WORD...     prints the packages whose descriptions have all the words
    packages.py needs DB PACKAGE      prints the packages that depend on a package
    packages.py report DB PAGE.html   writes a page of statistics and plots

The database has four parts, each with a prefix. The keys contain what is searched for, so every query is a
short scan:

    package   NAME                    -> version, section, installed size in KiB, summary (JSON)
    word      WORD \\0 NAME            -> nothing
    section   SECTION \\0 SIZE NAME    -> nothing; the size in 8 bytes, highest first: a scan is sorted by size
    needed    NAME \\0 WHO             -> nothing
"""

import argparse
import html
import json
import math
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import groupby

import terrace

# Short words without meaning for a search. (Counting would also find the words that most packages have.)
COMMON = frozenset(
    "a an and are as at based be by can for from in is it its of on or s that the this to with you".split()
)
BATCH = 1000


class Index:
    """The parts of the database."""

    def __init__(self, db):
        self.db = db
        self.packages = db.prefixed_db(b"package\0")
        self.words = db.prefixed_db(b"word\0")
        self.sections = db.prefixed_db(b"section\0")
        self.needed = db.prefixed_db(b"needed\0")


class Writer:
    """Collects changes of all parts, and writes them atomically, a thousand packages at a time."""

    def __init__(self, index):
        self.db = index.db
        self.parts = [index.packages, index.words, index.sections, index.needed]
        self.begin()

    def begin(self):
        self.names = set()
        self.packages, self.words, self.sections, self.needed = self.batches = [
            part.write_batch() for part in self.parts
        ]

    def write(self):
        whole = self.db.write_batch()
        for batch in self.batches:
            whole.append(batch)
        whole.write()
        self.begin()


def stanzas(lines):
    """Control records: each a dictionary of its fields, with continuation lines joined."""
    fields, name = {}, None
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            if fields:
                yield fields
            fields, name = {}, None
        elif line[0] in " \t":
            if name is not None:
                fields[name] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    if fields:
        yield fields


def words_of(text):
    """The set of words of a text."""
    return set(re.findall(r"[a-z][a-z0-9+]+", text.lower())) - COMMON


def dependencies_of(fields):
    """The names of the packages on which a package depends, including alternatives, without versions."""
    for group in fields.get("Depends", "").split(","):
        first = re.match(r"\s*([a-z0-9][a-z0-9+.-]+)", group)
        if first:
            yield first.group(1)


def size_key(kibibytes, name):
    return (2**64 - 1 - kibibytes).to_bytes(8, "big") + name


def unpack_size(key):
    return 2**64 - 1 - int.from_bytes(key[:8], "big"), key[8:].decode()


def load(index, lines):
    """Adds all records; the last record of a package replaces earlier ones. Returns the numbers of records
    and of entries."""
    packages = entries = 0
    writer = Writer(index)
    for fields in stanzas(lines):
        if "Package" not in fields:
            continue
        name = fields["Package"].encode()
        if name in writer.names or len(writer.names) == BATCH:
            writer.write()
        writer.names.add(name)
        remove(index, name, writer)
        summary = fields.get("Description") or fields.get("Description-en") or ""
        size = fields.get("Installed-Size", "")
        record = {
            "version": fields.get("Version", ""),
            "section": fields.get("Section", "unknown").rpartition("/")[2],
            "size": int(size) if size.isdigit() else 0,
            "summary": summary.partition("\n")[0],
            "words": sorted(words_of(summary)),
            "depends": sorted(set(dependencies_of(fields))),
        }
        writer.packages.put(name, json.dumps(record).encode())
        for word in record["words"]:
            writer.words.put(word.encode() + b"\0" + name, b"")
        for other in record["depends"]:
            writer.needed.put(other.encode() + b"\0" + name, b"")
        writer.sections.put(record["section"].encode() + b"\0" + size_key(record["size"], name), b"")
        packages += 1
        entries += 2 + len(record["words"]) + len(record["depends"])
    writer.write()
    return packages, entries


def remove(index, name, writer):
    """Removes the entries of an earlier record of a package."""
    found = index.packages.get(name)
    if found is None:
        return
    record = json.loads(found)
    for word in record["words"]:
        writer.words.delete(word.encode() + b"\0" + name)
    for other in record["depends"]:
        writer.needed.delete(other.encode() + b"\0" + name)
    writer.sections.delete(record["section"].encode() + b"\0" + size_key(record["size"], name))


def search(index, words):
    """The packages that have all the words, by leapfrogging: each list seeks to the position of the others,
    so that no entry is read that cannot match."""
    if not words:
        return
    prefixes = [word.lower().encode() + b"\0" for word in words]
    lists = [index.words.iterator(prefix=prefix, include_value=False) for prefix in prefixes]
    at, agreed, turn = b"", 0, 0
    while True:
        lists[turn].seek(prefixes[turn] + at)
        key = next(lists[turn], None)
        if key is None:
            return
        name = key[len(prefixes[turn]) :]
        agreed = agreed + 1 if name == at else 1
        at = name
        if agreed == len(lists):
            yield at.decode()
            at, agreed = at + b"\0", 0  # the next name after it
        turn = (turn + 1) % len(lists)


def count_by_first(part):
    """Counts the keys that are equal up to their NUL, by a scan of the keys of the whole part."""
    keys = part.iterator(include_value=False, fill_cache=False)
    return Counter(
        {first.decode(): sum(1 for _ in group) for first, group in groupby(keys, lambda key: key.partition(b"\0")[0])}
    )


def statistics(index):
    """The statistics of the page, from one scan of each part."""
    sections, sizes = {}, Counter()
    for key in index.sections.iterator(include_value=False, fill_cache=False):
        section, _, rest = key.partition(b"\0")
        size, name = unpack_size(rest)
        packages, total, largest = sections.get(section.decode(), (0, 0, None))
        sections[section.decode()] = (packages + 1, total + size, largest or name)
        sizes[int(math.log2(size)) if size else 0] += 1
    return {
        "packages": sum(packages for packages, _, _ in sections.values()),
        "kibibytes": sum(total for _, total, _ in sections.values()),
        "sections": sections,
        "sizes": sizes,
        "words": count_by_first(index.words),
        "needed": count_by_first(index.needed),
    }


def human(kibibytes):
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        if kibibytes < 1024 or unit == "TiB":
            return f"{kibibytes:.0f} {unit}" if kibibytes >= 10 or kibibytes % 1 == 0 else f"{kibibytes:.1f} {unit}"
        kibibytes /= 1024


def horizontal_bars(rows, title):
    """A plot of (label, number, note)."""
    width, height, left, right = 640, 24, 130, 150
    most = max((number for _, number, _ in rows), default=1) or 1
    parts = [f'<svg role="img" aria-label="{html.escape(title)}" viewBox="0 0 {width} {height * len(rows)}">']
    for line, (label, number, note) in enumerate(rows):
        y = line * height
        length = (width - left - right) * number / most
        parts.append(
            f'<text x="{left - 8}" y="{y + 16}" text-anchor="end">{html.escape(label)}</text>'
            f'<rect x="{left}" y="{y + 4}" width="{max(length, 1):.1f}" height="{height - 8}" rx="2"/>'
            f'<text class="note" x="{left + max(length, 1) + 8:.1f}" y="{y + 16}">{html.escape(note)}</text>'
        )
    return "\n".join([*parts, "</svg>"])


def histogram(sizes, title):
    """A plot of the number of packages for each power of two of KiB."""
    width, height, base = 640, 240, 200
    powers = range(min(sizes, default=0), max(sizes, default=0) + 1)
    most, step = max(sizes.values(), default=1), width / len(powers)
    parts = [f'<svg role="img" aria-label="{html.escape(title)}" viewBox="0 0 {width} {height}">']
    for place, power in enumerate(powers):
        tall, x = (base - 24) * sizes[power] / most, place * step
        parts.append(
            f'<rect x="{x + 2:.1f}" y="{base - tall:.1f}" width="{step - 4:.1f}" height="{tall:.1f}" rx="2"/>'
            f'<text class="count" x="{x + step / 2:.1f}" y="{base - tall - 6:.1f}" text-anchor="middle">{sizes[power]}</text>'
        )
        if place % 4 == 0:
            parts.append(f'<text x="{x + 2:.1f}" y="{base + 18}">{human(2**power)}</text>')
    parts.append(f'<line x1="0" y1="{base}" x2="{width}" y2="{base}"/>')
    return "\n".join([*parts, "</svg>"])


STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --soft: #5a6b7b; --bar: #2f7d95; --line: #d5dde4; --page: #fbfcfd; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e9ee; --soft: #97a6b4; --bar: #55a8c0; --line: #33404c; --page: #161c22; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0 auto; max-width: 44rem;
  padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .6rem; }
p.sum { color: var(--soft); margin-top: .2rem; }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 13px; fill: var(--ink); }
svg text.note, svg text.count { fill: var(--soft); font-size: 12px; } svg text.count { font-size: 10px; } svg rect { fill: var(--bar); } svg line { stroke: var(--line); }
table { border-collapse: collapse; width: 100%; } td { border-top: 1px solid var(--line); padding: .25rem .5rem .25rem 0; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""


def page(index):
    """The page of the report."""
    found = statistics(index)
    by_size = sorted(found["sections"].items(), key=lambda item: (-item[1][1], item[0]))[:15]
    bars = [(name, total, f"{human(total)}, {packages} packages") for name, (packages, total, _) in by_size]
    needed = sorted(found["needed"].items(), key=lambda item: (-item[1], item[0]))[:12]
    words = sorted(found["words"].items(), key=lambda item: (-item[1], item[0]))[:15]

    def table(rows):
        cells = ("".join(f"<td{css}>{html.escape(str(cell))}</td>" for css, cell in row) for row in rows)
        return "<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"

    number = ' class="number"'
    largest = [
        [("", name), ("", section), (number, human(json.loads(index.packages.get(name.encode()))["size"]))]
        for section, (_, _, name) in by_size[:8]
    ]
    return "\n".join(
        [
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Debian packages</title><style>{STYLE}</style>',
            "<h1>Debian packages</h1>",
            f'<p class="sum">{found["packages"]} packages, {human(found["kibibytes"])} when installed, '
            f"{len(found['words'])} different words in their descriptions.</p>",
            "<h2>The largest sections</h2>",
            horizontal_bars(bars, "Installed size by section"),
            "<h2>The largest package of each of the first eight</h2>",
            table(largest),
            "<h2>How large packages are when installed</h2>",
            '<p class="sum">Packages by installed size; each bar is twice as large as the one before, from the size below it.</p>',
            histogram(found["sizes"], "Packages by installed size"),
            "<h2>What most depends on</h2>",
            horizontal_bars([(name, count, f"{count} packages") for name, count in needed], "Most needed packages"),
            "<h2>The words of descriptions</h2>",
            horizontal_bars([(word, count, str(count)) for word, count in words], "Most frequent words"),
            "</html>\n",
        ]
    )


def open_lines(name):
    """The lines of the records, from a file, the standard input or apt-cache."""
    if name == "-":
        return sys.stdin
    if name is not None:
        return open(name, encoding="utf-8", errors="replace")
    command = ["apt-cache", "dumpavail"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace").stdout


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # for `| head`
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for command, arguments in (("load", "file?"), ("search", "word+"), ("needs", "package"), ("report", "page")):
        sub = commands.add_parser(command)
        sub.add_argument("db")
        name = arguments.rstrip("?+")
        sub.add_argument(name, nargs=arguments[len(name) :] or None)
    arguments = parser.parse_args()

    with terrace.DB(arguments.db, create_if_missing=arguments.command == "load", write_buffer_size=16 << 20) as db:
        index = Index(db)
        began = time.perf_counter()
        if arguments.command == "load":
            with open_lines(arguments.file) as lines:
                packages, entries = load(index, lines)
            print(f"{packages} packages, {entries} entries")
        elif arguments.command == "search":
            for name in search(index, arguments.word):
                print(f"{name}: {json.loads(index.packages.get(name.encode()))['summary']}")
        elif arguments.command == "needs":
            prefix = arguments.package.encode() + b"\0"
            for key in index.needed.iterator(prefix=prefix, include_value=False):
                print(key[len(prefix) :].decode())
        else:
            with open(arguments.page, "w", encoding="utf-8") as file:
                file.write(page(index))
        print(f"{time.perf_counter() - began:.2f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
