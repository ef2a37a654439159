"""A resident process: does work that wants loaded weights, asked for by short-lived processes.

    ask.py -> client.py -> app.py -> engine.py (whose turn: turns.py) -> a worker of the caller's

Knows nothing of what the work is. Found through `address.py`; talks JSON only, on loopback.
"""
