#!/usr/bin/env python3
"""Core-seconds that compiling costs, by kind of file: each command of compile_commands.json, without ccache, timed by the
processor time of the compiler, so that what else the machine does matters little. One at a time; docs/building.md has
the results.

  bench/compile_times.py [--build build] [--only flywheel|tests] [--match REGEX] [--files N] [--previous FILE.json]
                         [--save FILE.json]
"""
import argparse
import collections
import json
import os
import pathlib
import re
import resource
import shlex
import subprocess
import sys
import tempfile


def kind_of(path):
    path = re.sub(r"^[^/]+/groups/", "src/", path)  # cmake/groups.cmake
    if re.search(r"(_test|/test_\d+)\.cc$", path):
        return "tests"
    parts = path.split("/")
    if parts[0] != "src" or len(parts) == 2:
        return parts[0] if parts[0] != "src" else "main"
    return "/".join(parts[1:3]) if parts[1] == "engine" else parts[1]


def seconds_of(entry):
    """Processor time of one compilation; its output is thrown away."""
    words = shlex.split(entry["command"])
    words = words[next(i for i, word in enumerate(words) if re.search(r"(c|g|clang)\+\+(-\d+)?$", word)):]
    with tempfile.TemporaryDirectory() as folder:
        output = words.index("-o") + 1
        words[output] = os.path.join(folder, "out.o")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(words, cwd=entry["directory"], capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{entry['file']}: {done.stderr}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    arguments.add_argument("--build", default="build")
    arguments.add_argument("--only", choices=["flywheel", "tests"])
    arguments.add_argument("--match", default="", help="only files whose path matches this")
    arguments.add_argument("--files", type=int, default=12, help="how many of the slowest to list")
    arguments.add_argument("--save", help="write the seconds of every file here")
    arguments.add_argument("--previous", help="a file that --save wrote: shown beside")
    options = arguments.parse_args()
    build = pathlib.Path(options.build).resolve()
    root = build.parent
    seconds = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.relpath(entry["file"], root)
        kind = kind_of(path)
        if options.only and (options.only == "tests") != (kind == "tests") or kind == "bench" and options.only:
            continue
        if re.search(options.match, path):
            seconds[path] = round(seconds_of(entry), 2)
            print(f"{seconds[path]:7.2f}  {path}", file=sys.stderr)
    if options.save:
        pathlib.Path(options.save).write_text(json.dumps(seconds, indent=1))

    def table(of):
        sums = collections.defaultdict(lambda: [0, 0.0])
        for path, value in of.items():
            sums[kind_of(path)][0] += 1
            sums[kind_of(path)][1] += value
        sums["all"] = [len(of), sum(of.values())]
        return sums

    now = table(seconds)
    before = table(json.loads(pathlib.Path(options.previous).read_text())) if options.previous else {}
    for kind, (count, total) in sorted(now.items(), key=lambda item: -item[1][1]):
        was = f"   before: {before[kind][0]:4d} {before[kind][1]:8.1f}" if kind in before else ""
        print(f"{kind:24s} {count:4d} files {total:8.1f} s{was}")
    for path, value in sorted(seconds.items(), key=lambda item: -item[1])[:options.files]:
        print(f"  {value:7.2f}  {path}")


if __name__ == "__main__":
    main()
