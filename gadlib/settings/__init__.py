"""Everything that a user may say, declared once: name, default, range, unit, meaning.

Never: work; flags, sliders, notebooks and tables are derived from the declarations.
"""
