"""While it runs: live counters, what is measured, and the hooks that bring it into being. The only floor with state."""
