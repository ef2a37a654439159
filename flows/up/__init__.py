"""`keyreel up`: all that a team's machine runs, in one command.

up.py (what runs) -> supervise.py (keeps it running) -> part.py (what each part is)
                  -> revive.py (puts right what a kill left)
"""
