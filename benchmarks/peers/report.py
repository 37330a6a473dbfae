"""The table of what others add to a call beside what tachograph adds, from their environments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from peers.environments import PEERS, python_of

BENCHMARKS = Path(__file__).parents[1]


def report(rounds: int) -> None:
    """Makes what environments are missing, measures in one after the other, and prints."""
    print("| call | CPU of | beside | bare call, us | it adds | tachograph adds | ratio |")
    print("|---|---|---|--:|--:|--:|--:|")
    for peer, package in PEERS.items():
        done = subprocess.run(
            [python_of(peer), "-m", "peers.cost_of_calls", peer, str(rounds)],
            cwd=BENCHMARKS,
            check=True,
            capture_output=True,
            text=True,
        )
        for kind, told in json.loads(done.stdout).items():
            call, clock = kind.split(", ")
            bare, theirs, ours = told["bare call"], told["peer"], told["ours"]
            print(
                f"| {call} | {clock} | {package} | {bare:.0f} | {theirs:.0f} | {ours:.0f} "
                f"| {theirs / ours:.1f} |",
                flush=True,
            )
