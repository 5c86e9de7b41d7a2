"""The contenders: one module for each library, of its name, with its `CONTENDERS`."""
