"""The store: everything that must outlive a process, in SQLite or PostgreSQL, behind the same plain
SQL.
"""

from selfheal.store.engine import Row, Store, dump, load, load_map
from selfheal.store.opening import open_store

__all__ = ["Row", "Store", "dump", "load", "load_map", "open_store"]
