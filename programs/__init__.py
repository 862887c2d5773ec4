"""The three stages of an answer as DSPy's modules, to compile programs with: `query`, `retrieve` and `answer`.

Runs in an environment of its own (`make setup-programs`); the services neither import it nor need DSPy.
"""
