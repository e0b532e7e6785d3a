"""The declarations of the lake's tables, one module per schema; what is derived from them is in `contracts`."""
