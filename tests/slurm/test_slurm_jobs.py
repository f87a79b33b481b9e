"""The job scripts on a real SLURM of one node, started for these tests.

Jobs that are sent signals are processes of their own, whose interpreter imports all. The others ask
for a fork of one that has (`warm`), which leaves SLURM and the scripts as they are.
"""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import warm

from gadlib.files.reading import read_json
from gadlib.settings.reading import InputError
from gadlib.tuning.tune import load, read_status

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=5
SlurmctldPort={port}
SlurmdPort={port2}
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
KillWait=25
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobCompType=jobcomp/filetxt
JobCompLoc={base}/jobcomp.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=64 RealMemory=300000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""

TINY = {
    "N_TRIALS": "4",
    "N_SAMPLES": "1",
    "MAX_SAMPLES": "2",
    "N_STEPS_PER_SAMPLE": "3",
    "SCREENING_STEPS": "2",
    "START_FROM": "ts_noise0.1A",
    "WORKERS": "0",
}


@pytest.fixture(scope="module")
def slurm():
    if os.geteuid() != 0:
        pytest.skip("a SLURM of one's own runs as root")
    for program in ("slurmctld", "slurmd", "sbatch"):
        if not shutil.which(program):
            pytest.skip(f"no {program} (Debian: apt-get install slurmctld slurmd slurm-client)")
    base = Path(f"/tmp/gadlib-slurm-{os.getpid()}")
    (base / "state").mkdir(parents=True)
    (base / "spool").mkdir()
    host = os.uname().nodename.split(".")[0]
    ports = {"port": 20000 + os.getpid() % 20000, "port2": 20001 + os.getpid() % 20000}
    configuration = base / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(base=base, host=host, **ports))
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(configuration)
    servers = [
        subprocess.Popen([shutil.which(name), "-D", *more], stderr=subprocess.DEVNULL)
        for name, more in (("slurmctld", ["-i"]), ("slurmd", ["-N", host]))
    ]
    until = time.monotonic() + 60
    while "idle" not in _told("timeout", "2", "sinfo", "-h", "-o", "%T"):
        assert time.monotonic() < until, (base / "slurmctld.log").read_text()[-2000:]
        time.sleep(0.2)
    yield base
    _told("scancel", "-u", "root")
    for server in reversed(servers):
        server.terminate()
        server.wait()
    if before is None:
        del os.environ["SLURM_CONF"]
    else:
        os.environ["SLURM_CONF"] = before
    shutil.rmtree(base, ignore_errors=True)


def _told(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.fixture(scope="module")
def warm_python(tmp_path_factory):
    """A program that is this interpreter, but for its imports."""
    program = tmp_path_factory.mktemp("warm") / "python"
    lines = (
        f"#!{sys.executable}",
        "import sys",
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})",
        "import warm",
        f"warm.Popen.address = {warm.address()!r}",
        "sys.exit(warm.run([sys.executable, *sys.argv[1:]]).returncode)",
    )
    program.write_text("\n".join(lines))
    program.chmod(0o755)
    return {"PYTHON": str(program)}


