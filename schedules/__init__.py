"""What starts work with nobody asking."""
