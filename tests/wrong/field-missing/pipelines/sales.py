from dbxdec import job, native_task


@job(schedule={"quartz_cron_expression": "0 0 5 * * ?"})
def sales() -> None:
    native_task("show", notebook_task={"base_parameters": {"day": "2013-01-01"}})
    native_task("nothing", max_retries=1)
    native_task("both", notebook_task={"notebook_path": "a"}, spark_python_task={"python_file": "b.py"})
