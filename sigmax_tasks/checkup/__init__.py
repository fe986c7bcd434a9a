"""The checks of ``sigmax doctor``: each gives findings and changes nothing."""
