#!/bin/bash
# Two nodes with four ranks each; every rank records a run of its own. Submit it, and merge when it has ended:
#     sbatch ranks.sh
#     exptrack merge lab.db "$HOME/spool"
#SBATCH --job-name=line
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --time=00:10:00
set -eu
export EXPTRACK_SPOOL="${EXPTRACK_SPOOL:-$HOME/spool}"
# torchrun sets RANK, WORLD_SIZE and LOCAL_RANK for each process that it starts.
exec srun torchrun --nnodes="$SLURM_JOB_NUM_NODES" --nproc-per-node=4 --rdzv-id="$SLURM_JOB_ID" \
    --rdzv-backend=c10d --rdzv-endpoint="$SLURMD_NODENAME:29500" train.py
