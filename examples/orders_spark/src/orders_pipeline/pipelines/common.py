"""The places of the tables that both jobs use."""

from __future__ import annotations

from dbxdec import bundle_variable
from dbxdec.io_managers import SparkDeltaIoManager, SparkTableIoManager

landing = bundle_variable("landing")
lake = SparkDeltaIoManager(bundle_variable("lake_root"))
gold = SparkTableIoManager(bundle_variable("catalog") + ".gold")
