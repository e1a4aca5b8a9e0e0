from dbxdec import bundle_variable, job, task

ROOT = bundle_variable("root")
PLACE = f"{ROOT}/orders"
PLACES = {"a": f"{ROOT}/a"}


def helper() -> str:
    return PLACES["a"]


@task
def fine() -> str:
    return f"{ROOT}/orders"


@task
def uses(place: str = f"{ROOT}/default") -> None:
    print(PLACE, place)


@task
def calls() -> None:
    print(helper())


@job
def sales() -> None:
    here = f"{ROOT}/here"

    @task
    def closes() -> None:
        print(here)

    fine() >> uses() >> calls() >> closes()
