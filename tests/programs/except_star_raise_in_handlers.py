try:
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
    except* ValueError:
        raise RuntimeError("a")
    except* KeyError:
        raise RuntimeError("b")
except ExceptionGroup as both:
    print([str(error) for error in both.exceptions])
