"""IPython and Jupyter: `%%instrument` shows how often each line of a cell ran; `magics` has the extension."""
