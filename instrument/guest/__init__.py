"""How this package stays unnoticed in the measured program: own builtins, own imports, hidden frames, safe files,
messages.
"""
