"""What is said of each condition that is put to the test, and how much of it is not as it should be."""


class Verdicts:
    def __init__(self):
        self.conditions, self.failures = 0, 0

    def expect(self, what, expected, actual):
        """That they are equal."""
        self.require(what, expected == actual, actual, f", where {expected} is expected")

    def require(self, what, holds, actual, otherwise=""):
        """That it holds."""
        self.conditions += 1
        self.failures += not holds
        print(f"  {'ok    ' if holds else 'FAILED'}  {what}: {actual}{'' if holds else otherwise}", flush=True)
