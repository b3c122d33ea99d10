"""Prints the compiler flag that finds Python.h of the interpreter that runs this."""

import sysconfig

print(f"-isystem {sysconfig.get_path('include')}")
