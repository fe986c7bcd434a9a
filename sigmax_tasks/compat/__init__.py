"""The Python interface; its names are exported by the package ``sigmax_tasks`` itself."""
