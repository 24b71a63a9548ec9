"""Who works here: the roles, and the code that loads them."""
