"""The Hatch build hook `dbxdec`."""
