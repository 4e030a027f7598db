"""Hear: what reaches the desk over HTTP, proven to come from someone it knows, and read into the words of the domain."""
