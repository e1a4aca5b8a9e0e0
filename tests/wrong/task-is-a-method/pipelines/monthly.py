from functools import partial

from dbxdec import task


def load(country: str) -> int:
    return len(country)


orders = task(partial(load, "DE"))
