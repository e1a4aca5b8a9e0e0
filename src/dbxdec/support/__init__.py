"""Helpers for every layer: reading documents, checking data, masking secrets, printing, locks."""
