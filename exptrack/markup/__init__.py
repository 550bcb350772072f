"""Write HTML and SVG without a script: for reports, and for what a notebook shows of an object.

Begin with ``elements``, which every text passes on its way into a page. ``parts`` makes tables and cells,
``chart`` and ``ticks`` draw curves. ``notebook`` shows any record as a block with a style of its own.

Invariant: nothing here reads an archive. An object that does gives its parts by a method ``_view``.
"""
