"""Single notes rendered from a SoundFont: the dataset that needs no download."""
