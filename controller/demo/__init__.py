"""The demo: the real daemon beside a simulated fleet, a tour through both, and every word checked twice."""
