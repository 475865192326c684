"""One file a verb: what `sweeper VERB` does, and all that prints."""
