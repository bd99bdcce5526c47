"""People are data: agents, their queues and PINs, in PostgreSQL; every change is published to the floor."""
