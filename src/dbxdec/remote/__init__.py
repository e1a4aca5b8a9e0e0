"""Backfills on the platform, through its Jobs API."""