def submit(script, folder, *flags, **variables):
    """The job's number."""
    folder.mkdir(exist_ok=True)
    given = TINY | {"OUT_DIR": str(folder), "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    environment = os.environ | given | variables
    command = ["sbatch", "--parsable", f"--output={folder}/%j.out", *flags, script]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().split(";")[0]


def wait(job, *states, patience_s=240):
    """The state of the job, once it is one of these."""
    until = time.monotonic() + patience_s
    while True:
        told = _told("scontrol", "show", "job", job)
        found = {word[9:] for word in told.split() if word.startswith("JobState=")}
        if found and found <= set(states):
            return found.pop() if len(found) == 1 else sorted(found)
        assert time.monotonic() < until, told
        time.sleep(0.3)


def wait_for_a_trial(url, told, patience_s=120):
    """Return once the study has a trial; files of results come later, at times too late."""
    until = time.monotonic() + patience_s
    while True:
        with suppress(InputError):
            if read_status(load(url)).n_done:
                return
        assert time.monotonic() < until, told.read_text()
        time.sleep(0.3)


ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT")


@pytest.mark.parametrize("calculator", ["scine", "hip"])
def test_screening_with_given_values_runs_to_its_end(calculator, slurm, warm_python, tmp_path):
    job = submit(
        f"papermill_jobs/{calculator}_multi_mode_eckartmw.slurm",
        tmp_path / "o",
        "--gres=none",
        CALCULATOR="scine",
        ESCAPE_DELTA="0.15",
        **warm_python,
    )
    told = tmp_path / "o" / f"{job}.out"
    assert wait(job, *ENDED) == "COMPLETED", told.read_text()
    settings = read_json(tmp_path / "o" / "screening.json")["settings"]
    assert settings["hyperparameters"] == {"escape_delta": 0.15}
    executed = (tmp_path / "o" / f"01_screen-{job}.ipynb").read_text()
    assert executed.count('"image/png"') == 4


def test_an_array_is_so_many_workers_on_one_study(slurm, warm_python, tmp_path):
    out = tmp_path / "o"
    job = submit(
        "papermill_jobs/scine_multi_mode_eckartmw_hpo.slurm",
        out,
        "--array=0-1",
        STUDY_NAME="array",
        STORAGE=f"journal:///{out}/study.log",
        **warm_python,
    )
    assert wait(job, *ENDED) == "COMPLETED", [p.read_text() for p in out.glob("*.out")]
    study = load(f"journal:///{out}/study.log", "array")
    assert read_status(study).n_done == 4
    assert read_json(out / "hpo_results.json")["best_score"] == study.best_value


def test_a_cancelled_job_resumes_and_an_unusable_value_fails_before_it_starts(
    slurm, warm_python, tmp_path
):
    out = tmp_path / "o"
    more = {"STUDY_NAME": "one", "N_TRIALS": "400", "N_STEPS_PER_SAMPLE": "20"}
    script = "papermill_jobs/scine_multi_mode_eckartmw_hpo.slurm"
    url = f"sqlite:///{out}/scine_hpo_study.db"
    job = submit(script, out, **more)
    wait_for_a_trial(url, out / f"{job}.out")
    _told("scancel", job)
    assert wait(job, *ENDED) == "CANCELLED"
    done = read_status(load(url)).n_done
    assert done < 400
    more |= warm_python | {"N_TRIALS": str(done + 1)}
    again = submit(script, out, **more, RESUME="--resume")
    assert wait(again, *ENDED) == "COMPLETED", (out / f"{again}.out").read_text()
    found = read_status(load(url))
    assert (found.n_done, found.stale) == (done + 1, ())
    wrong = submit(script, out, N_TRIALS="many", **warm_python)
    assert wait(wrong, *ENDED) == "FAILED"
    assert "N_TRIALS=many" in (out / f"{wrong}.out").read_text()


TWO_MORE = """#!/bin/bash
# The first start may go on for long; once queued again the job is to add two trials.
((SLURM_RESTART_COUNT)) || exec {python} "$@"
export N_TRIALS=$({python} -c "
import sqlite3
query = 'select 2 + count(*) from trials where state = ?'
print(*sqlite3.connect('{database}').execute(query, ('COMPLETE',)).fetchone())")
echo "$N_TRIALS" >{database}.total
exec {warm} "$@"
"""


def test_a_job_near_its_end_is_requeued_and_goes_on(slurm, warm_python, tmp_path):
    out, database = tmp_path / "o", tmp_path / "o" / "scine_hpo_study.db"
    python = tmp_path / "python"
    again = warm_python["PYTHON"]
    python.write_text(TWO_MORE.format(python=sys.executable, warm=again, database=database))
    python.chmod(0o755)
    more = {"STUDY_NAME": "two", "N_TRIALS": "400", "N_STEPS_PER_SAMPLE": "20"}
    more |= {"CALCULATOR": "scine", "PYTHON": str(python)}
    url = f"sqlite:///{database}"
    job = submit("papermill_jobs/hip_multi_mode_eckartmw_hpo.slurm", out, "--gres=none", **more)
    wait_for_a_trial(url, out / f"{job}.out")
    _told("scancel", "--batch", "--signal=USR1", job)  # as --signal=B:USR1@120 does in time
    assert wait(job, *ENDED) == "COMPLETED", (out / f"{job}.out").read_text()
    told = (out / f"{job}.out").read_text()
    assert "stopped by SIGUSR1" in told
    assert "start 1" in told
    assert read_status(load(url)).n_done == int(Path(f"{database}.total").read_text())
