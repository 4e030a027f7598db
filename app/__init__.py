"""The frame of the house: wiring, start, stop, and the faces (desk, engine, command line). The only package that knows all others."""
