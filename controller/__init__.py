"""What happens: the daemon, its store, listeners, engine, API, CLI and pages."""
