"""The built-in region: a made-up town in two states, its agencies and patrols, and a toy to check by head.

`python -m geomatch.maps.metro data/` draws all of it again, byte for byte. None of it exists; it lies in open prairie.
"""
