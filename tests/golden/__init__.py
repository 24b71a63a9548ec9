"""Blobs as releases wrote them. They are only ever added to: every later release must read them."""
