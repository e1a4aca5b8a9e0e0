from dbxdec import job, secret, task


@task
def orders(url: str) -> int:
    return len(url)


@job
def daily() -> None:
    orders(f"https://user:{secret('shop', 'password')}@shop.eu")
