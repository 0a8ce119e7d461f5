"""Networks as graphs of other runtimes: exporting them, and running them in the place of an STCN."""
