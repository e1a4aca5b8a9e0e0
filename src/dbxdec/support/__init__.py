"""What every layer may use: data that is read, what is printed, locks, places."""
