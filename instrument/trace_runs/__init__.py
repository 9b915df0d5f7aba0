"""One run of a `Trace`: what it measures, when it begins and ends, and the events that its handlers get."""
