"""Where messages come in and go out, and where the program starts."""
