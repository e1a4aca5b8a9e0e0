from dbxdec import job, task


@task
def orders_of_all_the_shops_in_all_the_countries_and_all_the_years_that_we_have_ever_been_in_business_for() -> int:
    return 3


@job
def sales() -> None:
    orders_of_all_the_shops_in_all_the_countries_and_all_the_years_that_we_have_ever_been_in_business_for()
