"""One run of a `Trace`: the modules that it measures, its beginning and its end, and the events for its handlers."""
