"""Views of a manifest for people: texts, drawings and differences. Pure functions: nothing is run or written."""
