"""The science of one conversion: knows no MongoDB."""
