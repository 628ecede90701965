"""A plain PyTorch script that knows nothing of imagiq: a folder of files in, files out.

python plain_pytorch.py FOLDER

FOLDER holds job.json and, as job.json says, weights.safetensors and cases.safetensors; the results go into FOLDER/result.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def network(channels: int, classes: int, width: int) -> nn.Module:
    """Return a small network that says a class for each pixel."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 5, padding=2),
        nn.GroupNorm(2, width),
        nn.ReLU(),
        nn.Conv2d(width, width, 5, padding=2),
        nn.GroupNorm(2, width),
        nn.ReLU(),
        nn.Conv2d(width, classes, 1),
    )


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Return images with mean 0 and deviation 1 in each channel."""
    mean, deviation = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True)
    return (images - mean) / deviation.clamp_min(1e-6)


def train(model: nn.Module, images: torch.Tensor, truth: torch.Tensor, job: dict) -> float:
    """Train as long as the job says; return the last loss."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01 * (1.0 - job["progress"]) + 0.001)
    rare = torch.tensor([0.1] + [1.0] * len(job["labels"]))  # most of an image is no tumour
    loss = torch.tensor(0.0)
    for _ in range(job["budget"]):
        chosen = torch.randint(len(images), (8,))
        scores = model(images[chosen])
        loss = nn.functional.cross_entropy(scores, truth[chosen], weight=rare)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return float(loss)


def main() -> None:
    """Do one job."""
    folder = Path(sys.argv[1])
    job = json.loads((folder / "job.json").read_text())
    numbers = [0, *sorted(job["labels"].values())]
    torch.set_num_threads(1)
    torch.manual_seed(job["seed"])
    model = network(len(job["channels"]), len(numbers), job["parameters"].get("width", 8))
    if job["do"] != "initial":
        model.load_state_dict(load_file(folder / "weights.safetensors"))
        cases = load_file(folder / "cases.safetensors")
        images = normalised(cases["images"])
    result = {}
    if job["do"] == "train":
        truth = torch.searchsorted(torch.tensor(numbers), cases["truth"].long())
        result["metrics"] = {"loss": train(model, images, truth, job)}
    if job["do"] == "predict":
        with torch.no_grad():
            masks = torch.tensor(numbers, dtype=torch.uint8)[model(images).argmax(1)]
        save_file({"masks": masks}, folder / "result" / "predictions.safetensors")
    else:
        save_file(model.state_dict(), folder / "result" / "weights.safetensors")
    (folder / "result" / "result.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main()
