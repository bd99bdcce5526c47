"""The benchmark: real calls by SIPp against our centre and against Asterisk's own app_queue (`make bench`).

A black box: every time comes from one capture of the network, so it means the same for both systems.
Read `BENCHMARKS.md` for the figures and how each is defined; `python -m tests.bench --help` for the options.
"""
