"""Chaos on real servers: processes that use locks through faulty connections, and judges of what they did."""
