"""Made-up street names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_FIRST = """Amber Ashen Autumn Badger Barley Bluestem Briar Bronze Buckthorn Buffalo Calico Cardinal Chokecherry Clover
Copper Coral Cricket Crystal Dover Drover Dusty Eagle Ember Falcon Fallow Feather Fern Fiddler Flint Foxtail Garnet
Golden Granite Harrow Harvest Hawk Hazel Heather Heron Hidden Homestead Honey Indigo Iron Juniper Kestrel Kettle
Lantern Lark Laurel Linden Lone Lupine Mallow Marigold Meadow Millet Misty Morning Mossy Nettle Orchard Osprey Otter
Painted Partridge Pasque Pheasant Pioneer Plover Quail Quartz Raven Redwing Russet Rye Sable Saddler Sage Sandhill
Sorrel Sparrow Spindle Starling Sterling Sumac Sunset Swallow Tamarack Teal Thistle Thresher Timber Tower Turnstone
Velvet Wagon Walnut Warbler Weaver Whistler Willow Winter Yarrow""".split()  # noqa: SIM905 - a word list reads best so
_SECOND = """Bend Bluff Branch Brook Butte Chase Cliff Cove Creek Crest Crossing Dale Dell Draw Field Flat Ford Gap
Glen Grove Hill Hollow Knoll Lake Landing Mead Mesa Mill Pass Point Pond Prairie Ridge Run Shore Spring Trail Vale
View Wood""".split()  # noqa: SIM905 - as above


def street_names(rng: np.random.Generator) -> Iterator[str]:
    """About 4,000 names without their Street or Court, each once, in random order."""
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    yield from (names[i] for i in rng.permutation(len(names)))


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th ..."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
