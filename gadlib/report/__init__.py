"""Results drawn: `collect_*` gives a NamedTuple, `draw_*` Axes or a Figure, `*_table` a DataFrame.

A drawing of several panels is a Figure. What is empty is drawn as a sentence. Only `save_figure`,
`write_page` and, for other programs, `exchange` write files.

Never: a search or a calculator; what is drawn was computed elsewhere.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
