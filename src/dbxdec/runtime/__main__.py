"""`python -m dbxdec.runtime`: the same as `dbxdec-run`."""

from dbxdec.runtime import main

main()
