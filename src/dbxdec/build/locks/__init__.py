"""Reads lock files: which packages, in which versions, a project gets on a compute of the platform.

    markers      the environment that a compute's Python is, and markers in it
    packages     a package of a lock, and where it comes from
    chosen       the packages that one Python gets
    uv           uv.lock: a graph, followed from the project
    pylock       pylock.toml (PEP 751): a list
    reading      the file, whichever it is
    stale        whether a lock is still the one of the project's dependencies

A lock may have any content: every mistake is one sentence with its place in the file.
"""
