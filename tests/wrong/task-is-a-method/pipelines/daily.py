from functools import lru_cache

from dbxdec import task


@task
@lru_cache
def orders() -> int:
    return 1
