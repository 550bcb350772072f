#!/bin/bash
# Four tasks of a SLURM array; each tries another learning rate. Submit it, and merge when all have ended:
#     sbatch array.sh
#     exptrack merge lab.db "$HOME/spool"
#SBATCH --job-name=line
#SBATCH --array=0-3
#SBATCH --time=00:10:00
#SBATCH --signal=B:TERM@60
set -eu
export EXPTRACK_SPOOL="${EXPTRACK_SPOOL:-$HOME/spool}"
# With exec, the signal that SLURM sends a minute before the time is over reaches Python: the run is interrupted in
# order, and what lies on the node's disk is copied to the spool.
exec python train.py
