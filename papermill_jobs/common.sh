# What the four job scripts share: find the checkout, prefer a local disk for scratch, become the job.
# Sourced by them with the notebook, its parameter file and the calculator's own defaults set.
set -euo pipefail

# SLURM runs a copy of the script; REPOSITORY says where the checkout is when it is not the folder
# that the job was submitted from.
cd "${REPOSITORY:-${SLURM_SUBMIT_DIR:-$PWD}}"
python=${PYTHON:-.venv/bin/python}
[[ -x $python ]] || { echo "no $python in $PWD: submit from the checkout after make env, or set REPOSITORY or PYTHON" >&2; exit 2; }

export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
echo "$(date -Is) job ${SLURM_JOB_ID:-none}${SLURM_ARRAY_TASK_ID:+ task $SLURM_ARRAY_TASK_ID}" \
  "start ${SLURM_RESTART_COUNT:-0} on $(hostname): $NOTEBOOK, $PARAMETERS"

# In place of the shell: --signal=B:USR1 reaches the batch shell only.
exec "$python" -m gadlib job "$NOTEBOOK" --parameters "$PARAMETERS"
