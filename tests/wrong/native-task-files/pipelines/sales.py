from dbxdec import environment, job, native_task

jvm = environment("jvm", java_dependencies=["libs/acme.jar"])


@job(environment=jvm)
def sales() -> None:
    native_task("jar", spark_jar_task={"main_class_name": "com.acme.Main"})
    native_task("show", notebook_task={"notebook_path": "notebooks/show.py", "source": "GIT"})
    native_task("train", gen_ai_compute_task={"dl_runtime_image": "gpu", "training_script_path": "train.py"})
