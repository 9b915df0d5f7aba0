"""Writes an analysis as web pages: an index of all files, and a page for each file.

An Analysis comes in. `file_page` and `index_page` turn it into plain values. `rendering` makes pages of these by
templates. `writing` puts the pages into a folder, or into one file. `packed_tests` packs the tests that ran the lines.

Only `rendering` needs other libraries, those of the extra `report`. So the other modules work without them.
"""
