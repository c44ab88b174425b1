"""Throughput of Model.run from Python beside `espquant run`: frames of the bundled network through the simulated chip.

    PYTHONPATH=build/python /usr/bin/python3 bench/python_run_bench.py [--program build/espquant] [--runs 5]

Each goes over the test pictures four times and once; the difference is what frames cost, without what starting a program, opening
files and building the simulator take. The best of the runs, which take turns. On a machine that others use too, look at the
processor's time.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

import espquant as eq

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples/gesture"


def timed(work):
    """Seconds by the clock and of the processors, those of programs that it runs included."""
    before, begin = os.times(), time.perf_counter()
    work()
    wall, after = time.perf_counter() - begin, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--program", type=pathlib.Path, default=ROOT / "build/espquant")
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--json", action="store_true")
    chosen = options.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "gesture.espdl"
        eq.quantize(EXAMPLE / "gesture.onnx", EXAMPLE / "calib.npz").save_as(file)
        images = np.tile(np.load(EXAMPLE / "test.npz")["images"], (4, 1, 1))
        counts = (len(images) // 4, len(images))
        inputs = {count: pathlib.Path(folder) / f"{count}.npz" for count in counts}
        for count, path in inputs.items():
            np.savez(path, images=images[:count])
        model = eq.Model(file)

        def program(count):
            subprocess.run(
                [chosen.program, "run", file, "--input", inputs[count], "--out", pathlib.Path(folder) / "out.npz", "--quiet"],
                check=True, stdout=subprocess.DEVNULL)

        ways = {"espquant run": program, "Model.run": lambda count: model.run(images[:count])}
        taken = {(way, count): [] for way in ways for count in counts}
        for _ in range(chosen.runs):
            for way, work in ways.items():
                for count in counts:
                    taken[way, count].append(timed(lambda: work(count)))

    rows = []
    for way in ways:
        few, all_of_them = ([min(column) for column in zip(*taken[way, count])] for count in counts)
        between = counts[1] - counts[0]
        rows.append({
            "way": way,
            "frames": counts[1],
            "whole_wall_per_second": counts[1] / all_of_them[0],
            "wall_per_second": between / (all_of_them[0] - few[0]),
            "cpu_per_second": between / (all_of_them[1] - few[1]),
        })
    figures = ("whole_wall_per_second", "wall_per_second", "cpu_per_second")
    shares = {name: rows[1][name] / rows[0][name] for name in figures}
    if chosen.json:
        json.dump({"runs": chosen.runs, "rows": rows, "share": shares}, sys.stdout, indent=2)
        print()
        return
    print(f"{'frames a second':<15}  {'all of it':>10}  {'per frame':>10}  {'per processor second':>20}")
    for row in rows:
        print(f"{row['way']:<15}  {row[figures[0]]:>10.0f}  {row[figures[1]]:>10.0f}  {row[figures[2]]:>20.0f}")
    print(f"{'share':<15}  " + "  ".join(f"{100 * shares[name]:>{width}.0f} %" for name, width in zip(figures, (8, 8, 18))))


if __name__ == "__main__":
    main()
