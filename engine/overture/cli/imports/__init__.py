"""What `overture import` is made of: rows of a table, a mapping to facts, a place to go on from."""
