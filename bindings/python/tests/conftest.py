"""Fixtures: a scratch path, an open database, a seed that is printed."""

import os
import random
import subprocess
import sys

import pytest

import terrace


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "db")


@pytest.fixture
def db(path):
    with terrace.DB(path, create_if_missing=True) as database:
        yield database


@pytest.fixture
def rng():
    """A random generator whose seed a failing test prints; TERRACE_SEED repeats it."""
    seed = int(os.environ.get("TERRACE_SEED") or random.randrange(1 << 32))
    print(f"TERRACE_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def run_python():
    """Runs a program in an interpreter of its own and returns its output. It must exit with 0 within five
    minutes."""

    def run(source, *arguments, status=0):
        command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", source, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done

    return run
