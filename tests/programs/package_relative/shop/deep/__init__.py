from ..prices import RATE

rate = RATE
