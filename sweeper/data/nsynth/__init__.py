"""NSynth (Engel et al., 2017): its archives, read as they were published."""
