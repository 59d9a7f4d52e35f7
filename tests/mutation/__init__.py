"""Mutation run over the rules: each small change of a rule must make one of its tests fail (`make test-deep`)."""
