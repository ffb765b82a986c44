"""Several processes on one machine, each a node of the database, behind the same ports.

The *supervisor* (`supervisor.py`) starts them, keeps their UDP sockets (`kept_ports.py`), and starts one again that ends. A process asks it for each
port over a socket between both (`handed_ports.py`). What a process is to the supervisor stands in `child.py`.
"""
