"""A room of the house; see its modules."""
