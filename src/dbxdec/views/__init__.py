"""What people see of a manifest: texts, drawings and differences. Pure functions of it; nothing is run or written."""
