"""Fuzzes for a while: `python tests/fuzz/fuzzing.py [--minutes 10] [--target NAME] [--seed N]`.

Each input comes of a seed, which a finding names: with `--target` and `--seed` that input is made again, once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

from targets import TARGETS  # noqa: E402

from forked import Forked  # noqa: E402

WHOLE_EVERY = 10


def main() -> int:
    """Fuzz; the number of findings, at most one for each target and kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--target", choices=sorted(TARGETS))
    parser.add_argument("--seed", type=int)
    given = parser.parse_args()
    names = [given.target] if given.target else list(TARGETS)
    first = int(time.time()) if given.seed is None else given.seed
    findings = 0
    forked = Forked()
    for name in names:
        end = time.monotonic() + given.minutes * 60 / len(names)
        with tempfile.TemporaryDirectory(prefix="dbxdec-fuzz-") as folder:
            target = TARGETS[name](forked, Path(folder).resolve())
            seed = first
            while time.monotonic() < end:
                finding = target.run(seed, whole=given.seed is not None or seed % WHOLE_EVERY == 0)
                if finding:
                    findings += 1
                    print(f"-- {name}, seed {seed}\n{finding}\n", flush=True)
                seed += 1
                if given.seed is not None:
                    break
            print(f"{name}: {seed - first:,} inputs from seed {first}", flush=True)
    forked.close()
    print(f"{findings} findings")
    return min(findings, 1)


if __name__ == "__main__":
    sys.exit(main())
