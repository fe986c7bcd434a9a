"""Walk-forward evaluation on recordings: the same pipeline, many moments, honest figures.

The recordings are read by the same adapters as in a replay; only the socket is left out, and the
two bulk answers (candles, FRED series) are cut from tables parsed once. A test holds both ways
side by side.
"""
