"""Files beside the database: checkpoints, results, manifests."""
