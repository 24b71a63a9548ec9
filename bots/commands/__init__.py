"""What each command does: one function each, in rooms that are imported when their command is used."""
