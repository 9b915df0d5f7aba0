def more():
    return 'more'


def less():
    return 'less'
