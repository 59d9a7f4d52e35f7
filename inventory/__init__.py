"""What is true: adapters, slots, contracts, metering. Pure: no I/O, no clock, no async."""
