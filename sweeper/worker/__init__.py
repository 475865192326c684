"""The worker process: one pack trained and probed; knows neither ledger nor console."""
