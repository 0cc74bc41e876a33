"""What both trainers share: examples, batches, the loop, its state on disk, simulated acceptance. torch and no server."""
