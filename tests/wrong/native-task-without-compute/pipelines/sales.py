from dbxdec import job, native_task


@job
def sales() -> None:
    native_task("build", dbt_task={"project_directory": "dbt", "commands": ["dbt build"]})
    native_task("jar", spark_jar_task={"main_class_name": "com.acme.Main"})
    native_task("submit", spark_submit_task={"parameters": ["--class", "com.acme.Main"]})
    native_task("each", for_each_task={"inputs": "[1]", "task": {"task_key": "one", "dbt_task": {"commands": ["dbt run"]}}})
