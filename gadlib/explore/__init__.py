"""The page on which searches are started, watched, compared, swept and followed downhill.

`page` builds it; what `tasks` and `sliders` hold knows no widget. Nothing is imported here: the
process that searches are forked from imports this package.

Never: a result of its own; what the page searches, a notebook and the command can search too.
"""
