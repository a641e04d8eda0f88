#!/usr/bin/env python3
"""Debian's package lists of several releases in a database, each release in a column family.

    releases.py load DB RELEASE [FILE]   replaces the list of a release by control records: a file, `-`, or
                                         `apt-cache dumpavail`
    releases.py list DB                  prints the releases, and how many packages they have
    releases.py compare DB OLD NEW       prints the packages that were added, removed and changed
    releases.py drop DB RELEASE          removes a release

A list is a column family: NAME -> version. The default family has the name of each release's family, and the
number of its packages: RELEASE -> family, packages (JSON).

A release is never changed: `load` fills a new family, puts its name at the release, and drops the family that
the release had. So readers see the old list or the new one, and the old one is removed at once, without the
deletion of its keys.
"""

import argparse
import heapq
import json
import os
import signal
import sys
from itertools import groupby, repeat

import terrace
from packages import open_lines, stanzas

OPTIONS = {"write_buffer_size": 16 << 20, "bloom_filter_bits": 10}
BATCH = 1000


def open_database(path, create=False):
    """The database with all its families."""
    exists = os.path.exists(os.path.join(path, "CURRENT"))
    names = [name for name in terrace.list_families(path) if name != "default"] if exists else []
    return terrace.DB(path, create_if_missing=create, families=dict.fromkeys(names, OPTIONS))


def releases(db):
    """The names of the families, and the numbers of packages, by release."""
    return {key.decode(): json.loads(value) for key, value in db}


def family_of(db, release):
    found = db.get(release.encode())
    if found is None:
        sys.exit(f"releases: there is no release {release}")
    return db.family(json.loads(found)["family"])


def drop_unused(db):
    """Drops the families that belong to no release: an old list, or one whose load did not end."""
    used = {release["family"] for release in releases(db).values()}
    for name in db.families():
        if name != "default" and name not in used:
            db.drop_family(name)


def load(db, release, lines):
    """Replaces the list of a release. Returns the number of its packages."""
    drop_unused(db)
    used, number = db.families(), 1
    while f"{release}.{number}" in used:
        number += 1
    family = db.create_family(f"{release}.{number}", **OPTIONS)
    names, batch = set(), family.write_batch()
    for fields in stanzas(lines):
        if "Package" in fields:
            names.add(fields["Package"])
            batch.put(fields["Package"].encode(), fields.get("Version", "").encode())
            if len(names) % BATCH == 0:
                batch.write()
                batch.clear()
    # One write for the last packages of the list and for the release, which thereby gets the list.
    record = {"family": family.name, "packages": len(names)}
    batch.put(release.encode(), json.dumps(record).encode(), family="default")
    batch.write()
    drop_unused(db)
    return len(names)


def compare(db, old, new):
    """What differs between two releases: name, old version, new version. The two iterators have the same
    state of the database, and are merged by name."""
    iterators = db.iterators([family_of(db, old), family_of(db, new)], fill_cache=False)
    sides = [zip(iterator, repeat(side)) for side, iterator in enumerate(iterators)]
    for name, entries in groupby(heapq.merge(*sides), key=lambda entry: entry[0][0]):
        versions = {side: version.decode() for (_, version), side in entries}
        if versions.get(0) != versions.get(1):
            yield name.decode(), versions.get(0), versions.get(1)


def main():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # for `| head`
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for command, arguments in (("load", "release file?"), ("list", ""), ("compare", "old new"), ("drop", "release")):
        sub = commands.add_parser(command)
        for argument in ["db", *arguments.split()]:
            sub.add_argument(argument.rstrip("?"), nargs="?" if argument.endswith("?") else None)
    arguments = parser.parse_args()

    with open_database(arguments.db, create=arguments.command == "load") as db:
        if arguments.command == "load":
            with open_lines(arguments.file) as lines:
                print(f"{arguments.release}: {load(db, arguments.release, lines)} packages")
        elif arguments.command == "list":
            for release, record in releases(db).items():
                print(f"{release}: {record['packages']} packages")
        elif arguments.command == "compare":
            for name, old, new in compare(db, arguments.old, arguments.new):
                if old is None:
                    print(f"+ {name} {new}")
                elif new is None:
                    print(f"- {name} {old}")
                else:
                    print(f"~ {name} {old} -> {new}")
        else:
            family = family_of(db, arguments.release)
            db.delete(arguments.release.encode(), sync=True)
            db.drop_family(family)


if __name__ == "__main__":
    main()
