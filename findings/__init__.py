"""Faults in current releases of libraries, each shown by a plain script without withal."""
