"""Orders of the TPC-H benchmark, from landed files to revenue by month."""
