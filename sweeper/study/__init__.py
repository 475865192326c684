"""What is to be trained: request, preset, grid, cells, run configs, packs; pure."""
