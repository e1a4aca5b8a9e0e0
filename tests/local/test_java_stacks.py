"""What is shown of Java stack traces among the lines that a task prints."""

from __future__ import annotations

from dbxdec.local.java_stacks import INSTEAD, JavaStacks

PRINTED = """\
ERROR Utils: Aborting task
org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed
\tat org.apache.spark.sql.delta.files.DeltaFileFormatWriter$.$anonfun$executeTask$1(DeltaFileFormatWriter.scala:454)
\tat java.base/java.lang.Thread.run(Thread.java:840)
\tat org.apache.spark.sql.GeneratedClass$SpecificUnsafeProjection.<init>(Unknown Source)
Caused by: org.apache.spark.sql.delta.schema.DeltaInvariantViolationException: violated
\tat java.base/java.lang.Thread.run(Thread.java:840)
\t... 1 more
WARN next
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: rain
\tat home (sick)
Caused by: the weather"""


def test_a_java_stack_trace_is_named_once_and_not_shown() -> None:
    """What Spark says of the error stays, and so do lines that only look like it."""
    stacks = JavaStacks()
    shown = [line for line in map(stacks.shown, PRINTED.splitlines()) if line is not None]
    assert shown == [
        "ERROR Utils: Aborting task",
        "org.apache.spark.SparkException: [TASK_WRITE_FAILED] Task failed",
        INSTEAD,
        "WARN next",
        "\tat home (sick)",
        "Caused by: the weather",
    ]
