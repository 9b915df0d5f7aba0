log = []


def f(n):
    try:
        try:
            try:
                try:
                    try:
                        try:
                            try:
                                try:
                                    try:
                                        try:
                                            try:
                                                try:
                                                    try:
                                                        try:
                                                            try:
                                                                log.append(1 // n)
                                                            except KeyError:
                                                                log.append(14)
                                                        finally:
                                                            log.append(13)
                                                    except KeyError:
                                                        log.append(12)
                                                finally:
                                                    log.append(11)
                                            except KeyError:
                                                log.append(10)
                                        finally:
                                            log.append(9)
                                    except KeyError:
                                        log.append(8)
                                finally:
                                    log.append(7)
                            except KeyError:
                                log.append(6)
                        finally:
                            log.append(5)
                    except KeyError:
                        log.append(4)
                finally:
                    log.append(3)
            except KeyError:
                log.append(2)
        finally:
            log.append(1)
    except KeyError:
        log.append(0)


f(1)
try:
    f(0)
except ZeroDivisionError:
    print('out')
print(log)
