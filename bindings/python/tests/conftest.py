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
    """Chance from a seed, which a failing test shows; TERRACE_SEED gives it again."""
    seed = int(os.environ.get("TERRACE_SEED") or random.randrange(1 << 32))
    print(f"TERRACE_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def run_python():
    """Runs a program in an interpreter of its own; returns what it said. It must end with 0 within five minutes."""

    def run(source, *arguments, status=0):
        command = [sys.executable, "-X", "faulthandler", "-W", "error", "-c", source, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done

    return run
