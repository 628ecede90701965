"""What runs in a worker: networks, losses, training, application. All that imports PyTorch lies here."""
