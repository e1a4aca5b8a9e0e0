"""Names and messages of Spark's errors, which are of Java, of Python or of Spark Connect."""

from __future__ import annotations


def condition(error: BaseException) -> str:
    """Return Spark's name for an error ("DELTA_PATH_EXISTS"), taken from the message if need be; "" if it has none."""
    # Spark 4 deprecates the older of the two names.
    ask = getattr(error, "getCondition", None) or getattr(error, "getErrorClass", None)
    if ask is not None and (found := ask()):
        return str(found)
    text = text_of(error)
    start = text.find("[")
    name = text[start + 1 : text.find("]", start)] if start >= 0 else ""
    return name if name.replace("_", "").replace(".", "").isupper() else ""


def text_of(error: BaseException) -> str:
    """Return the whole message of an error. PySpark fails to format some of Delta's, but still has the string."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error of Java
        return str(getattr(error, "_desc", None) or getattr(error, "desc", None) or type(error).__name__)


def first_line(error: BaseException) -> str:
    """Return the message of a Spark error without the Java stack trace."""
    lines = [line.strip() for line in text_of(error).strip().splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        return lines[1].lstrip(": ")
    return lines[0] if lines else type(error).__name__
