"""Puts libterrace.so into the wheel, and sets the platform tag of the wheel.

The library is `$TERRACE_WHEEL_LIBRARY`, which `make wheel` sets. Without it the wheel contains no library,
and uses that of the system.
"""

import os
import platform
import re
import subprocess
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The libraries that every manylinux system has.
MANYLINUX = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1"}


def readelf(option, library):
    return subprocess.run(["readelf", "-W", option, library], check=True, capture_output=True, text=True).stdout


def platform_tag(library):
    """`manylinux_x_y` for the oldest glibc with all symbols that are needed; `linux` if other libraries are
    needed."""
    machine = platform.machine()
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", readelf("-d", library)))
    others = {name for name in needed - MANYLINUX if not name.startswith("ld-linux")}
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", readelf("-V", library))
    if others or not versions:
        return f"linux_{machine}"
    major, minor = max((int(major), int(minor)) for major, minor in versions)
    return f"manylinux_{major}_{minor}_{machine}"


class CustomBuildHook(BuildHookInterface):
    def initialize(self, version, build_data):
        library = os.environ.get("TERRACE_WHEEL_LIBRARY")
        if library is None or version == "editable":
            return
        path = Path(library).resolve(strict=True)
        build_data["force_include"][str(path)] = "terrace/libterrace.so.0"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag(path)}"
