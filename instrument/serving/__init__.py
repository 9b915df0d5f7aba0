"""Serves the pages of the HTML report for processes that run, with numbers that are renewed.

A data folder comes in. `sampling` asks the processes to write, and reads the data. `samples` holds the newest
result. `rates` compares two results, and `documents` makes JSON of a result. `site` answers requests, and refuses
requests of other sites and programs. `server` listens on the loopback address.
"""
