"""Tables and figures, from the results database alone; imports neither torch nor ray."""
