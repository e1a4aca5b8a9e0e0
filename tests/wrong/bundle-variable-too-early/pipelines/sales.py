from collections import namedtuple
from dataclasses import dataclass
from enum import StrEnum

from dbxdec import bundle_variable, job, task

ROOT = bundle_variable("root")
PLACE = f"{ROOT}/orders"
PLACES = {"a": f"{ROOT}/a"}


def helper() -> str:
    return PLACES["a"]


class Base:
    orders = f"{ROOT}/class"
    unused = f"{ROOT}/unused"


class Places(Base):
    many = [f"{ROOT}/many"]

    @classmethod
    def first(cls) -> str:
        return cls.many[0]


class Names(StrEnum):
    ORDERS = f"{ROOT}/enum"


@dataclass(slots=True)
class Settings:
    orders: str
    unused: str

    @property
    def place(self) -> str:
        return self.orders


SETTINGS = Settings(f"{ROOT}/settings", f"{ROOT}/unused")
PAIR = namedtuple("PAIR", "a b")(1, frozenset([f"{ROOT}/set"]))


@task
def fine() -> str:
    return f"{ROOT}/orders"


@task
def uses(place: str = f"{ROOT}/default") -> None:
    print(PLACE, place)


@task
def calls() -> None:
    print(helper())


@task
def classes() -> None:
    print(Places.orders, Places.first(), Names.ORDERS)


@task
def objects() -> None:
    print(SETTINGS.place, PAIR.b)


@job
def sales() -> None:
    here = f"{ROOT}/here"

    @task
    def closes() -> None:
        print(here)

    fine() >> uses() >> calls() >> closes() >> classes() >> objects()
