"""The parts of the peer benchmark; `peers.py` beside this folder is the command.

    workloads    what is run: programs, how they are started, which directories are in scope
    tools        under what it is run: start, run, read the lines
    measured     the process that is timed: one workload, one tool, one answer
    stand_in     what pyperformance's programs find when they import pyperf
    environment  the virtual environment with the peers, the libraries and the test suites
    measure      rounds of processes: calibrate, check, time
    report       measurements → tables
    plot         measurements → a picture, with matplotlib

Imports point down this list's data: `peers.py` makes an environment, lists workloads, measures them, reports.
"""
