"""The parts of the peer benchmark; `peers.py` beside this folder is the command.

    workloads    the programs, with their start and the directories in scope
    tools        `instrument` and its peers: start, run, read the lines
    measured     the process that is timed: one workload, one tool, one answer
    stand_in     replaces pyperf in pyperformance's programs
    environment  the virtual environment with the peers, the libraries and the test suites
    measure      rounds of processes: calibrate, check, time
    report       turns measurements into tables
    plot         draws a picture of measurements, with matplotlib

`peers.py` makes an environment, lists workloads, measures them, and reports.
"""
