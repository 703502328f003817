"""From the world's maps to arrays: the only place for osmnx, geopandas, pandas and networkx."""
