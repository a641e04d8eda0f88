"""Finding the library."""

import pathlib
import shutil

import pytest

import terrace

PACKAGE = pathlib.Path(terrace.__file__).parent


def copy_package(tmp_path, bundled):
    """The package without its library, or with the one under test."""
    shutil.copytree(PACKAGE, tmp_path / "terrace", ignore=shutil.ignore_patterns("*.so*", "__pycache__"))
    if bundled:
        shutil.copy(terrace.library_path, tmp_path / "terrace" / "libterrace.so.0")
    return str(tmp_path)


LOAD = "import sys; sys.path.insert(0, sys.argv[1]); import terrace; print(terrace.library_path)"


def test_the_one_that_is_named_wins(run_python, tmp_path, monkeypatch):
    other = shutil.copy(terrace.library_path, tmp_path / "other.so")
    monkeypatch.setenv("TERRACE_LIBRARY", str(other))
    assert run_python(LOAD, copy_package(tmp_path, bundled=True)).stdout.strip() == str(other)


def test_the_bundled_one_comes_next(run_python, tmp_path, monkeypatch):
    monkeypatch.delenv("TERRACE_LIBRARY", raising=False)
    directory = copy_package(tmp_path, bundled=True)
    assert run_python(LOAD, directory).stdout.strip() == f"{directory}/terrace/libterrace.so.0"


def test_the_systems_comes_last(run_python, tmp_path, monkeypatch):
    monkeypatch.delenv("TERRACE_LIBRARY", raising=False)
    system = tmp_path / "lib"
    system.mkdir()
    shutil.copy(terrace.library_path, system / "libterrace.so.0")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(system))
    assert run_python(LOAD, copy_package(tmp_path, bundled=False)).stdout.strip() == "libterrace.so.0"


def test_what_was_tried_is_told(run_python, tmp_path, monkeypatch):
    monkeypatch.delenv("TERRACE_LIBRARY", raising=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    directory = copy_package(tmp_path, bundled=False)
    said = run_python(LOAD, directory, status=1).stderr
    if "ImportError" not in said:
        pytest.fail(f"a libterrace.so.0 of the system was loaded: {said}")
    assert (
        f"{directory}/terrace/libterrace.so.0: " in said and "  libterrace.so.0: " in said and "TERRACE_LIBRARY" in said
    )


def test_one_that_is_named_and_does_not_load_is_not_replaced(run_python, tmp_path, monkeypatch):
    directory = copy_package(tmp_path, bundled=True)
    for wrong in ("/no/such.so", "libc.so.6"):  # libc lacks our functions
        monkeypatch.setenv("TERRACE_LIBRARY", wrong)
        said = run_python(LOAD, directory, status=1).stderr
        assert f"  {wrong}: " in said and "ImportError" in said


def test_versions():
    assert terrace.__version__ == terrace.library_version
    assert terrace.__leveldb_version__ == "1.23"
