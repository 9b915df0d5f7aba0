import importlib

import state

state.count += 1
print(state.count, state.bump())
old = state.bump
importlib.reload(state)
print(state.count, state.bump(), old(), old is state.bump)
