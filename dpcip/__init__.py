"""dpcip: all-in-focus image and metric depth from one photograph taken through a phase mask."""

__version__ = "0.1.0"
