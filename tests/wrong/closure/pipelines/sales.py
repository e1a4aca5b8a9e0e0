from dataclasses import dataclass
from types import SimpleNamespace

from dbxdec import job, task


@dataclass
class Settings:
    n: int
    unread: object = None

    def doubled(self) -> int:
        return 2 * self.n


@task
def orders(n: int) -> int:
    return n


@job
def sales(n: int = 3) -> None:
    found = orders(n)

    @task
    def total() -> int:
        return found * n

    total()
    for country in ("DE", "FR"):

        @task
        def report() -> str:
            return country

        report.override(key=f"report_{country}")()


@job
def in_objects(n: int = 3) -> None:
    settings = Settings(n, orders(n))
    named = SimpleNamespace(n=n)
    doubled = settings.doubled
    right = Settings(3, n)

    class Local:
        n_of_class = n

    @task
    def four() -> list[int]:
        return [settings.n, named.n, doubled(), Local.n_of_class]

    @task
    def one() -> object:
        return right.n

    four()
    one()
