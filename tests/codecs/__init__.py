"""Public decoders in the gateway's own workers and in node, over their vendors' own inputs: ``make codecs CORPUS=DIR``.

Nothing of a collection is kept here: ``DIR`` is a folder with checkouts of any of them. A case is a script and an input;
node runs it as the platform would (`reference.js`), the gateway as it does, and what both return has to be the same.
"""
