"""Trainers on run directories, `python -m rlhf.trainers.<name> RUN_DIR`: no Django, no database."""

import os

# Read when the libraries are imported, hence here: no hub, no telemetry (TRL phones home), no forked
# tokenizers.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
