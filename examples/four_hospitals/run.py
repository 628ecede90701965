"""Four hospitals in processes of their own train together while they are killed, cut off and restarted.

    python examples/four_hospitals/run.py OUT [--over https|bucket] [--faults 12] [--seed 0]

It founds a federation, opens the study of ``study.toml``, lets the faults happen, waits until every hospital is done, runs
the same study in the simulation, and prints what went wrong, what came of it, and whether the models are as good.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from faults import Fault, do, drawn
from hospitals import DATA, HERE, PATIENTS, Hospital, four_hospitals
from relays import IMAGIQ, BucketRelay, HttpsRelay, Relay

FIRST_FAULT_S = 10.0
NETWORKS = {
    "https": "\n[network]\ndelay_s = 0.2\n",
    "bucket": "\n[network]\ndelay_s = 0.2\npoll_s = 5\n",
}
"""How news travels in the simulation, as was measured: over https it is told, in a bucket it is looked for every 5 s."""

STRATEGY = "latest-of-each"
SIMULATION = f"""\
title = "The same study in the simulation"
seed = 100

[data]
patients = {list(PATIENTS.values())}
{DATA}
"""


def main() -> int:
    """Run it; the exit code is 0 when nothing was lost and the models are as good as in the simulation."""
    asked = argparse.ArgumentParser(description="Four hospitals, real processes, real faults.")
    asked.add_argument("out", type=Path, help="an empty folder, or one of an earlier run")
    asked.add_argument("--over", choices=("https", "bucket"), default="https")
    asked.add_argument("--faults", type=int, default=12)
    asked.add_argument("--seed", type=int, default=0, help="which faults, in which order, to whom")
    given = asked.parse_args()
    out: Path = given.out.absolute()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    relay: Relay = BucketRelay(out / "relay")
    if given.over == "https":
        relay = HttpsRelay(out / "relay", members=out / "members.txt")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # nothing is left running
    hospitals: list[Hospital] = []
    try:
        hospitals = four_hospitals(out, relay)
        found = _live_through(hospitals, relay, drawn(given.seed, given.faults, hospitals))
        _wait(hospitals)
    finally:
        for one in hospitals:
            one.down()
        relay.kill()
    return _tell(out, hospitals, *found, given.over)


def _live_through(
    hospitals: Sequence[Hospital], relay: Relay, faults: Sequence[tuple[str, Hospital]]
) -> tuple[list[Fault], frozenset[str], float]:
    """Open the study and let everything happen; return that, what was acknowledged before, and how long it took."""
    hospitals[0].run("study", "open", str(HERE / "study.toml"))
    for one in hospitals:
        one.up()
    began_s = time.monotonic()
    time.sleep(FIRST_FAULT_S)
    found: list[Fault] = []
    acknowledged: set[str] = set()
    for kind, whom in faults:
        acknowledged |= whom.commits(own=True)
        fault = do(kind, whom, hospitals, relay, at_s=time.monotonic() - began_s)
        found.append(fault)
        print(f"{fault.at_s:6.0f} s  {fault.whom:6} {fault.kind:20} back after {fault.back_s:5.1f} s", flush=True)
    return found, frozenset(acknowledged), began_s


def _wait(hospitals: Sequence[Hospital]) -> None:
    """Wait until all are done and know the same; show how far they are."""
    while True:
        studies = {one.name: one.study() for one in hospitals}
        is_done = all(study is not None and study.state == "done" for study in studies.values())
        if is_done and len({one.commits() for one in hospitals}) == 1:
            return
        if sys.stderr.isatty():
            made = ", ".join(f"{name} {'-' if s is None else s.made.get(name, 0)}" for name, s in studies.items())
            print(f"\r{made}   ", end="", file=sys.stderr, flush=True)
        time.sleep(0.5)


def _tell(
    out: Path,
    hospitals: Sequence[Hospital],
    faults: list[Fault],
    acknowledged: frozenset[str],
    began_s: float,
    over: str,
) -> int:
    took_s = time.monotonic() - began_s
    histories, models = {one.commits() for one in hospitals}, [one.models() for one in hospitals]
    lost = acknowledged - frozenset.union(*histories)
    wrong = json.loads(hospitals[-1].run("verify", "--json"))
    simulated = _simulate(out, NETWORKS[over])
    measured = hospitals[0].measured()
    print(f"\nFour hospitals over {over}, {len(faults)} faults, {took_s:.0f} s\n")
    print("| at | what | whom | while it | others' commits meanwhile | back after |")
    print("|---:|---|---|---|---:|---:|")
    for f in faults:
        print(f"| {f.at_s:.0f} s | {f.kind} | {f.whom} | {f.during} | {f.others} | {f.back_s:.1f} s |")
    print(f"\nacknowledged commits lost    {len(lost)} of {len(acknowledged)} that were checked")
    print(f"histories                    {'identical' if len(histories) == 1 else 'DIFFERENT'}")
    same = all(one == models[0] for one in models)
    print(f"merges                       {len(models[0])}, {'identical' if same else 'DIFFERENT'}")
    print(f"verify                       {'all sound' if wrong.get('ok', True) else 'SOMETHING IS WRONG'}\n")
    mean = sum(measured.values()) / len(measured)
    low, value, high = simulated
    for name, dice in sorted(measured.items()):
        print(f"Dice at {name:20} {dice:.3f}")
    print(f"mean                         {mean:.3f}   in the simulation {value:.3f} [{low:.3f}, {high:.3f}]")
    return 0 if not lost and len(histories) == 1 and same and low <= mean else 1


def _simulate(out: Path, network: str) -> tuple[float, float, float]:
    """Run the same study in the simulation; return the mean of all hospitals' Dice with its interval."""
    study = (HERE / "study.toml").read_text("utf-8")
    sites = "".join(f'\n[[site]]\nname = "{name}"\n' for name in PATIENTS)
    text = SIMULATION + study[study.index("[task]") :] + network + sites + f'\n[[study]]\nstrategy = "{STRATEGY}"\n'
    (out / "federation.toml").write_text(text, "utf-8")
    done = subprocess.run(
        [*IMAGIQ, "simulate", str(out / "federation.toml"), "--out", str(out / "simulation"), "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(done.stdout + done.stderr)
    scores = json.loads((out / "simulation" / "outcome.json").read_text("utf-8"))["scores"]
    (mean,) = [s for s in scores if (s["way"], s["kind"], s["measure"]) == (STRATEGY, "mean", "dice")]
    return mean["low"], mean["value"], mean["high"]


if __name__ == "__main__":
    sys.exit(main())
