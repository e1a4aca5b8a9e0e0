from dbxdec import environment, job, job_cluster, native_task

light = environment("light")
small = job_cluster("small", spark_version="16.4.x-scala2.12", node_type_id="m5d.large", num_workers=1)


@job
def sales() -> None:
    native_task("show", spark_python_task={"python_file": "show.py"}, cluster=small, environment=light)
    native_task("send", spark_python_task={"python_file": "send.py"}, cluster="small")
    native_task("draw", notebook_task={"notebook_path": "draw"}, libraries=[{"whl": "libs/draw.whl"}])
