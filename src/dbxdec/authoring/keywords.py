"""Keywords of jobs and tasks for type checkers and editors, with databricks-bundles' own types. No run imports this.

`JobDict` and `TaskDict` can't be used: they have fields for which dbxdec has its own keywords (`depends_on`, `run_if`,
...), and a signature can't repeat them. tests/authoring/test_typing.py compares this with the installed
databricks-bundles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from databricks.bundles.core import VariableOrDict, VariableOrList, VariableOrOptional
    from databricks.bundles.jobs import (
        AiRuntimeTaskParam,
        AlertTaskParam,
        CleanRoomsNotebookTaskParam,
        ClusterSpecParam,
        ComputeParam,
        ConditionTaskParam,
        ContinuousParam,
        CronScheduleParam,
        DashboardTaskParam,
        DbtPlatformTaskParam,
        DbtTaskParam,
        ForEachTaskParam,
        GenAiComputeTaskParam,
        JobEmailNotificationsParam,
        JobEnvironmentVariablesParam,
        JobNotificationSettingsParam,
        JobPermissionParam,
        JobRunAsParam,
        JobsHealthRulesParam,
        LibraryParam,
        LifecycleParam,
        NotebookTaskParam,
        PerformanceTargetParam,
        PipelineTaskParam,
        PowerBiTaskParam,
        PythonOperatorTaskParam,
        PythonWheelTaskParam,
        QueueSettingsParam,
        RunJobTaskParam,
        SparkJarTaskParam,
        SparkPythonTaskParam,
        SparkSubmitTaskParam,
        SqlTaskParam,
        TaskEmailNotificationsParam,
        TaskNotificationSettingsParam,
        TriggerConfigurationParam,
        TriggerSettingsParam,
        WebhookNotificationsParam,
    )


class JobFields(TypedDict, total=False):
    """The fields of a job."""

    budget_policy_id: VariableOrOptional[str]
    continuous: VariableOrOptional[ContinuousParam]
    description: VariableOrOptional[str]
    duration_target: VariableOrOptional[str]
    email_notifications: VariableOrOptional[JobEmailNotificationsParam]
    environment_variables: VariableOrList[JobEnvironmentVariablesParam]
    health: VariableOrOptional[JobsHealthRulesParam]
    lifecycle: VariableOrOptional[LifecycleParam]
    max_concurrent_runs: VariableOrOptional[int]
    name: VariableOrOptional[str]
    notification_settings: VariableOrOptional[JobNotificationSettingsParam]
    parent_path: VariableOrOptional[str]
    performance_target: VariableOrOptional[PerformanceTargetParam]
    permissions: VariableOrList[JobPermissionParam]
    queue: VariableOrOptional[QueueSettingsParam]
    run_as: VariableOrOptional[JobRunAsParam]
    schedule: VariableOrOptional[CronScheduleParam]
    tags: VariableOrDict[str]
    timeout_seconds: VariableOrOptional[int]
    trigger: VariableOrOptional[TriggerSettingsParam]
    triggers: VariableOrList[TriggerConfigurationParam]
    usage_policy_id: VariableOrOptional[str]
    webhook_notifications: VariableOrOptional[WebhookNotificationsParam]


class TaskFields(TypedDict, total=False):
    """The fields of a task of any kind."""

    compute: VariableOrOptional[ComputeParam]
    description: VariableOrOptional[str]
    disable_auto_optimization: VariableOrOptional[bool]
    disabled: VariableOrOptional[bool]
    email_notifications: VariableOrOptional[TaskEmailNotificationsParam]
    environment_variables_key: VariableOrOptional[str]
    existing_cluster_id: VariableOrOptional[str]
    health: VariableOrOptional[JobsHealthRulesParam]
    libraries: VariableOrList[LibraryParam]
    max_retries: VariableOrOptional[int]
    min_retry_interval_millis: VariableOrOptional[int]
    new_cluster: VariableOrOptional[ClusterSpecParam]
    notification_settings: VariableOrOptional[TaskNotificationSettingsParam]
    retry_on_timeout: VariableOrOptional[bool]
    timeout_seconds: VariableOrOptional[int]
    webhook_notifications: VariableOrOptional[WebhookNotificationsParam]


class NativeTaskFields(TaskFields, total=False):
    """The fields of a native task, with its kind. Plain dicts, because values of the run may replace strings inside."""

    ai_runtime_task: VariableOrOptional[AiRuntimeTaskParam] | dict[str, Any]
    alert_task: VariableOrOptional[AlertTaskParam] | dict[str, Any]
    clean_rooms_notebook_task: VariableOrOptional[CleanRoomsNotebookTaskParam] | dict[str, Any]
    condition_task: VariableOrOptional[ConditionTaskParam] | dict[str, Any]
    dashboard_task: VariableOrOptional[DashboardTaskParam] | dict[str, Any]
    dbt_platform_task: VariableOrOptional[DbtPlatformTaskParam] | dict[str, Any]
    dbt_task: VariableOrOptional[DbtTaskParam] | dict[str, Any]
    for_each_task: VariableOrOptional[ForEachTaskParam] | dict[str, Any]
    gen_ai_compute_task: VariableOrOptional[GenAiComputeTaskParam] | dict[str, Any]
    notebook_task: VariableOrOptional[NotebookTaskParam] | dict[str, Any]
    pipeline_task: VariableOrOptional[PipelineTaskParam] | dict[str, Any]
    power_bi_task: VariableOrOptional[PowerBiTaskParam] | dict[str, Any]
    python_operator_task: VariableOrOptional[PythonOperatorTaskParam] | dict[str, Any]
    python_wheel_task: VariableOrOptional[PythonWheelTaskParam] | dict[str, Any]
    run_job_task: VariableOrOptional[RunJobTaskParam] | dict[str, Any]
    spark_jar_task: VariableOrOptional[SparkJarTaskParam] | dict[str, Any]
    spark_python_task: VariableOrOptional[SparkPythonTaskParam] | dict[str, Any]
    spark_submit_task: VariableOrOptional[SparkSubmitTaskParam] | dict[str, Any]
    sql_task: VariableOrOptional[SqlTaskParam] | dict[str, Any]
