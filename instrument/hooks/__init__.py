"""Every place where the program's code, its forks, its signals and its end reach us."""
