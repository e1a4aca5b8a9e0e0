from dbxdec import job, task

loads = []
for country in ["de", "fr"]:

    @task(key=f"load_{country}")
    def load() -> str:
        return country

    loads.append(load)

    @job(key=f"sales_{country}")
    def sales() -> None:
        @task
        def total() -> str:
            return country

        total()


@job
def all_countries() -> None:
    for load in loads:
        load()
