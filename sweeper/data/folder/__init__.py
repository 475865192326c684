"""Recordings of one's own: audio files of any form, and a labels.csv that tells what they are."""
