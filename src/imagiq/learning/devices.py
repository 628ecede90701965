"""Says what PyTorch finds on this machine, as JSON: run as ``python -m imagiq.learning.devices`` by who asks."""

from __future__ import annotations

import json
import os

import torch


def main() -> None:
    """Write PyTorch's version and the names of the GPUs to standard output."""
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    os.write(1, json.dumps({"torch": torch.__version__, "gpus": gpus}).encode("ascii"))


if __name__ == "__main__":
    main()
