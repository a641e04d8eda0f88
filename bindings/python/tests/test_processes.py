"""Garbage collection, exits of the interpreter, children of fork, and leaks."""

import gc
import os
import threading
import time

import pytest

import terrace


def kernel_threads():
    return len(os.listdir("/proc/self/task"))


def wait_for_threads(most):
    """Waits until the threads are gone: a joined thread may stay in the kernel's list for a moment."""
    deadline = time.monotonic() + 60
    while kernel_threads() > most:
        assert time.monotonic() < deadline, f"{kernel_threads()} threads, and there were {most}"
        os.sched_yield()


def test_a_database_that_is_dropped_closes(path):
    for _ in range(3):
        db = terrace.DB(path, create_if_missing=True)
        iterator, snapshot = db.iterator(), db.snapshot()
        db.put(b"a", b"")
        del db, iterator, snapshot
        gc.collect()


def test_a_database_in_a_cycle_closes(path):
    db = terrace.DB(path, create_if_missing=True)
    cycle = [db]
    cycle.append(cycle)
    del db, cycle
    gc.collect()
    terrace.DB(path).close()


def test_nothing_leaks(path):
    """Memory, threads and open files do not grow while databases, iterators, snapshots and batches are
    created and closed."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files():
        return len(os.listdir("/proc/self/fd"))

    def round_trip():
        db = terrace.DB(path, create_if_missing=True, lru_cache_size=1 << 20, bloom_filter_bits=10)
        with db.write_batch() as batch:
            for i in range(300):
                batch.put(b"%d" % i, bytes(300))
        for _ in range(100):
            iterator = db.iterator()
            next(iterator)
            snapshot = db.snapshot()
            snapshot.get(b"1")
            with pytest.raises(TypeError):
                db.put(b"", 1)
            db.get(b"250")
            db.get_property(b"leveldb.stats")
        kept = db.iterator()
        next(kept)
        db.close()
        with pytest.raises(terrace.Error):
            terrace.DB(path + "/no/such")

    for _ in range(20):
        round_trip()
    gc.collect()
    memory, descriptors, threads = resident(), files(), kernel_threads()
    for _ in range(100):
        round_trip()
    gc.collect()
    assert files() <= descriptors
    wait_for_threads(threads)
    # The growth over 100 rounds, each with 100 iterators and snapshots and a database of 100 KiB.
    assert resident() - memory < 8 << 20


def test_an_interpreter_that_exits_without_closing(run_python, path):
    run_python(
        """
import sys, terrace
db = terrace.DB(sys.argv[1], create_if_missing=True)
db.put(b"a", b"1")
iterator, snapshot, batch = iter(db), db.snapshot(), db.write_batch()
next(iterator)
raw = db.raw_iterator()
""",
        path,
    )
    with terrace.DB(path) as db:
        assert list(db) == [(b"a", b"1")]


def test_an_interpreter_that_exits_while_comparators_run_in_the_background(run_python, path):
    run_python(
        """
import sys, terrace
db = terrace.DB(sys.argv[1], create_if_missing=True, write_buffer_size=1 << 16,
    comparator=lambda a, b: (a > b) - (a < b), comparator_name=b"x")
for i in range(3000):
    db.put(b"%06d" % (i * 7919 % 3000), bytes(200))
iterator = db.iterator()
next(iterator)
""",
        path,
    )


def test_an_interpreter_that_exits_while_threads_use_the_database(run_python, path):
    run_python(
        """
import sys, threading, terrace
db = terrace.DB(sys.argv[1], create_if_missing=True)
running = threading.Event()
def work():
    try:
        while True:
            db.put(b"a", bytes(1000)); db.get(b"a"); list(db); running.set()
    except RuntimeError:
        pass
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
running.wait()
""",
        path,
    )


def test_a_child_of_fork_is_refused_and_does_no_harm(run_python, path):
    done = run_python(
        """
