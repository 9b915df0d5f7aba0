"""Make unlinked code live, by way of counters and code groups, and keep unlinked code in a cache.

Unlinked code comes in from the rewriter. Live code goes out, with a code group that says which counter belongs to which
code object. The counts of a group go out too, by way of its packed infos.
"""
