"""The page on which searches are started, watched, stopped, compared and swept; no notebook needed.

`page` puts it together; `background`, `series`, `knobs`, `choice` and `sweep` know no widget. The
process that searches are forked from imports this package, so that nothing is imported here. Floor
5.
"""