import os, sys, terrace
db = terrace.DB(sys.argv[1], create_if_missing=True)
for i in range(100):
    db.put(b"%d" % i, b"")
iterator, snapshot = db.iterator(), db.snapshot()
next(iterator)
child = os.fork()
if child == 0:
    refused = 0
    for call in (lambda: db.get(b"1"), lambda: db.put(b"x", b""), lambda: list(db), lambda: list(iterator),
                 lambda: snapshot.get(b"1"), db.snapshot, db.flush):
        try:
            call()
        except terrace.IOError as error:
            refused += 1
    iterator.close(); snapshot.close(); db.close()
    with terrace.DB(sys.argv[1] + "-child", create_if_missing=True) as own:
        own.put(b"a", b"")
    print("refused", refused, flush=True)
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert len(list(db)) == 100
db.put(b"x", b"y")
db.close()
""",
        path,
    )
    assert done.stdout == "refused 7\n"
    with terrace.DB(path) as db:
        assert db.get(b"x") == b"y"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(run_python, path, method, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        """
import multiprocessing, sys, terrace

def work(path, number):
    with terrace.DB(f"{path}-{number}", create_if_missing=True) as own:
        own.put(b"n", b"%d" % number)
        return int(own.get(b"n"))

if __name__ == "__main__":
    path = sys.argv[1]
    with terrace.DB(path, create_if_missing=True) as db:
        db.put(b"a", b"1")
        context = multiprocessing.get_context(sys.argv[2])
        with context.Pool(2) as pool:
            assert pool.starmap(work, [(path, number) for number in range(4)]) == [0, 1, 2, 3]
        assert db.get(b"a") == b"1"
"""
    )
    run_python(
        "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')",
        str(program),
        path,
        method,
    )


def test_a_fork_while_a_thread_is_inside_an_iterator(run_python, path):
    """The lock that another thread holds must not block the child."""
    run_python(
        """
import os, sys, threading, terrace
db = terrace.DB(sys.argv[1], create_if_missing=True)
with db.write_batch() as batch:
    for i in range(50000):
        batch.put(b"%06d" % i, bytes(50))
iterator, stop = db.iterator(), threading.Event()
def scan():
    while not stop.is_set():
        iterator.seek_to_start()
        for _ in iterator:
            pass
thread = threading.Thread(target=scan)
thread.start()
for _ in range(10):
    child = os.fork()
    if child == 0:
        iterator.close()
        db.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
db.close()
""",
        path,
    )


def test_a_database_collected_inside_its_own_comparator(run_python, path):
    """Closing joins the thread on which the comparator runs, so that thread must not close the database."""
    done = run_python(
        """
import gc, sys, threading, terrace
entered, go, done = threading.Event(), threading.Event(), threading.Event()
def compare(a, b):
    if threading.current_thread() is not threading.main_thread() and not entered.is_set():
        entered.set()
        go.wait()
        print("collected", gc.collect() > 0, flush=True)
        done.set()
    return (a > b) - (a < b)
gc.disable()
db = terrace.DB(sys.argv[1], create_if_missing=True, comparator=compare, comparator_name=b"x",
    write_buffer_size=1 << 16, max_write_buffer_number=1000)
for _ in range(200):  # some thirty memtables: none of these puts waits for the flush of them
    db.put(b"a", bytes(5000))
    db.put(b"b", bytes(5000))
entered.wait()  # the flush has begun
cycle = [db]
cycle.append(cycle)
del db, cycle
go.set()
done.wait()
""",
        path,
    )
    assert done.stdout == "collected True\n"
    terrace.DB(path, comparator=lambda a, b: (a > b) - (a < b), comparator_name=b"x").close()


def test_threads_of_closed_databases_are_gone(path):
    before = kernel_threads()
    db = terrace.DB(path, create_if_missing=True)
    for i in range(3):
        db.put(b"%d" % i, b"")
        db.compact_range()
    db.close()
    wait_for_threads(before)
    assert threading.active_count() == 1
