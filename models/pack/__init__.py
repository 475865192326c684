"""The pack trainer: K runs at once in one process."""
