# Nothing here.

# And nothing here.
