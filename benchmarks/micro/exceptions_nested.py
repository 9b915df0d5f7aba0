"""Exceptions that pass through several frames, a finally, a re-raise and a handler that does not match."""


def deep(level):
    if level == 0:
        return {}["missing"]
    return deep(level - 1)


def cleaned(level, log):
    try:
        return deep(level)
    except ValueError:
        log.append("wrong handler")
    finally:
        log.append(level)


def main(loops):
    log = []
    for _ in range(loops):
        log.clear()
        for turn in range(400):
            try:
                try:
                    cleaned(turn % 5, log)
                except LookupError as error:
                    raise RuntimeError(turn) from error
            except RuntimeError:
                log.append(-turn)
    return len(log), sum(log)
