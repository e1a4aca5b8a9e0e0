"""The weather at New York's airports, day by day."""
