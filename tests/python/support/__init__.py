"""Helpers of the Python tests: real servers, waiting for events, programs in processes of their own."""
