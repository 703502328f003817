"""From the world's maps to arrays: the only place for osmnx, geopandas, pandas and networkx.

A road map is read by `osm` or `centrelines` into `streets`, corrected by `overrides` and turned into a road network by
`network`; GIS files of who polices what are read by `layers`; `build` makes a region of both. `check` says what is
wrong with a layer, `diff` what a new region would change, and `metro` draws the made-up town that comes with geomatch.
"""
