from dbxdec import task


class Shop:
    @task
    def orders(self) -> None: ...
